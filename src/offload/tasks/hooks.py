"""What a program wants to be told of its jobs, and what it wants to do around them."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from inspect import isgeneratorfunction
from typing import Any

from offload.core.errors import ConfigurationError
from offload.tasks.context import JobContext


class Happening(StrEnum):
    """What can happen to a job in a worker."""

    START = "start"
    SUCCESS = "success"
    RETRY = "retry"
    FAILURE = "failure"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job; it is stored already, and nothing can change it."""

    happening: Happening
    job_id: str
    task: str
    queue: str
    attempt: int
    status: str
    """What the job is now: one of its public states."""
    error: str | None = None
    seconds: float | None = None
    """How long the function ran, if it did."""
    delay: float | None = None
    """Seconds until the next attempt, of a retry."""


Hook = Callable[[JobEvent], None] | Callable[[JobEvent], Coroutine[Any, Any, None]]
Middleware = Callable[[JobContext], Iterator[None]]


class Hooks:
    """The hooks and the middleware of one queue."""

    def __init__(self) -> None:
        """Have none."""
        self._hooks: dict[Happening, tuple[Hook, ...]] = {}
        self.middleware: tuple[Callable[[JobContext], AbstractContextManager[None]], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any hook."""
        return bool(self._hooks)

    def of(self, happening: Happening) -> tuple[Hook, ...]:
        """Return whom to tell, in the order in which they were added."""
        return self._hooks.get(happening, ())

    def add(self, happening: Happening, hook: Hook) -> None:
        """Tell `hook` of such events from now on.

        Raises:
            ConfigurationError: it is no function.
        """
        if not callable(hook):
            raise ConfigurationError(f"hook {hook!r}: must be a function that takes a JobEvent")
        self._hooks[happening] = (*self.of(happening), hook)

    def wrap(self, middleware: Middleware) -> None:
        """Run `middleware` around every function from now on; the first one is outermost.

        Raises:
            ConfigurationError: it is no generator function.
        """
        if not isgeneratorfunction(middleware):
            name = getattr(middleware, "__qualname__", repr(middleware))
            raise ConfigurationError(
                f"middleware {name}: must be a `def` with one `yield`, where the function runs"
            )
        self.middleware = (*self.middleware, contextmanager(middleware))
