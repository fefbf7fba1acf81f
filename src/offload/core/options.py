"""How a task is to be run, and which of several sayings wins."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import cast

from offload.core.errors import ConfigurationError
from offload.core.retry import RetryPolicy

EXECUTORS = ("async", "thread", "process")
DEFAULT_QUEUE = "default"


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(value: object) -> bool:
    return (_whole(value) or isinstance(value, float)) and 0 <= cast("float", value) < inf


SECONDS = ("a number of seconds, 0 or more", _seconds)

VALID: dict[str, tuple[str, Callable[[object], bool]]] = {
    "max_retries": (
        "a whole number, 0 or more",
        lambda value: _whole(value) and cast("int", value) >= 0,
    ),
    "retry_backoff": SECONDS,
    "max_retry_delay": SECONDS,
    "timeout": (
        "a number of seconds above 0",
        lambda value: _seconds(value) and value != 0,
    ),
    "priority": ("a whole number; higher is sooner", _whole),
    "queue": ("a name", lambda value: isinstance(value, str) and value != ""),
    "result_ttl": SECONDS,
    "expires": SECONDS,
}
"""What each option may be, in words for the error message and as a test."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be said of a job at the call, on the task or on the queue; None says nothing.

    Times are in seconds.
    """

    max_retries: int | None = None
    retry_backoff: float | None = None
    max_retry_delay: float | None = None
    timeout: float | None = None
    priority: int | None = None
    queue: str | None = None
    result_ttl: float | None = None
    expires: float | None = None

    def __post_init__(self) -> None:
        """Refuse wrong values where they are written, not where a job would trip over them.

        Raises:
            ConfigurationError: naming the option and what it may be.
        """
        for name, (valid, fits) in VALID.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise ConfigurationError(f"{name}={value!r}: must be {valid}")

    def over(self, weaker: "Options") -> "Options":
        """Return these options, completed by `weaker`: call over task over queue."""
        said = {name: getattr(self, name) for name in VALID}
        return Options(
            **{name: getattr(weaker, name) if said[name] is None else said[name] for name in said}
        )

    def retry(self) -> RetryPolicy:
        """Return the retry policy; what nobody said has the documented default."""
        default = RetryPolicy()
        return RetryPolicy(
            default.max_retries if self.max_retries is None else self.max_retries,
            default.backoff if self.retry_backoff is None else self.retry_backoff,
            default.max_delay if self.max_retry_delay is None else self.max_retry_delay,
        )
