"""The request tasks of a process: who is taken, who runs and who waits, how each is stopped."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from offload.core.errors import DuplicateTask, TaskLimitReached, TasksClosed
from offload.core.request import Overflow, RequestStatus
from offload.inproc.gate import Gate, settle
from offload.inproc.options import PLAIN, RunnerOptions
from offload.inproc.records import Records
from offload.inproc.running import SHUTDOWN, Attempts
from offload.inproc.slots import Slots
from offload.inproc.task import RequestTask, now

T = TypeVar("T")

log = logging.getLogger("offload.inproc")


@dataclass(frozen=True, slots=True)
class RunnerStats:
    """How many request tasks there are."""

    active: int
    """Running."""
    pending: int
    """Not begun yet, or waiting for their next attempt."""
    left: int
    """Given up by timeout or shutdown, while their thread still runs."""
    ended: dict[str, int]
    """By status, since the process began."""


class Runner:
    """A task is first admitted, which makes it known, then `ready`: it starts in the next slot.

    Tasks run on the loop on which they were scheduled. Endpoints may be plain functions, so
    every method may be called in any thread.
    """

    def __init__(self, options: RunnerOptions | None = None) -> None:
        """Run nothing yet."""
        self.options = options = options or RunnerOptions()
        self.closed = False
        """Whether no more tasks are taken."""
        self._records = Records(options.result_ttl, options.max_records)
        self._coroutines = Slots(options.max_concurrency)
        self._threads = Slots(options.max_threads)
        self._attempts = Attempts(self, options)
        self._lock = threading.RLock()
        self.gate = Gate(self._room, self._lock)
        self.has_gate = options.overflow is Overflow.WAIT
        """Whether requests must enter the gate before they schedule."""
        self._watchers: list[asyncio.Future[None]] = []

    # --- asking --------------------------------------------------------------------------

    def admit(self, task: RequestTask[T], *, gated: bool = False) -> RequestTask[T]:
        """Take in a task, and return it, or the unfinished one that has its key.

        One of a request that came through the gate is taken whatever room there is.

        Raises:
            TasksClosed: the process is shutting down.
            TaskLimitReached: there is no room.
            DuplicateTask: an unfinished task has its key.
        """
        with self._lock:
            if self.closed:
                self._check_closed(task)
            if (
                task.options is not PLAIN
                and task.key is not None
                and (holder := self._in_the_way(task, task.key)) is not None
            ):
                return holder
            if not task.leaves:
                slots = self._coroutines if task.is_async else self._threads
                if gated or self._has_room(task, slots):
                    task.slots = slots
                    slots.unfinished += 1
            self._records.add(task)
        return task

    def ready(self, task: RequestTask[Any]) -> None:
        """Start a task that was admitted, now or when there is a slot."""
        with self._lock:
            if task.status.final:
                return
            starts = task.leaves or task.slots.take(task)
        started = starts and self._on_loop(task, self._attempts.start)
        if starts and not started and not task.leaves:
            self.free(task.slots)

    def follow(self, tasks: Iterator[RequestTask[Any]]) -> None:
        """Start tasks one after the other; how one ends does not matter to the next."""
        for task in tasks:
            if not task.status.final:
                task.when_ended(lambda: self.follow(tasks))
                self.ready(task)
                return

    def get(self, task_id: str) -> RequestTask[Any] | None:
        """Return a task; None if it is unknown, or forgotten since."""
        with self._lock:
            return self._records.get(task_id)

    def all(self) -> list[RequestTask[Any]]:
        """Return every task that is known: unfinished ones, then the others, the newest first."""
        with self._lock:
            return list(self._records.all())

    def stats(self) -> RunnerStats:
        """Count."""
        with self._lock:
            unfinished = list(self._records.unfinished)
            active = sum(task.status is RequestStatus.RUNNING for task in unfinished)
            left = len(self._coroutines.left) + len(self._threads.left)
            ended = {str(status): count for status, count in self._records.counts.items()}
            return RunnerStats(active, len(unfinished) - active, left, ended)

    def named(self, task: RequestTask[Any], task_id: str) -> str:
        """Return the id under which a task can be found; see `Once.named`."""
        with self._lock:
            return self._records.named(task, task_id)

    async def once(self, task: RequestTask[T]) -> T:
        """Call the function of a task once more; see `RequestTask.__call__`."""
        return await self._attempts.once(task)

    # --- stopping ------------------------------------------------------------------------

    def cancel(
        self, task: RequestTask[Any], reason: str = "cancelled", *, force: bool = False
    ) -> bool:
        """Stop a task, and say whether it has stopped or will.

        One that runs in a thread does not, nor does a shielded one that runs, except with
        `force`, nor one that is being stored as a job or has ended.
        """
        with self._lock:
            if task.status.final or (task.leaves and task.running is not None):
                return False
            if task.status is RequestStatus.RUNNING:
                if not task.is_async or (task.options.shield and not force):
                    return False
                self._interrupt(task, reason)
                return True
        self.end(task, RequestStatus.CANCELLED, reason=reason)
        return True

    def drop(self, task: RequestTask[Any], reason: str) -> None:
        """End a task that is not to run."""
        if not task.status.final:
            log.info("request task %s %s is dropped: %s", task.id, task.name, reason)
            self.end(task, RequestStatus.DROPPED, reason=reason)

    def shut(self, task: RequestTask[Any]) -> None:
        """Stop a task because the process ends; it becomes a job if it can."""
        if task.status is RequestStatus.RUNNING:
            self._interrupt(task, SHUTDOWN)
        elif task.new_job is None:
            self.end(task, RequestStatus.CANCELLED, reason=SHUTDOWN)
        elif task.running is None or not task.leaves:
            task.leaves = task.spills = True
            self._on_loop(task, self._attempts.start)

    async def idle(self, seconds: float) -> bool:
        """Return when no task is unfinished, or after some seconds; say which of the two."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                while self.unfinished():
                    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    with self._lock:
                        self._watchers.append(ended)
                    await ended
        except TimeoutError:
            return False
        return True

    def unfinished(self) -> list[RequestTask[Any]]:
        """Return the tasks that have not ended."""
        with self._lock:
            return list(self._records.unfinished)

    def left(self) -> list[RequestTask[Any]]:
        """Return the tasks that were given up and whose thread still runs."""
        with self._lock:
            return [*self._coroutines.left, *self._threads.left]

    # --- what its attempts report --------------------------------------------------------

    def free(self, slots: Slots) -> None:
        """Give a slot to the next that waits."""
        while True:
            with self._lock:
                follower = slots.next()
            if follower is None or self._on_loop(follower, self._attempts.start):
                return

    def leave(self, task: RequestTask[Any], thread: "asyncio.Future[Any]") -> None:
        """Give up on a thread, which nobody can stop; its slot is free when it ends."""
        slots: Slots = task.slots
        task.keeps_slot = True
        slots.left.append(task)

        def ended(_: "asyncio.Future[Any]") -> None:
            slots.left.remove(task)
            self.free(slots)

        thread.add_done_callback(ended)

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
        with self._lock:
            if task.status.final:
                return
            task.status, task.result, task.error, task.reason = status, result, error, reason
            task.finished_at = now()
            self._records.end(task)
            if task.slots is not None:
                task.slots.unfinished -= 1
            watchers = self._watchers
            if watchers:
                self._watchers = []
        # They may be large, and records are kept for a while.
        task.args, task.kwargs, task.context, task.running = (), {}, None, None
        if task.new_job is not None:
            task.new_job = replace(task.new_job, payload=b"")
        for ended in watchers:
            settle(ended)
        if task.ended:
            task.tell()
        self.gate.look()

    # --- inside --------------------------------------------------------------------------

    def _in_the_way(self, task: RequestTask[T], key: str) -> RequestTask[T] | None:
        holder = self._records.holder(key)
        if holder is None or (
            task.options.on_conflict == "replace" and self.cancel(holder, "replaced")
        ):
            return None
        if task.options.on_conflict == "return":
            return holder
        raise DuplicateTask(key, holder.id)

    def _check_closed(self, task: RequestTask[Any]) -> None:
        if task.new_job is not None:
            task.leaves, task.spills = True, not task.leaves
        else:
            raise TasksClosed(
                f"{task.name}: this process is shutting down and takes no more request tasks; "
                "a queue task it would store"
            )

    def _has_room(self, task: RequestTask[Any], slots: Slots) -> bool:
        """Return whether there is room for a task; if not, it leaves for its queue.

        Raises:
            TaskLimitReached: it cannot.
        """
        if slots.unfinished < slots.most or self._waiting() < self.options.max_pending:
            return True
        if self.options.overflow is Overflow.SPILL and task.new_job is not None:
            task.leaves = task.spills = True
            return False
        task.status = RequestStatus.REJECTED
        self._records.counts[task.status] += 1
        raise TaskLimitReached(self.options.max_pending, self.options.retry_after)

    def _waiting(self) -> int:
        return self._coroutines.waiting + self._threads.waiting

    def _room(self) -> int:
        """Return how many more may come before one is refused."""
        with self._lock:
            free = sum(max(0, s.most - s.unfinished) for s in (self._coroutines, self._threads))
            return free + self.options.max_pending - self._waiting()

    def _interrupt(self, task: RequestTask[Any], reason: str) -> None:
        """Cancel the attempt that runs; in a thread, only the wait for it."""
        task.stop_reason = reason
        self._on_loop(task, self._stop)

    def _stop(self, task: RequestTask[Any]) -> None:
        if task.status is RequestStatus.RETRYING:  # its attempt has failed since
            self.end(task, RequestStatus.CANCELLED, reason=task.stop_reason)
        elif task.running is not None:
            task.running.cancel()

    def _on_loop(self, task: RequestTask[Any], call: Callable[[RequestTask[Any]], None]) -> bool:
        """Make a call on the task's loop; if that is closed, the task has ended: return False."""
        if task.loop is _running_loop():
            call(task)
            return True
        try:
            task.loop.call_soon_threadsafe(call, task)
        except RuntimeError:
            self.end(task, RequestStatus.CANCELLED, reason="its event loop is closed")
            return False
        return True


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
