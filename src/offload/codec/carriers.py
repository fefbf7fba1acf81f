"""How one value travels under one annotation: validated, written, and read again.

A carrier is made once for each parameter and return value of a task and kept, because
building a Pydantic validator takes a thousand times longer than using it.
"""

import inspect
from types import NoneType, UnionType
from typing import Any, Never, NoReturn, Protocol, Union, get_args, get_origin

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json, to_jsonable_python

from offload.codec.sameness import ensure_same
from offload.codec.tags import VALUE, has_tags, is_whole, pack, refuse, unpack
from offload.codec.unfit import Misfit, Unfit, misfit

UNTYPED = (inspect.Parameter.empty, Any, object, Never, NoReturn)
BARE = (dict, list, tuple, set, frozenset)
SCALARS = (bool, float, int, str, NoneType)

TAG = b'{"$'
"""The start of an object whose first key has a dollar sign; in a string, the quote is escaped."""

LONGEST_INT = 4300
"""The digits of an integer that the parser still reads."""

CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", allow_inf_nan=False)


class Carrier(Protocol):
    """Writes a value as JSON text, and makes the value again of what was read from it."""

    def encode(self, value: object) -> bytes:
        """Return `value` as JSON text, or raise `Misfit` or `Unfit`."""

    def decode(self, raw: object) -> object:
        """Return the value that `raw`, as the JSON parser read it, stands for."""


def carrier_for(annotation: Any) -> Carrier:
    """Return the carrier for a resolved annotation.

    Raises:
        PydanticUserError: Pydantic cannot carry this type, or not yet.
    """
    if any(annotation is untyped for untyped in UNTYPED):
        return Untyped()
    kind = get_origin(annotation) or annotation
    if kind in BARE and not get_args(annotation) and annotation != tuple[()]:
        return Bare(kind)
    adapter = _adapter(annotation)
    return Plain(adapter) if is_plain(annotation) else Typed(adapter)


def is_plain(annotation: Any) -> bool:
    """Whether all values of a type are plain JSON, which needs no proof of coming back."""
    if any(annotation is scalar for scalar in SCALARS):
        return True
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return args[0] is str and is_plain(args[1])
    return origin in (list, Union, UnionType) and all(map(is_plain, args))


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        adapter = TypeAdapter(annotation, config=CONFIG)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        # A model brings its own configuration. If that loses something, Typed finds out.
        adapter = TypeAdapter(annotation)
    if not adapter.pydantic_complete:
        adapter.rebuild(raise_errors=True)
    return adapter


class Untyped:
    """Nothing is annotated: the closed set of tagged values."""

    def encode(self, value: object) -> bytes:
        """Write `value` with tags where JSON alone would lose its type."""
        return to_json(pack(value))

    def decode(self, raw: object) -> object:
        """Read the tags."""
        return unpack(raw)


class Bare(Untyped):
    """A container of whatever: `dict`, `list`, `tuple`, `set`, `frozenset`."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def encode(self, value: object) -> bytes:
        """Write `value`, which must be such a container."""
        return super().encode(self._checked(value))

    def decode(self, raw: object) -> object:
        """Read such a container."""
        return self._checked(super().decode(raw))

    def _checked(self, value: object) -> object:
        if isinstance(value, self._kind):
            return value
        raise Misfit(f"should be a {self._kind.__name__} (got {type(value).__name__})")


class Typed:
    """An annotation that Pydantic understands.

    A value is written as Pydantic's JSON and read back at once, as the worker will. If that
    does not give the same value, it is written with tags instead, which tell more types
    apart; and if that does not either, it is refused.
    """

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        # Straight to the core: the adapter's own methods take longer than the work.
        self._validator = adapter.validator
        self._serializer = adapter.serializer

    def encode(self, value: object) -> bytes:
        """Validate `value` and write it."""
        value = self._validated(value)
        try:
            return self._proven(value, _unmarked(self._as_json(value)))
        except (Unfit, ValueError):
            return self._proven(value, self._as_tags(value))

    def decode(self, raw: object) -> object:
        """Read and validate, by the names of fields: aliases may differ between the ways."""
        text = to_json(raw)
        if TAG in text:
            # A whole value, or the result of a task that is annotated otherwise.
            return self._read(unpack(raw))
        try:
            return self._validator.validate_json(text, by_alias=False, by_name=True)
        except ValidationError as error:
            raise misfit(error) from error

    def _read(self, value: object) -> object:
        try:
            return self._validator.validate_python(value, by_alias=False, by_name=True)
        except ValidationError as error:
            raise misfit(error) from error

    def _proven(self, value: object, text: bytes) -> bytes:
        # As deep as it will stand in the payload, for the parser counts levels.
        [[raw]] = from_json(b"[[%b]]" % text, allow_inf_nan=False)
        try:
            ensure_same(value, self.decode(raw))
        except Misfit as error:
            raise Unfit(f"could not be read back: {error.reason}", error.path) from error
        return text

    def _validated(self, value: object) -> object:
        try:
            return self._validator.validate_python(value)
        except ValidationError as error:
            raise misfit(error) from error

    # No warnings: they would show values, and reading back finds what they are about.

    def _as_json(self, value: object) -> bytes:
        return self._serializer.to_json(value, by_alias=False, round_trip=True, warnings=False)

    def _as_tags(self, value: object) -> bytes:
        plain = self._serializer.to_python(value, by_alias=False, round_trip=True, warnings=False)
        return to_json({VALUE: pack(plain, odd=_as_pydantic_would)})


class Plain(Typed):
    """Scalars that JSON has, and lists and string-keyed dictionaries of them."""

    def encode(self, value: object) -> bytes:
        """Validate `value` and write it; only what a parser may refuse is read back."""
        value = self._validated(value)
        try:
            text = _unmarked(self._serializer.to_json(value))
            if len(text) > LONGEST_INT:
                from_json(text)
        except (Unfit, ValueError):
            return self._as_tags(value)  # or an error that tells where and why
        return text

    def decode(self, raw: object) -> object:
        """Validate what is already a Python value."""
        if is_whole(raw):
            return super().decode(raw)
        try:
            return self._validator.validate_python(raw)
        except ValidationError as error:
            if not has_tags(raw):
                raise misfit(error) from error
        return self._read(unpack(raw))


def _unmarked(text: bytes) -> bytes:
    # A reader that does not know the annotation would take it for a tag.
    if TAG in text:
        raise Unfit("looks like a tag")
    return text


def _as_pydantic_would(value: object) -> object:
    """Write what is not in the closed set; reading it back shows whether that was enough."""
    try:
        return pack(to_jsonable_python(value))
    except ValueError:
        return refuse(value)
