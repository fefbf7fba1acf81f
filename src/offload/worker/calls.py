"""What both sides of a process agree on: which function is meant, and how its values travel."""

import signal
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from offload.codec import Signature

SOFT_TIMEOUT = signal.SIGUSR1
"""Raises `JobTimeout` in a function."""

MESSAGE = 1 << 17
"""More bytes than there are in any message to or from a template."""


@lru_cache
def signature_of(function: Callable[..., object]) -> Signature:
    """Return how the values of an isolated function travel; reading its annotations takes long."""
    return Signature(function, function.__qualname__)


def order_of(function: Callable[..., object], payload: bytes) -> dict[str, Any]:
    """Return what tells a process which function to call with what."""
    return {
        "module": function.__module__,
        "qualname": function.__qualname__,
        "payload": payload.decode(),
    }
