"""A queue under test: its jobs are in memory, its clock stands still, the test says what runs."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from math import inf
from typing import Any, Self, TypeVar

from offload.core.errors import ConfigurationError, OffloadError
from offload.core.instants import instant, moment
from offload.core.job import Job
from offload.queue import Queue
from offload.store.base import Store
from offload.store.clock import SystemClock
from offload.store.loop import IOLoop, is_driven
from offload.tasks.bridge import blocking
from offload.tasks.handle import JobHandle
from offload.tasks.registry import AnyTask
from offload.testing.clock import ManualClock
from offload.testing.held import HeldStore, Turn
from offload.testing.wanted import Wanted, listed
from offload.worker.janitor import Janitor
from offload.worker.timekeeper import Timekeeper
from offload.worker.userloop import UserLoop
from offload.worker.worker import WorkerOptions

R = TypeVar("R")
T = TypeVar("T")

PATIENCE = 5.0
"""Seconds after which `result()` without a timeout gives up: who waits runs no job."""


class Harness:
    """`with Harness(queue) as kit`, or `async with`: the queue on a fresh store, for a while.

    The tasks, their codec, the store, the worker and the hooks are the real ones; but jobs run
    when the test says so, whatever workers the program starts. Plain functions run in threads;
    coroutines on the loop that awaits `adrain` and its like, for other calls in a thread.

    Args:
        queue: that of the program under test; after the block it is as before.
        eager: run what is due as soon as it is enqueued, before the call returns.
        now: where the clock starts; by default, what the machine shows.
        concurrency: how many functions run at a time.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        eager: bool = False,
        now: datetime | None = None,
        concurrency: int = 1,
    ) -> None:
        """Change nothing yet.

        Raises:
            ConfigurationError: `now` has no time zone.
        """
        self._queue = queue
        self._client = queue._client  # noqa: SLF001 - there is no public way to another store
        self._clock = ManualClock(SystemClock().now() if now is None else instant("now", now))
        options = WorkerOptions(concurrency=concurrency, result_ttl=queue.result_ttl)
        self._store = HeldStore(self._clock, queue.tasks, options)
        self._keeper = Timekeeper(self._store, queue.tasks)
        self._stack = ExitStack()
        self.eager = eager

    def __enter__(self) -> Self:
        self._store.user_loop = self._stack.enter_context(UserLoop())
        loop = IOLoop()
        self._stack.callback(loop.stop)
        self._stack.callback(self._connect, self._client.store, self._client.loop)
        self._connect(self._store, loop, PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._stack.close)

    def _connect(self, store: Store, loop: IOLoop, patience: float | None = None) -> None:
        self._queue.store = store
        self._client.connect(store, loop, patience)

    # --- running -------------------------------------------------------------------------

    @property
    def eager(self) -> bool:
        """Whether jobs run as soon as they are enqueued; may be set."""
        return self._store.eager

    @eager.setter
    def eager(self, eager: bool) -> None:
        self._store.eager = eager

    async def adrain(self, limit: float = inf) -> list[JobHandle[Any]]:
        """Run what is due and what comes of it, until nothing is or `limit` runs were made.

        Returns the jobs that have ended, in the order in which they began. One that is to be
        retried has not: its time has yet to come.
        """
        turn = self._turn(limit)
        return self._handles(await self._on_loop(self._store.work(turn)))

    drain = blocking(adrain)

    async def arun(self, job: JobHandle[R]) -> JobHandle[R]:
        """Run this job alone, even before its time, and read it again.

        Raises:
            OffloadError: it is not pending, or something else than time keeps it from starting.
        """
        turn = self._turn(1, job.id)
        await self._on_loop(self._store.work(turn))
        await job.arefresh()
        if not turn.taken:
            raise OffloadError(
                f"{job!r} cannot run now: it is not pending, or waits for other jobs "
                f"({job.blocked_by}), or its queue is paused, or its task's limits are used up"
            )
        return job

    run = blocking(arun)

    def _turn(self, limit: float = inf, only: str | None = None) -> Turn:
        # Who is driven blocks the loop that it may be called on: nothing can run there.
        loop = self._store.user_loop if is_driven() else asyncio.get_running_loop()
        return Turn(loop, limit, only)

    # --- time ----------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """What the clock shows, in UTC."""
        return moment(self._clock.now())

    async def aadvance(self, duration: float | timedelta) -> None:
        """Let seconds pass: ticks of periodic tasks fire, jobs expire, what is old is removed.

        When eager, what becomes due on the way runs at its time; otherwise with the next drain.

        Raises:
            ConfigurationError: time does not go back.
        """
        seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
        await self.atravel_to(self.now + timedelta(seconds=seconds))

    advance = blocking(aadvance)

    async def atravel_to(self, when: datetime) -> None:
        """Let time pass until this moment; as `aadvance`."""
        target = instant("when", when)
        if target < self._clock.now():
            raise ConfigurationError(f"time does not go back: it is {self.now}, later than {when}")
        await self._on_loop(self._travel(target, self._turn().user_loop))

    travel_to = blocking(atravel_to)

    async def _travel(self, target: int, loop: asyncio.AbstractEventLoop) -> None:
        await self._keeper.look()  # what the code defines counts from here
        while (stop := min(await self._next_stop(), target)) > self._clock.now():
            self._clock.advance((stop - self._clock.now()) / 1000)
            await self._keeper.look()
            if self.eager:
                await self._store.work(Turn(loop))
        await Janitor(self._store, lambda: True, self._queue.result_ttl).sweep()

    async def _next_stop(self) -> float:
        now, due = self._clock.now(), await self._store.next_due()
        stops = [
            schedule.next_at
            for schedule in await self._store.schedules()
            if schedule.next_at > now and not schedule.paused and self._queue.tasks.fires(schedule)
        ]
        return min([*stops, inf if due is None or not self.eager else due])

    # --- looking -------------------------------------------------------------------------

    def enqueued(
        self,
        task: AnyTask | str | None = None,
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        queue: str | None = None,
        tags: Sequence[str] = (),
    ) -> list[JobHandle[Any]]:
        """Return what was enqueued in this block, oldest first, whatever has become of it.

        Raises:
            TaskNotRegistered: the queue has no such task.
            ArgumentError: the task cannot be called so.
        """
        return self._found(Wanted(self._known(task), args, kwargs, queue, tags))

    def assert_enqueued(
        self,
        task: AnyTask | str,
        /,
        *args: Any,
        count: int = 1,
        delay: float | timedelta | None = None,
        **kwargs: Any,
    ) -> list[JobHandle[Any]]:
        """Return the jobs of this call of a task; of all its calls, if no arguments are given.

        Raises:
            AssertionError: they are not `count`; the message lists what was enqueued.
        """
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        any_call = not args and not kwargs
        wanted = Wanted(self._known(task), None if any_call else args, kwargs, delay=seconds)
        found = self._found(wanted)
        if len(found) != count:
            there = listed([job.job for job in self.enqueued()], self._queue.tasks)
            raise AssertionError(
                f"{wanted} was enqueued {len(found)} times, not {count}; enqueued were:{there}"
            )
        return found

    def assert_not_enqueued(self, task: AnyTask | str, /, *args: Any, **kwargs: Any) -> None:
        """Be sure that there was no such call; as `assert_enqueued` with `count=0`."""
        self.assert_enqueued(task, *args, count=0, **kwargs)

    def _found(self, wanted: Wanted) -> list[JobHandle[Any]]:
        jobs = self._run(self._on_loop(self._store.all()))
        return self._handles([job for job in jobs if wanted.fits(job)])

    def _known(self, task: AnyTask | str | None) -> AnyTask | None:
        if task is None:
            return None
        return self._queue.tasks.get(task if isinstance(task, str) else task.name)

    def _handles(self, jobs: Sequence[Job]) -> list[JobHandle[Any]]:
        return [JobHandle(job, self._client) for job in jobs]

    async def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await self._client.call_on_loop(lambda _: coroutine)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._client.run(coroutine)
