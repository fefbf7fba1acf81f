"""The attempts of a request task: what each leads to, and what its handler makes of the last."""

import asyncio
import logging
import random
import traceback
from typing import Any, Protocol, TypeVar

from offload.core.errors import OffloadError
from offload.core.request import RequestStatus, retry_delay
from offload.inproc import handover
from offload.inproc.attempt import Caller
from offload.inproc.options import RunnerOptions
from offload.inproc.slots import Slots
from offload.inproc.task import RequestTask, now, path_of
from offload.inproc.watch import Watched
from offload.tasks.definition import error_types

T = TypeVar("T")

SHUTDOWN = "shutdown"

# Looked up in its class, a member costs as much as a call of a function.
_RUNNING, _SUCCEEDED = RequestStatus.RUNNING, RequestStatus.SUCCEEDED

log = logging.getLogger("offload.inproc")


class Keeper(Protocol):
    """Who says which task may run, and keeps what became of it."""

    def ready(self, task: RequestTask[Any]) -> None:
        """Start the task when there is a slot."""

    def free(self, slots: Slots) -> None:
        """Give a slot to the next."""

    def leave(self, task: RequestTask[Any], thread: "asyncio.Future[Any]") -> None:
        """Give up on a thread, which keeps the slot of its task until it ends."""

    def end(
        self,
        task: RequestTask[Any],
        status: RequestStatus,
        *,
        result: object = None,
        error: BaseException | None = None,
        reason: str | None = None,
    ) -> None:
        """Note how a task has ended, the first time that it is said."""


class Attempts:
    """Every attempt is an asyncio task of its own, so that no failure reaches another.

    Nothing that a function or its handler raises gets out, `KeyboardInterrupt` excepted.
    """

    def __init__(self, keeper: Keeper, options: RunnerOptions) -> None:
        """Report to `keeper`."""
        self._keeper = keeper
        self._caller = Caller(keeper.leave)
        self._log_args = options.log_args
        self.slow_step = options.slow_step

    def start(self, task: RequestTask[Any]) -> None:
        """Start an attempt on the running loop, in the task's slot; or make a job of it."""
        work = self._enqueue(task) if task.leaves else self._attempt(task)
        task.running = task.loop.create_task(
            Watched(work, task, self),
            name=task.name,
            context=None if task.context is None else task.context.copy(),
        )

    async def once(self, task: RequestTask[T]) -> T:
        """Call the function of a task once more; see `RequestTask.__call__`."""
        value = await self._caller.call(task)
        if task.handling:
            task.recovered, task.result = True, value
        return value

    def slow(self, whose: RequestTask[Any], seconds: float) -> None:
        """See `Watcher.slow`."""
        log.warning(
            "%s held the event loop for %.0f ms without an await: every request of this process "
            "waited; make it a plain function, which runs in a thread, or call what blocks with "
            "asyncio.to_thread",
            _words(whose),
            seconds * 1000,
        )

    def unbegun(self, whose: RequestTask[Any]) -> None:
        """End a task whose attempt was cancelled before its first step."""
        if not whose.leaves:
            self._keeper.free(whose.slots)
        self._keeper.end(whose, RequestStatus.CANCELLED, reason=_why(whose))

    async def _attempt(self, task: RequestTask[Any]) -> None:
        task.keeps_slot = False
        try:
            if task.status.final or task.leaves:  # cancelled since, or shut down
                return
            task.status = _RUNNING
            task.started_at = task.started_at or now()
            try:
                value = await self._caller.call(task)
            except KeyboardInterrupt as raised:
                self._keeper.end(task, RequestStatus.FAILED, error=raised)
                raise
            except BaseException as raised:  # noqa: BLE001 - SystemExit must not end the server
                error = raised
            else:
                self._keeper.end(task, _SUCCEEDED, result=value)
                return
            # Outside of `except`, or whatever the handler raises would be chained to this error.
            if _was_stopped(task, error):
                await self._stopped(task)
            else:
                await self._failed(task, error)
        finally:
            if not task.keeps_slot:
                self._keeper.free(task.slots)

    async def _stopped(self, task: RequestTask[Any]) -> None:
        if task.stop_reason == SHUTDOWN and task.new_job is not None:
            task.leaves = task.spills = True
            await self._enqueue(task)
        else:
            self._keeper.end(task, RequestStatus.CANCELLED, reason=_why(task))

    async def _failed(self, task: RequestTask[Any], error: BaseException) -> None:
        options = task.options
        types = error_types(options.retry_on)
        delay = retry_delay(options.policy, types, error, task.attempt, random.random)
        task.error = error
        if delay is not None and task.stop_reason is None:
            log.warning("%s failed, next in %.1f s: %s", _words(task), delay, _short(error))
            task.status = RequestStatus.RETRYING
            task.running = task.loop.call_later(delay, self._keeper.ready, task)
            return
        self._tell(task, error)
        if options.on_error is not None:
            await self._handle(task, error)
        if task.recovered:
            self._keeper.end(task, RequestStatus.SUCCEEDED, result=task.result)
        else:
            self._keeper.end(task, RequestStatus.FAILED, error=error, reason=task.stop_reason)

    async def _handle(self, task: RequestTask[Any], error: BaseException) -> None:
        task.handling = True
        try:
            await self._caller.handle(task, error)
        except KeyboardInterrupt:
            raise
        except BaseException as raised:
            task.handler_error = raised
            if not _was_stopped(task, raised):
                log.exception("%s: its on_error raised", _words(task))
        finally:
            task.handling = False

    async def _enqueue(self, task: RequestTask[Any]) -> None:
        try:
            status = await handover.enqueue(task)
        except asyncio.CancelledError:
            self._keeper.end(task, RequestStatus.CANCELLED, reason=_why(task))
        except OffloadError as error:
            log.error("%s was not enqueued: %s", _words(task), error)  # noqa: TRY400 - a line says it
            self._keeper.end(task, RequestStatus.FAILED, error=error)
        except Exception as error:
            log.exception("%s was not enqueued", _words(task))
            self._keeper.end(task, RequestStatus.FAILED, error=error)
        else:
            self._keeper.end(task, status)

    def _tell(self, task: RequestTask[Any], error: BaseException) -> None:
        seconds = (now() - (task.started_at or now())) / 1000
        failed = "%s failed in attempt %d after %.3f s"
        said = (_words(task), task.attempt, seconds)
        if self._log_args:
            called = f"{failed}, called with %r %r"
            log.error(called, *said, task.args, task.kwargs, exc_info=error)
        else:
            log.error(failed, *said, exc_info=error)


def _was_stopped(task: RequestTask[Any], error: BaseException) -> bool:
    """Whether somebody stopped the task; a function may also raise CancelledError by itself."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    running = asyncio.current_task()
    return task.stop_reason is not None or (running is not None and running.cancelling() > 0)


def _why(task: RequestTask[Any]) -> str:
    return task.stop_reason or "its event loop ended it"


def _words(task: RequestTask[Any]) -> str:
    path = path_of(task.func)
    return f"request task {task.id} {task.name}" + ("" if path == task.name else f" ({path})")


def _short(error: BaseException) -> str:
    # Whatever the error's own `__str__` does, this does not raise.
    return "".join(traceback.format_exception_only(error)).strip()
