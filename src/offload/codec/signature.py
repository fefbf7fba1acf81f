"""What one task takes and gives back, as bytes: the only part of the codec that tasks use."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from pydantic_core import from_json

from offload.codec.shape import Shape, Slot, json_name
from offload.codec.unfit import Misfit, Unfit
from offload.core.errors import ArgumentError, PayloadError, PayloadTooLarge

ARGUMENTS_LIMIT = 256 * 1024
RESULT_LIMIT = 1024 * 1024


class Caps(NamedTuple):
    """The most bytes of JSON that a job's arguments and its result may take."""

    arguments: int = ARGUMENTS_LIMIT
    result: int = RESULT_LIMIT


NO_ARGUMENTS = b"[[],{}]"
LONGEST_PATH = 120


DEFAULT = Caps()


class Signature:
    """The arguments and the result of one task function, typed by its annotations.

    Annotations are resolved at first use and not before: when the function is defined, the
    types that it names may not be.
    """

    def __init__(self, function: Callable[..., object], name: str, caps: Caps = DEFAULT) -> None:
        """Remember the function; `name` is the task's, for messages."""
        self._function = function
        self._name = name
        self._caps = caps

    def resolve(self) -> None:
        """Read the annotations now; it is done once.

        Raises:
            TaskDefinitionError: they cannot be used.
        """
        _ = self._shape

    @cached_property
    def _shape(self) -> Shape:
        return Shape(self._function, self._name)

    def encode_arguments(
        self,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        fed: bool = False,
    ) -> bytes:
        """Return a call's arguments as `[[args…],{kwargs…}]`. Defaults are not filled in.

        With `fed` the first argument is not there yet: it will be put before the others.

        Raises:
            ArgumentError: they do not fit the function.
            PayloadError: one cannot be carried.
            PayloadTooLarge: together they are over the cap.
            TaskDefinitionError: the function's annotations cannot be used.
        """
        shape = self._shape
        shape.check((None, *args) if fed else args, kwargs)
        if not args and not kwargs:
            return NO_ARGUMENTS
        slots = shape.positions(len(args) + fed)[fed:]
        texts = [self._encode(slot, value) for slot, value in zip(slots, args, strict=True)]
        named = {name: self._encode(shape.named(name), kwargs[name]) for name in kwargs}
        members = [json_name(name) + text for name, text in named.items()]
        payload = b"[[%b],{%b}]" % (b",".join(texts), b",".join(members))
        if len(payload) > self._caps.arguments:
            sizes = {slot.label: len(text) for slot, text in zip(slots, texts, strict=True)}
            sizes |= {shape.named(name).label: len(text) for name, text in named.items()}
            cap = self._caps.arguments
            raise self._too_large("arguments", len(payload), cap, _largest(sizes))
        return payload

    def arguments(
        self, args: Sequence[object], kwargs: Mapping[str, object], *, fed: bool = False
    ) -> dict[str, Any]:
        """Return the arguments of a call that can be encoded by name, defaults filled in.

        With `fed` the first is left out, for it is not there yet.
        """
        if not fed:
            return self._shape.bind(args, kwargs)
        bound = self._shape.bind((None, *args), kwargs)
        del bound[next(iter(bound))]
        return bound

    def encode_argument(self, name: str, value: object) -> bytes:
        """Return one of `arguments` as JSON; that of `*args` as several, with commas.

        A default that cannot be encoded, which no call has to be, is the word "default".
        """
        places = self._shape.places(name, value)
        try:
            return b",".join([self._encode(slot, item) for slot, item in places])
        except PayloadError:
            if self._shape.is_default(name, value):
                return b"default"
            raise

    def decode_arguments(self, payload: bytes) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return the arguments to call the function with.

        Raises:
            ArgumentError: they do not fit the function, which has changed since.
            PayloadError: the bytes are damaged.
            TaskDefinitionError: the function's annotations cannot be used.
        """
        shape = self._shape
        if payload == NO_ARGUMENTS:  # there is nothing to read
            shape.check((), {})
            return (), {}
        args, kwargs = self._parsed_arguments(payload)
        shape.check(args, kwargs)
        slots = shape.positions(len(args))
        return (
            tuple([self._decode(slot, raw) for slot, raw in zip(slots, args, strict=True)]),
            {name: self._decode(shape.named(name), raw) for name, raw in kwargs.items()},
        )

    def encode_result(self, value: object) -> bytes:
        """Return what the function returned as JSON.

        Raises:
            PayloadError: it is not what is annotated, or cannot be carried.
            PayloadTooLarge: it is over the cap.
            TaskDefinitionError: the function's annotations cannot be used.
        """
        text = self._encode(self._shape.returns, value)
        if len(text) > self._caps.result:
            raise self._too_large("result", len(text), self._caps.result, "")
        return text

    def decode_result(self, result: bytes) -> object:
        """Return what the function returned.

        Raises:
            PayloadError: the bytes are damaged, or the function's annotation has changed.
            TaskDefinitionError: the function's annotations cannot be used.
        """
        return self._decode(self._shape.returns, self._parsed("result", result))

    # ------------------------------------------------------------------------- one value

    def _encode(self, slot: Slot, value: object) -> bytes:
        try:
            return slot.carrier.encode(value)
        # Pydantic's errors are value errors, and so is what Python says to a huge integer.
        except (Unfit, ValueError, RecursionError) as error:
            self._refuse(slot, error, "")

    def _decode(self, slot: Slot, raw: object) -> object:
        try:
            return slot.carrier.decode(raw)
        except (Unfit, ValueError, RecursionError) as error:
            self._refuse(slot, error, "; was the task changed since this was stored?")

    def _refuse(self, slot: Slot, error: Exception, hint: str) -> NoReturn:
        kind = PayloadError
        if isinstance(error, Misfit) and slot is not self._shape.returns:
            kind = ArgumentError
        where, reason = slot.label, " ".join(str(error).split())
        if isinstance(error, Unfit):
            where, reason = slot.label + _short(error.path), error.reason
        elif isinstance(error, RecursionError):
            reason = "nested too deep, or it contains itself: flatten it"
        raise kind(f"task {self._name!r}: {where}: {reason}{hint}") from error

    # ------------------------------------------------------------------------ whole texts

    def _parsed(self, what: str, data: bytes) -> object:
        try:
            return from_json(data, allow_inf_nan=False)
        except ValueError as error:
            raise PayloadError(
                f"task {self._name!r}: its stored {what} cannot be read: {error}"
            ) from error

    def _parsed_arguments(self, payload: bytes) -> tuple[list[object], dict[str, object]]:
        parsed = self._parsed("arguments", payload)
        if isinstance(parsed, list) and len(parsed) == 2:  # noqa: PLR2004 - not `match`: dearer
            args, kwargs = parsed
            if isinstance(args, list) and isinstance(kwargs, dict):
                return args, kwargs
        raise PayloadError(
            f"task {self._name!r}: its stored arguments cannot be read: "
            "they are not of the form [[…], {…}]"
        )

    def _too_large(self, what: str, size: int, cap: int, detail: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"task {self._name!r}: its {what} would take {size:,} bytes, over the limit of "
            f"{cap:,}{detail}. Pass a reference (a path, a key, an id), or raise the cap: "
            f"Queue(max_{what}=…)."
        )


def _largest(sizes: Mapping[str, int]) -> str:
    label = max(sizes, key=sizes.__getitem__)
    return f"; the largest is {label} with {sizes[label]:,}"


def _short(path: str) -> str:
    """Return a path that fits in a message, however deep it leads or long its keys are."""
    return path if len(path) <= LONGEST_PATH else f"{path[: LONGEST_PATH // 2]} … {path[-20:]}"
