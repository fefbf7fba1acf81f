"""How a task is to be run, and which of several sayings wins.

What is said at the call comes before what is said on the task, and that before the queue's own.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, TypedDict, TypeVar, cast

from offload.core.errors import ConfigurationError
from offload.core.job import OnParentFailure
from offload.core.lane import interval_of
from offload.core.retry import RetryPolicy
from offload.core.unique import Unique

EXECUTORS = ("async", "thread", "process")
DEFAULT_QUEUE = "default"


class QueueOptions(TypedDict, total=False):
    """What can be said of a job at the call, on the task or on the queue; None says nothing.

    Times are in seconds.
    """

    max_retries: int | None
    retry_backoff: float | None
    max_retry_delay: float | None
    retry_delays: Sequence[float] | None
    """What to wait before each retry instead; the last one holds for all further ones."""
    timeout: float | None
    """Of an attempt; infinity lifts what a weaker saying has."""
    priority: int | None
    """Higher is sooner."""
    expires: float | None
    """A job that has not started so long after it was enqueued is cancelled; infinity: never."""


class Options(QueueOptions, total=False):
    """What can be said of a job at the call or on the task."""

    queue: str | None
    result_ttl: float | None
    unique: bool | Unique | None
    on_parent_failure: str | None
    """cancel or run: what becomes of the job when one that it waits for ends without a result."""


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a number, as of seconds, and no truth value."""
    return _whole(value) or isinstance(value, float)


def _seconds(value: object) -> bool:
    return is_number(value) and 0 <= cast("float", value) < inf


def _list(value: object, fits: Callable[[object], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(fits, value))


def _error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _rate(value: object) -> bool:
    return isinstance(value, str) and interval_of(value) > 0


def _name(value: object) -> bool:
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    # A lone surrogate, as of an odd file name, is no text that every store can keep.
    return value == value.encode(errors="replace").decode()


Valid = tuple[str, Callable[[object], bool]]
"""What a value may be, in words for the error message and as a test."""

SECONDS = ("a number of seconds, 0 or more", _seconds)
PATIENCE = ("a number of seconds, or None for as long as it takes", is_number)
COUNT = ("a whole number, 0 or more", lambda value: _whole(value) and cast("int", value) >= 0)
SOME = ("a whole number, 1 or more", lambda value: _whole(value) and cast("int", value) >= 1)
NAME = ("a name: valid text, not empty", _name)
ERRORS = ("an exception type or a list of them", lambda v: _error(v) or _list(v, _error))

VALID: dict[str, Valid] = {
    "max_retries": COUNT,
    "retry_backoff": SECONDS,
    "max_retry_delay": SECONDS,
    "retry_delays": ("a list of seconds, each 0 or more", lambda value: _list(value, _seconds)),
    "timeout": (
        "a number of seconds above 0; float('inf') for none",
        lambda value: is_number(value) and cast("float", value) > 0,
    ),
    "priority": ("a whole number; higher is sooner", _whole),
    "queue": NAME,
    "expires": (
        "a number of seconds, 0 or more; float('inf') for never",
        lambda value: is_number(value) and cast("float", value) >= 0,
    ),
    "result_ttl": SECONDS,
    "unique": (
        "True, False or Unique(…)",
        lambda value: isinstance(value, bool | Unique),
    ),
    "on_parent_failure": (
        "'cancel' or 'run'",
        lambda value: value in list(OnParentFailure),
    ),
    "executor": (
        f"one of {', '.join(EXECUTORS)}",
        lambda value: value in EXECUTORS,
    ),
    "retry_on": ERRORS,
    "no_retry_on": ERRORS,
    "rate_limit": ("a text such as '10/s'", _rate),
    "max_concurrency": SOME,
    "limit_key": (
        "a function of the task's arguments, or the name of one",
        lambda value: callable(value) or (isinstance(value, str) and value != ""),
    ),
}
"""What each option may be."""

O = TypeVar("O", bound=QueueOptions)  # noqa: E741 - options of either kind


def require(name: str, value: object, valid: Valid) -> None:
    """Return if the argument of that name may have this value.

    Raises:
        ConfigurationError: naming the argument and what it may be.
    """
    words, fits = valid
    if not fits(value):
        raise ConfigurationError(f"{name}={value!r}: must be {words}")


def require_text(name: str, word: object) -> None:
    """Return if a filter is one name, or None."""
    if not isinstance(word, str | None):
        raise ConfigurationError(f"{name}={word!r}: give one name, or None for all")


def checked(said: O, known: type[O]) -> O:
    """Return what was said, without what is None, refusing wrong values where they are written.

    Raises:
        ConfigurationError: an option is not `known` or wrong, or two contradict each other.
    """
    for name in said:
        if name not in known.__annotations__:
            there = ", ".join(known.__annotations__)
            raise ConfigurationError(f"unknown option {name!r}; there are: {there}")
    kept = {name: value for name, value in said.items() if value is not None}
    for name, value in kept.items():
        if name in VALID:
            require(name, value, VALID[name])
    if kept.get("retry_delays") and kept.keys() & {"retry_backoff", "max_retry_delay"}:
        raise ConfigurationError(
            "retry_delays= says what to wait before each retry: "
            "leave out retry_backoff= and max_retry_delay="
        )
    return cast("O", kept)


def over(stronger: Mapping[str, Any], weaker: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stronger options, completed by the weaker ones; both are `checked`."""
    if stronger.keys() & {"retry_backoff", "max_retry_delay"}:
        # Who says how to back off does not want somebody else's list.
        weaker = {name: weaker[name] for name in weaker if name != "retry_delays"}
    return {**weaker, **stronger}


def retry_policy(options: Options) -> RetryPolicy:
    """Return the retry policy; what nobody said has the documented default."""
    default = RetryPolicy()
    return RetryPolicy(
        _or(options.get("max_retries"), default.max_retries),
        _or(options.get("retry_backoff"), default.backoff),
        _or(options.get("max_retry_delay"), default.max_delay),
        tuple(_or(options.get("retry_delays"), default.delays)),
    )


T = TypeVar("T")


def _or(said: T | None, default: T) -> T:
    return default if said is None else said
