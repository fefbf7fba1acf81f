"""What a program holds to schedule request tasks."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from offload.core.request import Mode
from offload.inproc.call import Call, Taker
from offload.inproc.options import PLAIN, RequestOptions, TaskOptions
from offload.inproc.task import RequestTask

P = ParamSpec("P")
T = TypeVar("T")


class Scheduler:
    """Schedules functions to run in one mode, with one set of options."""

    def __init__(
        self, taker: Taker, mode: Mode = Mode.NOW, options: RequestOptions = PLAIN
    ) -> None:
        """Schedule with `taker`."""
        self._taker = taker
        self._mode = mode
        self._options = options

    def task(self, **options: Unpack[TaskOptions]) -> "Scheduler":
        """Return a scheduler with options: `tasks.task(name="mail", retry=3).schedule(send, to)`.

        Args:
            options: name, shield, on_error, retry, retry_on, timeout, key, on_conflict, when,
                wait, durable, new_trace; see `RequestOptions`.

        Raises:
            ConfigurationError: an option is unknown or wrong; the message names the valid ones.
        """
        return Scheduler(self._taker, self._mode, self._options.changed(options))

    @overload
    def schedule(
        self, func: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> RequestTask[T]: ...

    @overload
    def schedule(
        self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> RequestTask[T]: ...

    def schedule(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RequestTask[Any]:
        """Ask for a call of `func`, and return its task at once.

        A coroutine function runs on this event loop, a plain one in a thread, and a queue task
        becomes a job of its queue.

        Raises:
            TaskLimitReached: there is no room; in a request the client is answered 503.
            TasksClosed: the process is shutting down.
            DuplicateTask: an unfinished task has its key.
            ArgumentError: of a queue task: the arguments do not fit.
        """
        return self._taker.take(Call(func, args, kwargs, self._options, self._mode))
