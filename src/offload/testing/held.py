"""A store in memory that gives its jobs to nobody but the kit's own workers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from offload.core.job import Job, NewJob
from offload.core.records import Finish
from offload.core.schedule import Schedule
from offload.core.states import State
from offload.store.base import Channel, Claim
from offload.store.clock import Clock
from offload.store.memory import MemoryStore, claiming
from offload.tasks.registry import Registry
from offload.worker.worker import Worker, WorkerOptions

SLOW_POLL = 1.0


@dataclass(slots=True)
class Turn:
    """What a worker is to run, on which loop its coroutines, and what it has taken."""

    user_loop: asyncio.AbstractEventLoop
    left: float = inf
    only: str | None = None
    taken: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class HeldStore(MemoryStore):
    """The real store, run by the real worker; all that differs is when a worker may claim."""

    eager: bool
    """Whether jobs run as soon as they are enqueued."""
    user_loop: asyncio.AbstractEventLoop
    """Where their coroutines run then."""

    def __init__(self, clock: Clock, registry: Registry, options: WorkerOptions) -> None:
        """Start empty, for workers with these options."""
        super().__init__(clock)
        self._registry = registry
        self._options = options
        self._turns: dict[str, Turn] = {}
        self._put: set[str] = set()

    async def work(self, turn: Turn) -> list[Job]:
        """Run what is due until nothing is, and return the jobs that have ended, as they began."""
        worker = Worker(self, self._registry, self._options, turn.user_loop)
        self._turns[worker.id] = turn
        hurry = asyncio.Event()
        working = asyncio.create_task(worker.run(turn.over, hurry))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            turn.over.set()
            hurry.set()  # what runs is stopped and given back, as when a worker is cancelled
            await working
            raise
        finally:
            del self._turns[worker.id]
        taken = await self.get(list(dict.fromkeys(turn.taken)))
        return [job for job in taken if job is not None and job.is_final]

    async def all(self) -> list[Job]:
        """Return all jobs, in the order in which they were enqueued."""
        return list(self._db.jobs.values())

    async def next_due(self) -> int | None:
        """Let go of what has expired, and return when time alone lets the next job start."""
        claim = await super().claim("", None, 0)
        return None if claim.next_due is None else await self.now() + round(claim.next_due * 1000)

    # --- what differs --------------------------------------------------------------------

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take jobs, if it is this worker's turn, which is over when nothing runs or is due."""
        turn = self._turns.get(worker)
        if turn is None:
            return Claim([])  # a worker of the program itself must not run ahead of the test
        running = sum(job.worker == worker for job in self._db.jobs.values())
        # None ahead of its start: what is given back would come after others.
        limit = int(min(limit, turn.left, self._options.concurrency - running))
        if turn.only is None:
            jobs = (await super().claim(worker, queues, limit)).jobs
        else:
            jobs = claiming.claim_these(self._db, worker, [turn.only][:limit])
        turn.left -= len(jobs)
        turn.taken += [job.id for job in jobs]
        if not running and not jobs:
            turn.over.set()
        return Claim(jobs)

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply the ends, and wake the worker that waits for its last one."""
        applied = await super().finish(finishes)
        self._db.signals.notify(Channel.READY)
        return applied

    async def put_schedules(self, schedules_: Sequence[Schedule]) -> None:
        """Store those of the code once: to a test, all workers are one that goes on."""
        fresh = [each for each in schedules_ if each.edited or each.name not in self._put]
        self._put |= {each.name for each in schedules_}
        await super().put_schedules(fresh)

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store the jobs; when eager, return them as they are when all that is due has run."""
        return await self._eagerly(await super().enqueue(jobs))

    async def retry_dead(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Put fresh jobs in the letters' places; as `enqueue`."""
        made = await super().retry_dead(new_ids)
        return dict(zip(made, await self._eagerly(made.values()), strict=True))

    async def replay(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Put fresh jobs beside those that have ended; as `enqueue`."""
        made = await super().replay(new_ids)
        return dict(zip(made, await self._eagerly(made.values()), strict=True))

    async def _eagerly(self, jobs: Iterable[Job]) -> list[Job]:
        stored = list(jobs)
        if not self.eager:
            return stored
        await self.work(Turn(self.user_loop))
        # Another thread that enqueued at the same moment may have taken them.
        await self._over({job.id for job in stored if job.state is State.PENDING})
        return [self._db.jobs.get(job.id, job) for job in stored]

    async def _over(self, ids: set[str]) -> None:
        while True:
            cursor = self.cursor(Channel.CHANGED)
            if not any(job.id in ids and job.state is State.RUNNING for job in await self.all()):
                return
            await self.wait(Channel.CHANGED, cursor, SLOW_POLL)
