"""A request task: what it is asked to do, and how far it has come."""

import asyncio
import contextlib
import contextvars
import functools
import inspect
import time
from collections.abc import Callable
from types import FunctionType
from typing import Any, Generic, Protocol, TypeVar

from offload.core.errors import OffloadError
from offload.core.job import NewJob
from offload.core.request import RequestStatus
from offload.inproc.call import Call
from offload.tasks.handle import JobHandle
from offload.tasks.ids import id_of, new_stamps
from offload.tasks.task import Task as QueueTask

T = TypeVar("T")

# Looked up in its class, a member costs as much as a call of a function.
_PENDING = RequestStatus.PENDING


class Once(Protocol):
    """What a task asks of its runner."""

    def named(self, task: "RequestTask[Any]", task_id: str) -> str:
        """Return the id under which the task can be found: this one, if it has none yet."""

    async def once(self, task: "RequestTask[T]") -> T:
        """Return what the function returns, or raise what it raises."""


class RequestTask(Generic[T]):
    """A function that runs in this process, and what came of it. Instants: Unix milliseconds."""

    attempt: int = 0
    """How often the function has been called."""
    started_at: int | None = None
    finished_at: int | None = None
    result: T | None = None
    """What it returned, if it has succeeded."""
    error: BaseException | None = None
    """What its last attempt raised, if it has failed."""
    reason: str | None = None
    """Why it was cancelled or dropped."""
    handler_error: BaseException | None = None
    """What `on_error` raised."""
    recovered: bool = False
    """Whether `await task()` in `on_error` made up for the failure."""
    job: JobHandle[T] | None = None
    """The job that it has become."""

    # For its runner:
    running: asyncio.Task[None] | asyncio.TimerHandle | None = None
    handling: bool = False
    stop_reason: str | None = None
    slots: Any = None
    """Those of which it takes one."""
    spills: bool = False
    """Whether it becomes a job only because it cannot stay."""
    known_id: str | None = None
    """Its id, once somebody has asked for it."""
    is_known: bool = False
    """Whether it can be looked up."""
    keeps_slot: bool = False
    """Whether its slot stays taken after its attempt, by a thread that goes on."""

    def __init__(
        self,
        call: Call,
        runner: Once,
        loop: asyncio.AbstractEventLoop,
        new_job: NewJob | None = None,
    ) -> None:
        """Ask for a call on `loop`, in the context of whoever asks; it may become `new_job`."""
        self.func, self.args, self.kwargs, self.options, self.mode = call
        self.status = _PENDING
        self._stamp = new_stamps()
        self.is_async = is_async(self.func)
        self.context: contextvars.Context | None = contextvars.copy_context()
        self.loop = loop
        self.new_job = new_job
        self.leaves = new_job is not None and self.options.durable is not False
        """Whether it becomes a job, and does not run here."""
        self._runner = runner
        self.ended: list[Callable[[], None]] = []
        """What is called when it has ended."""

    def __repr__(self) -> str:
        """Show what a log line needs, and none of the arguments."""
        return f"<RequestTask {self.id} {self.name} {self.status}>"

    @property
    def id(self) -> str:
        """A UUIDv7, made when somebody asks for it: nobody does for most tasks."""
        return self.known_id or self._runner.named(self, id_of(self._stamp))

    @property
    def name(self) -> str:
        """For people: as its options say, or the function's."""
        return self.options.name or path_of(self.func)

    @property
    def created_at(self) -> int:
        """When it was scheduled."""
        return self._stamp >> 12

    async def __call__(self) -> T:
        """Run the function once more, here and now; meant for `on_error`, where it recovers.

        Raises:
            Exception: what the function raises; `on_error` is not called again.
            OffloadError: the task has ended, and its arguments are gone.
        """
        if self.status.final:
            raise OffloadError(f"{self!r} has ended: schedule its function anew")
        return await self._runner.once(self)

    @property
    def key(self) -> str | None:
        """What no other unfinished task has; one that becomes a job has it there."""
        return None if self.leaves else self.options.key

    @property
    def job_id(self) -> str | None:
        """The id of the job that it becomes, or has become."""
        if self.job is not None:  # its key may have led to an older one
            return self.job.id
        return self.new_job.id if self.new_job is not None and self.leaves else None

    async def wait(self, timeout: float | None = None) -> RequestStatus:
        """Return its status once it has ended. What it did is in `result` and `error`.

        Raises:
            TimeoutError: it has not ended within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self.when_ended(functools.partial(_settle, loop, ended))
        async with asyncio.timeout(timeout):
            await ended
        return self.status

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call something when it has ended, or at once if it has."""
        self.ended.append(call)
        if self.status.final:
            self.tell()

    def tell(self) -> None:
        """Make the calls that were asked for, each once."""
        # Two threads may be here at once.
        with contextlib.suppress(IndexError):
            while True:
                self.ended.pop()()


def _settle(loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    with contextlib.suppress(RuntimeError):  # that loop has been closed
        loop.call_soon_threadsafe(settle)


def now() -> int:
    """Return the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def path_of(func: Callable[..., Any]) -> str:
    """Return `module.qualname` of a function, whatever wraps it."""
    if type(func) is FunctionType and not func.__dict__:  # as nearly all are
        return f"{func.__module__}.{func.__qualname__}"
    if isinstance(func, QueueTask):
        return func.name
    func = inspect.unwrap(func)
    while isinstance(func, functools.partial):
        func = func.func
    named = func if hasattr(func, "__qualname__") else type(func)
    return f"{named.__module__}.{named.__qualname__}"


def is_async(func: Callable[..., Any]) -> bool:
    """Return whether calling it gives a coroutine, as far as can be seen from outside."""
    if type(func) is FunctionType and not func.__dict__:
        return bool(func.__code__.co_flags & inspect.CO_COROUTINE)
    if isinstance(func, QueueTask):
        return func.executor == "async"
    while isinstance(func, functools.partial):
        func = func.func
    call = getattr(type(func), "__call__", None)  # noqa: B004 - is that one a coroutine function?
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(call)
