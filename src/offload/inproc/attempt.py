"""Calls the function of a request task once, and its error handler."""

import asyncio
import contextlib
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from offload.inproc.task import RequestTask, is_async
from offload.inproc.threads import Threads
from offload.inproc.tracing import Collecting, span
from offload.tasks.task import Task as QueueTask

T = TypeVar("T")
Leave = Callable[[RequestTask[Any], "asyncio.Future[Any]"], None]


class Caller:
    """Calls coroutine functions on the running loop, and plain ones in threads."""

    def __init__(self, leave: Leave) -> None:
        """Tell `leave` of each thread that is given up."""
        self._leave = leave
        self._threads = Threads()
        self._is_traced = Collecting()

    def call(self, task: RequestTask[T]) -> Awaitable[T]:
        """Return, when awaited, what the function returns, or raise what it raises.

        Raises:
            TimeoutError: it took longer than the task's timeout. A coroutine was cancelled; a
                thread goes on, and keeps the slot of its task until it ends.
        """
        task.attempt += 1
        if task.is_async and task.options.timeout is None and not self._is_traced():
            # Nothing stands between the asyncio task and the function: as nearly always.
            return cast("Awaitable[T]", task.func(*task.args, **task.kwargs))
        return self._call(task)

    async def _call(self, task: RequestTask[T]) -> T:
        call = functools.partial(plain(task.func), *task.args, **task.kwargs)
        with span(task) if self._is_traced() else contextlib.nullcontext():
            if task.is_async:
                value: Any = call()
            else:
                value = await self._in_thread(task, call)
            if inspect.isawaitable(value):
                value = await self._awaited(task, value)
        return cast("T", value)

    async def handle(self, task: RequestTask[Any], error: BaseException) -> None:
        """Call the task's error handler, in a thread if it is a plain function."""
        handler = cast("Callable[..., Any]", task.options.on_error)
        value = (
            handler(task, error)
            if is_async(handler)
            else await self._threads.call(
                contextvars.copy_context(), functools.partial(handler, task, error)
            )
        )
        if inspect.isawaitable(value):
            await value

    async def _awaited(self, task: RequestTask[Any], value: Any) -> Any:
        limit = task.options.timeout
        if limit is None:
            return await value
        within = asyncio.timeout(limit)
        try:
            async with within:
                return await value
        except TimeoutError as error:
            if within.expired():
                raise _late(task) from error
            raise

    async def _in_thread(self, task: RequestTask[Any], call: Callable[[], Any]) -> Any:
        thread = self._threads.call(contextvars.copy_context(), call)
        try:
            await asyncio.wait({thread}, timeout=task.options.timeout)
        finally:
            if not thread.done():
                thread.add_done_callback(_seen)
                if not task.handling:  # where it is called once more, it has no slot to keep
                    self._leave(task, thread)
        if not thread.done():
            raise _late(task)
        return thread.result()


def plain(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is called: a queue task's own function, or the function itself."""
    return func.function if isinstance(func, QueueTask) else func


def _late(task: RequestTask[Any]) -> TimeoutError:
    limit = task.options.timeout
    return TimeoutError(f"attempt {task.attempt} took longer than timeout={limit:g} s")


def _seen(thread: "asyncio.Future[Any]") -> None:
    """Take note of an error that nobody waits for any more, or asyncio would report it."""
    if not thread.cancelled():
        thread.exception()
