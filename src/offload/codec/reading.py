"""For readers that do not know the task: an inspector, a dashboard, an HTTP answer."""

import math
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Mapping, Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum

from pydantic import BaseModel
from pydantic_core import from_json, to_jsonable_python

from offload.codec.tags import unpack
from offload.codec.unfit import Unfit
from offload.core.errors import PayloadError


def decode_untyped(data: bytes) -> object:
    """Return stored arguments or a stored result as far as they can be read without the task.

    Tagged values become what they were; models, dataclasses and the like stay plain JSON.

    Raises:
        PayloadError: the bytes are damaged.
    """
    try:
        return unpack(from_json(data, allow_inf_nan=False))
    except (Unfit, ValueError) as error:
        reason = error.reason if isinstance(error, Unfit) else error
        raise PayloadError(f"the stored value cannot be read: {reason}") from error


def to_json(value: object) -> object:
    """Return a decoded value as plain JSON values, for people and other programs to read.

    This loses types, as JSON does: sets and tuples are lists, bytes are base64 text (of the
    URL-safe alphabet), keys are texts. Nothing is refused: what is unknown is shown as text.
    """
    if isinstance(value, Mapping):
        return {_key(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | deque | AbstractSet):
        return [to_json(item) for item in value]
    if isinstance(value, BaseModel):
        return to_json(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    return _scalar(value)


def _scalar(value: object) -> object:
    match value:
        case Enum():
            return to_json(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes() | bytearray() | memoryview():
            return urlsafe_b64encode(value).decode("ascii")
        case _:
            return to_jsonable_python(value, fallback=str)


def _key(key: object) -> str:
    text = to_json(key)
    return text if isinstance(text, str) else str(text)
