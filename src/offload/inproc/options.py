"""What can be said of request tasks: of one, and of all of an application."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from typing import TYPE_CHECKING, Any, TypedDict

from offload.core.errors import ConfigurationError
from offload.core.request import Overflow, When
from offload.core.retry import RetryPolicy

if TYPE_CHECKING:
    from offload.inproc.task import RequestTask

TaskErrorHandler = Callable[["RequestTask[Any]", Any], Awaitable[None] | None]
"""Called once, after the last attempt of a task has failed: `handler(task, error)`."""

ErrorTypes = type[BaseException] | Sequence[type[BaseException]]
ON_CONFLICT = ("raise", "return", "replace")


class TaskOptions(TypedDict, total=False):
    """What can be said of one request task; see `RequestOptions`."""

    name: str | None
    shield: bool | None
    on_error: TaskErrorHandler | None
    retry: int | RetryPolicy | None
    retry_on: ErrorTypes | None
    timeout: float | None
    key: str | None
    on_conflict: str
    when: str
    wait: bool
    durable: bool | None
    new_trace: bool


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """How a request task is run."""

    name: str | None = None
    """For people and logs; it need not be unique. By default the function's."""
    shield: bool | None = None
    """Whether it survives `cancel()` and, for longer than others, a shutdown."""
    on_error: TaskErrorHandler | None = None
    """Called after the last attempt has failed; `await task()` in it runs the function again."""
    retry: int | RetryPolicy | None = None
    """How many attempts may follow the first, with the backoff of queue tasks."""
    retry_on: ErrorTypes | None = None
    """Only these errors are retried."""
    timeout: float | None = None
    """Seconds that one attempt may take."""
    key: str | None = None
    """No two unfinished request tasks of a process have the same."""
    on_conflict: str = "raise"
    """If one has: "raise" DuplicateTask, "return" it, or "replace" it, which cancels it."""
    when: str = When.RETURNED
    """After which outcome of the request it runs, if it was scheduled for after the route."""
    wait: bool = False
    """For `after_route`: the response waits for its end, and becomes an error if it fails."""
    durable: bool | None = None
    """Of a queue task: False runs it here, and leaves it to its queue only if it must."""
    new_trace: bool = False
    """Whether its span begins a trace, linked to the request's, in place of being its child."""

    def __post_init__(self) -> None:
        """Refuse what cannot work where it is written.

        Raises:
            ConfigurationError: naming the option and its valid values.
        """
        object.__setattr__(self, "when", _choice("when", self.when, When))
        if self.on_conflict not in ON_CONFLICT:
            raise ConfigurationError(
                f"on_conflict={self.on_conflict!r}: must be one of {', '.join(ON_CONFLICT)}"
            )
        if self.timeout is not None:
            _positive("timeout", self.timeout)
        _check_retry(self)
        if self.on_error is not None and not callable(self.on_error):
            raise ConfigurationError(f"on_error={self.on_error!r}: must be a function(task, error)")

    @property
    def policy(self) -> RetryPolicy | None:
        """How to retry, if at all."""
        if isinstance(self.retry, int):
            return RetryPolicy(max_retries=self.retry)
        return self.retry

    def changed(self, options: TaskOptions) -> "RequestOptions":
        """Return these with some of them said anew.

        Raises:
            ConfigurationError: an option is unknown or wrong.
        """
        check_known(options, self)
        return replace(self, **options)


class RunnerLimits(TypedDict, total=False):
    """What can be said of all request tasks of a process; see `RunnerOptions`."""

    max_concurrency: int
    max_threads: int
    max_pending: int
    overflow: str
    retry_after: float
    drain_timeout: float
    shield_timeout: float
    result_ttl: float
    max_records: int
    slow_step: float
    log_args: bool


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """Limits of all request tasks of a process. Times are in seconds."""

    max_concurrency: int = 100
    """How many coroutines run at once."""
    max_threads: int = 16
    """How many plain functions run at once, in threads that `def` endpoints do not need."""
    max_pending: int = 10_000
    """How many may wait beyond those that run."""
    overflow: str = Overflow.REJECT
    """What happens to the next one: "reject", "wait" or "spill"."""
    retry_after: float = 1.0
    """What a client is told to wait when there is no room."""
    drain_timeout: float = 10.0
    """How long a shutdown waits for all tasks."""
    shield_timeout: float = 25.0
    """How long it waits for shielded ones, counted from the same moment."""
    result_ttl: float = 900.0
    """How long a task that has ended can be looked up."""
    max_records: int = 10_000
    """How many of those are kept, the newest."""
    slow_step: float = 0.25
    """From how long on a coroutine that holds up the loop without an await is told of."""
    log_args: bool = False
    """Whether failures are logged with the task's arguments, which may hold secrets."""

    def __post_init__(self) -> None:
        """Refuse what cannot work where it is written.

        Raises:
            ConfigurationError: naming the option and its valid values.
        """
        object.__setattr__(self, "overflow", _choice("overflow", self.overflow, Overflow))
        for name in ("max_concurrency", "max_threads"):
            _whole(name, getattr(self, name), 1)
        for name in ("max_pending", "max_records"):
            _whole(name, getattr(self, name), 0)
        for name in ("retry_after", "result_ttl", "slow_step"):
            _positive(name, getattr(self, name))
        if not 0 <= self.drain_timeout <= self.shield_timeout < inf:
            raise ConfigurationError(
                f"drain_timeout={self.drain_timeout!r}, shield_timeout={self.shield_timeout!r}: "
                "must be seconds, the second no less than the first"
            )


def check_known(said: Iterable[str], options: Any) -> None:
    """Return if all names are those of options.

    Raises:
        ConfigurationError: naming those that there are.
    """
    known = {each.name for each in fields(options)}
    if unknown := set(said) - known:
        raise ConfigurationError(
            f"{', '.join(sorted(unknown))}: no such option; there are: {', '.join(sorted(known))}"
        )


def _check_retry(options: RequestOptions) -> None:
    retry, types = options.retry, options.retry_on
    if isinstance(retry, bool) or not isinstance(retry, int | RetryPolicy | None):
        raise ConfigurationError(f"retry={retry!r}: must be a number or a RetryPolicy")
    if isinstance(retry, int):
        RetryPolicy(max_retries=retry)
    listed = [types] if isinstance(types, type) else types
    if listed is not None and not _are_errors(listed):
        raise ConfigurationError(f"retry_on={types!r}: must be one exception type or several")


def _are_errors(types: object) -> bool:
    return isinstance(types, Sequence) and all(
        isinstance(each, type) and issubclass(each, BaseException) for each in types
    )


def _choice(name: str, value: object, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ConfigurationError(f"{name}={value!r}: must be one of {', '.join(kind)}") from None


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
        raise ConfigurationError(f"{name}={value!r}: must be a number of seconds above 0")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name}={value!r}: must be a whole number, {least} or more")


PLAIN = RequestOptions()
