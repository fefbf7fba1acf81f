"""Whether a value came back as what it was.

JSON has fewer types than Python, so an annotation can be written that loses something: a
`datetime` given for `datetime | str` would come back as a `str`, a `SecretStr` as asterisks,
a subclass as its base. This finds it out when the value is encoded, and not in the worker.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from types import NoneType
from uuid import UUID

from pydantic import BaseModel

from offload.codec.unfit import Unfit

_LEAVES = frozenset({NoneType, bool, bytes, datetime, float, int, str, Decimal, UUID})
"""The common ones, to answer soon; other types are leaves if they have no parts."""


def ensure_same(before: object, after: object) -> None:
    """Return if `after`, read back from JSON, is what `before` was.

    Raises:
        Unfit: with the path to the first part that is not.
    """
    if type(before) in _LEAVES:
        _ensure_same_leaf(before, after)
        return
    parts, others = _parts(before), _parts(after)
    if parts is None or others is None:
        _ensure_same_leaf(before, after)
        return
    if not isinstance(before, type(after)) or len(parts) != len(others):
        raise _changed(before, after)
    for step, part in parts.items():
        if step not in others:
            raise _changed(before, after)
        try:
            ensure_same(part, others[step])
        except Unfit as unfit:
            raise unfit.inside(f"[{step!r}]") from None


def _parts(value: object) -> Mapping[object, object] | None:
    """Return what a container holds, by position or name, or None if it is no container."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple | deque):
        return dict(enumerate(value))
    if isinstance(value, set | frozenset):
        return {item: item for item in value}
    if isinstance(value, BaseModel):
        # Not __dict__ as a whole: cached properties live there too.
        names = [*type(value).model_fields, *(value.model_extra or ())]
        return {name: getattr(value, name, None) for name in names}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.compare}
    return None


def _ensure_same_leaf(before: object, after: object) -> None:
    if isinstance(before, float | Decimal) and not _is_finite(before):
        raise Unfit(f"{before} is not a number that JSON has: pass None instead")
    # A UUID of a database driver may become a plain UUID where UUID is what is annotated;
    # an Enum that becomes its value has lost what made it one.
    fits = isinstance(before, type(after)) and not isinstance(before, Enum)
    if not ((type(before) is type(after) or fits) and _equal(before, after)):
        raise _changed(before, after)


def _equal(before: object, after: object) -> bool:
    if isinstance(before, datetime | time) and isinstance(after, datetime | time):
        # `==` is False between zones in the hour that a change of clocks repeats (PEP 495).
        return before.isoformat() == after.isoformat()
    if type(before).__eq__ is object.__eq__:
        return True  # nothing to compare by: being of the same type must do
    equal: object = before == after
    # An array answers item by item; whoever made it JSON answers for its content.
    return equal if isinstance(equal, bool) else True


def _is_finite(value: float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else isfinite(value)


def _changed(before: object, after: object) -> Unfit:
    was, became = type(before).__qualname__, type(after).__qualname__
    how = f"as {became}" if was != became else "changed"
    return Unfit(
        f"this {was} would come back {how}: annotate it so that JSON can tell, or pass plain values"
    )
