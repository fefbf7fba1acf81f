"""The closed set of values that travel without an annotation, and their form in JSON.

What JSON has stays as it is. Anything else of the set is an object with one key that names
it: `(1, 2)` is `{"$tuple": [1, 2]}`. A dictionary that could be mistaken for such an object,
or has keys that are not strings, is `{"$dict": [[key, value], …]}`. Types are matched
exactly: a subclass would come back as its base, so it is refused and not quietly changed.
"""

import math
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from offload.codec.unfit import Unfit

MAX_DEPTH = 60
"""A level of a value takes up to three of JSON, and the parser reads 200 of those."""

MAX_INT = 10**4000
"""Python and the parser both refuse to read integers of more than 4300 digits."""

VALUE = "$value"
"""Marks a whole value in this form where an annotation would lead a reader to expect plain JSON."""

Odd = Callable[[object], object]
"""What becomes of a value that is not in the set."""


def refuse(value: object) -> object:
    """Refuse a value that is not in the set, with the way out.

    Raises:
        Unfit: always.
    """
    kind = type(value).__qualname__
    if isinstance(value, BaseModel | Enum) or is_dataclass(value):
        way_out = "annotate the parameter (a result: the return value) with it, so it comes back"
        raise Unfit(f"nothing says here that this is a {kind}: {way_out} as one")
    for base in (*_SCALARS, *_CONTAINERS):
        if isinstance(value, base):
            name = base.__name__
            raise Unfit(
                f"{kind} is a kind of {name} and would come back as a plain {name}: "
                f"convert it to {name}, or annotate the parameter (a result: the return value)"
            )
    raise Unfit(
        f"{kind} cannot be carried as JSON: pass what it is made from (a path, an id, a key)"
    )


def pack(value: object, odd: Odd = refuse, depth: int = 0) -> object:
    """Return `value` as plain JSON values.

    Raises:
        Unfit: it holds something that cannot be carried; `odd` may know how to.
    """
    kind = type(value)
    if scalar := _SCALARS.get(kind):
        return scalar(value)
    if container := _CONTAINERS.get(kind):
        if depth == MAX_DEPTH:
            raise Unfit(
                f"nested more than {MAX_DEPTH} levels deep, or it contains itself: flatten it"
            )
        return container(value, odd, depth + 1)
    return odd(value)


def unpack(raw: object) -> object:
    """Return the value that `raw`, made by `pack` and read from JSON, stands for.

    Raises:
        Unfit: `pack` cannot have made it.
    """
    kind = type(raw)
    if kind is list:
        return [unpack(item) for item in raw]  # type: ignore[attr-defined]
    if kind is dict:
        return _unpack_object(raw)  # type: ignore[arg-type]
    # "1e999" is valid JSON and reads as infinity.
    return _finite(raw) if kind is float else raw  # type: ignore[arg-type]


def is_marked(raw: dict[str, object]) -> bool:
    """Whether an object of JSON is a tag: exactly one key, and it starts with a dollar sign."""
    return len(raw) == 1 and next(iter(raw)).startswith("$")


def is_whole(raw: object) -> bool:
    """Whether `raw` is a whole value in tagged form under an annotation."""
    return type(raw) is dict and len(raw) == 1 and VALUE in raw


def has_tags(raw: object) -> bool:
    """Whether there is a tag anywhere in `raw`."""
    if isinstance(raw, dict):
        return is_marked(raw) or any(map(has_tags, raw.values()))
    return isinstance(raw, list) and any(map(has_tags, raw))


def _unpack_object(raw: dict[str, object]) -> object:
    if not is_marked(raw):
        return {key: unpack(value) for key, value in raw.items()}
    [(tag, inner)] = raw.items()
    if (read := _READERS.get(tag)) is None:
        raise Unfit(f"unknown tag {tag!r}: written by a newer version, or damaged")
    try:
        return read(unpack(inner))
    # Decimal reports what it cannot read as an arithmetic error, UUID what is no text at all
    # as a missing attribute.
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        raise Unfit(f"damaged {tag}: {error}") from error


# ------------------------------------------------------------------------------- scalars


def _same(value: object) -> object:
    return value


def _integer(value: int) -> int:
    if -MAX_INT < value < MAX_INT:
        return value
    raise Unfit("an integer of more than 4000 digits cannot be read back: pass it as bytes")


def _finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise Unfit(f"{value} is not a number that JSON has: pass None instead")


def _text(value: str) -> str:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        way_out = "pass bytes (for a file name: os.fsencode) instead"
        raise Unfit(f"a text with a lone surrogate is not valid Unicode: {way_out}") from None
    return value


def _time(value: time) -> object:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise Unfit("the offset of this time depends on the date: pass a datetime instead")
    return {"$time": value.isoformat()}


def _decimal(value: Decimal) -> object:
    if not value.is_finite():
        raise Unfit(f"Decimal {value} is not a number: pass None instead")
    return {"$decimal": str(value)}


def _read_decimal(text: str) -> Decimal:
    if not (value := Decimal(text)).is_finite():
        raise ValueError(f"{text} is not a number")
    return value


def _read_bytes(text: str) -> bytes:
    # The alphabet that Pydantic writes too, so that a reader meets only one.
    return b64decode(text, altchars=b"-_", validate=True)


# ---------------------------------------------------------------------------- containers


def _list(value: Iterable[object], odd: Odd, depth: int) -> list[object]:
    packed: list[object] = []
    try:
        for item in value:
            packed.append(pack(item, odd, depth))  # noqa: PERF401 - its length is the path
    except Unfit as unfit:
        raise unfit.inside(f"[{len(packed)}]") from unfit.__cause__
    return packed


def _dict(value: dict[object, object], odd: Odd, depth: int) -> object:
    packed: list[tuple[object, object]] = []
    key: object = None
    try:
        for key, item in value.items():
            packed.append((pack(key, odd, depth), pack(item, odd, depth)))
    except Unfit as unfit:
        raise unfit.inside(f"[{key!r}]") from unfit.__cause__
    if all(type(key) is str for key in value):
        plain: dict[str, object] = dict(packed)  # type: ignore[arg-type]
        if not is_marked(plain):
            return plain
    return {"$dict": packed}


def _tagged(tag: str) -> Callable[[Any, Odd, int], object]:
    return lambda value, odd, depth: {tag: _list(value, odd, depth)}


def _items(raw: object) -> list[Any]:
    # A text is iterable too: "abc" must not become a tuple of its letters.
    if isinstance(raw, list):
        return raw
    raise TypeError(f"a list was expected, not {type(raw).__name__}")


# -------------------------------------------------------------------------------- tables

_SCALARS: dict[type, Callable[[Any], object]] = {
    NoneType: _same,
    bool: _same,
    int: _integer,
    float: _finite,
    str: _text,
    bytes: lambda value: {"$bytes": urlsafe_b64encode(value).decode("ascii")},
    # Only the offset travels, not the name of the zone.
    datetime: lambda value: {"$datetime": value.isoformat()},
    date: lambda value: {"$date": value.isoformat()},
    time: _time,
    timedelta: lambda value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: _decimal,
    UUID: lambda value: {"$uuid": str(value)},
}

_CONTAINERS: dict[type, Callable[[Any, Odd, int], object]] = {
    list: _list,
    dict: _dict,
    tuple: _tagged("$tuple"),
    set: _tagged("$set"),
    frozenset: _tagged("$frozenset"),
}

_READERS: dict[str, Callable[[Any], object]] = {
    VALUE: _same,
    "$bytes": _read_bytes,
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$timedelta": lambda parts: timedelta(*_items(parts)),
    "$decimal": _read_decimal,
    "$uuid": lambda text: UUID(hex=text),
    "$tuple": lambda items: tuple(_items(items)),
    "$set": lambda items: set(_items(items)),
    "$frozenset": lambda items: frozenset(_items(items)),
    "$dict": lambda pairs: dict(_items(pairs)),
}
