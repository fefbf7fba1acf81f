"""Partial results in the caller's hand."""

from dataclasses import dataclass
from typing import Any

from offload.codec import decode_untyped
from offload.core.records import Part


@dataclass(frozen=True, slots=True)
class JobPart:
    """What a running job published. Who has seen one asks for what comes after its `id`."""

    id: int
    value: Any
    attempt: int
    published_at: int
    """In Unix milliseconds."""


def decoded(part: Part) -> JobPart:
    """Return a part as it was published.

    Raises:
        PayloadError: its bytes are damaged.
    """
    return JobPart(part.id, decode_untyped(part.value), part.attempt, part.published_at)
