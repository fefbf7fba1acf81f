"""Values that no annotation describes: what a running task publishes, and its data."""

from dataclasses import is_dataclass
from enum import Enum

from pydantic import BaseModel
from pydantic_core import to_json as to_text

from offload.codec.reading import to_json
from offload.codec.tags import pack, refuse
from offload.codec.unfit import Unfit
from offload.core.errors import PayloadError, PayloadTooLarge


def encode_untyped(value: object, what: str, limit: int) -> bytes:
    """Return a value as `decode_untyped` reads it; models and dataclasses become plain JSON.

    Raises:
        PayloadError: it cannot be carried; `what` names it in the message.
        PayloadTooLarge: it is over `limit` bytes.
    """
    try:
        text = to_text(pack(value, _plainly))
    except Unfit as error:
        raise PayloadError(f"{what}{error.path}: {error.reason}") from error
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{what}: {error}") from error
    return _fitting(text, what, limit)


def encode_plain(value: object, what: str, limit: int) -> bytes:
    """Return a value as JSON for everybody to read; what JSON lacks is shown as text.

    Raises:
        PayloadError: it contains itself, or text that is not Unicode.
        PayloadTooLarge: it is over `limit` bytes.
    """
    try:
        text = to_text(to_json(value))
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{what} cannot be written as JSON: {error}") from error
    return _fitting(text, what, limit)


def _plainly(value: object) -> object:
    if isinstance(value, BaseModel | Enum) or is_dataclass(value):
        return pack(to_json(value))
    return refuse(value)


def _fitting(text: bytes, what: str, limit: int) -> bytes:
    if len(text) > limit:
        raise PayloadTooLarge(
            f"{what} would take {len(text):,} bytes, over the limit of {limit:,}: "
            "pass a reference (a path, a key, an id)"
        )
    return text
