"""A random history of a queue, played on the real store while the disk is recorded.

Each operation is played on the model first, so what the store owes after it is known without
asking the store. A group is committed together while the disk is slow, as under load. The file is
open twice, as in two processes, and each operation goes to one of the two.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from offload.core.job import Job, NewJob
from offload.core.records import Failure, Finish, Report
from offload.core.retry import RetryPolicy
from offload.core.states import Move
from offload.core.unique import UniqueKey
from offload.store.base import Beat, JobFilter, Store
from offload.store.memory import MemoryStore
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from tests.power.log import Acknowledged, Issued, Log, Records
from tests.power.vfs import Point, RecordingVFS, recording

STEPS = 100
MOST = 1000
"""More than a history ever holds of anything."""
WORKERS = ("w1", "w2")
MOVES = (Move.COMPLETE, Move.COMPLETE, Move.BURY, Move.FAIL, Move.RETRY, Move.RELEASE, Move.CANCEL)

Operation = Callable[[Store], Awaitable[object]]


async def records(store: Store) -> Records:
    """Return all that the port lets one read; what it does not promise is left out."""
    jobs = await store.search(JobFilter(limit=MOST))
    failed = [job.id for job in jobs if job.error is not None]
    errors = [replace(each, id=0) for job_id in failed for each in await store.errors(job_id)]
    letters = await store.dead_letters(MOST, 0)
    # How long ago a worker beat means nothing once its machine was off.
    workers = [replace(each, age=0.0, alive=False) for each in await store.workers()]
    return tuple(sorted(map(repr, (*jobs, *errors, *letters, *workers))))


class History:
    """Makes operations up as it goes; the seed and nothing else decides which."""

    def __init__(
        self, stores: list[SQLiteStore], clock: ManualClock, vfs: RecordingVFS, seed: str
    ) -> None:
        """Play on open stores of one file, whose clock is `clock` and whose disk is `vfs`."""
        self.states: list[Records] = []
        self._stores = stores
        self._clock = clock
        self._vfs = vfs
        self._model = MemoryStore(clock)
        self._rng = random.Random(seed)
        self._made = 0
        self._held: list[Job] = []
        self._dead: list[str] = []

    async def play(self, steps: int) -> None:
        """Let some time pass and do something, `steps` times."""
        self.states.append(await records(self._model))
        for _ in range(steps):
            self._clock.advance(self._rng.choice((0.0, 0.1, 2.0, 30.0)))
            match self._rng.randrange(24):
                case 0:
                    await self._reopened()
                case 1 | 2 | 3:
                    await self._together()
                case _:
                    await self._one(self._something())

    async def _one(self, operation: Operation) -> None:
        store = self._rng.choice(self._stores)
        number, expected = await self._issued(operation)
        self._acknowledged(number, expected, await operation(store))

    async def _together(self) -> None:
        """Let one operation commit, and others share the next commit, as on a slow disk."""
        store = self._rng.choice(self._stores)
        disk = self._vfs.hold(Point.COMMITTED)
        first = self._enqueue()
        number, expected = await self._issued(first)
        answer = asyncio.ensure_future(first(store))
        await disk.reached()
        count = self._rng.randint(2, 6)
        rest = [await self._queued(self._something(), store) for _ in range(count)]
        # Nothing of the next commit is on its way before the first is answered: so the log of
        # this history is always the same.
        next_commit = self._vfs.hold(Point.APPENDS)
        disk.open()
        self._acknowledged(number, expected, await answer)
        next_commit.open()
        answers = await asyncio.gather(*(each for _, _, each in rest))
        for (number, expected, _), got in zip(rest, answers, strict=True):
            self._acknowledged(number, expected, got)

    async def _queued(
        self, operation: Operation, store: SQLiteStore
    ) -> tuple[int, object, "asyncio.Future[object]"]:
        number, expected = await self._issued(operation)
        answer = asyncio.ensure_future(operation(store))
        await asyncio.sleep(0)  # to hand it to the writer, in this order
        return number, expected, answer

    async def _issued(self, operation: Operation) -> tuple[int, object]:
        expected = await operation(self._model)
        number = len(self.states)
        self.states.append(await records(self._model))
        self._dead = [letter.id for letter in await self._model.dead_letters(MOST, 0)]
        self._vfs.events.append(Issued(number))
        return number, expected

    def _acknowledged(self, number: int, expected: object, answer: object) -> None:
        assert answer == expected, f"operation {number} answered {answer}, owed was {expected}"
        self._vfs.events.append(Acknowledged(number))

    async def _reopened(self) -> None:
        # The last to close empties the log and removes it.
        closed = self._rng.choice((self._stores, self._stores[:1], self._stores[1:]))
        for store in closed:
            await store.close()
        for store in closed:
            await store.open()

    # --- operations --------------------------------------------------------------------------

    def _something(self) -> Operation:
        deeds: dict[Callable[[], Operation], int] = {
            self._enqueue: 5,
            self._claim: 6,
            self._finish: 8 if self._held else 0,
            self._report: 2 if self._held else 0,
            self._cancel: 2,
            self._retry_dead: 2 if self._dead else 0,
            self._prune: 1,
            self._beat: 2,
            self._retire: 1,
        }
        [deed] = self._rng.choices(list(deeds), list(deeds.values()))
        return deed()

    def _enqueue(self) -> Operation:
        jobs = [self._new() for _ in range(self._rng.choice((1, 1, 1, 4)))]
        return lambda store: store.enqueue(jobs)

    def _new(self) -> NewJob:
        rng = self._rng
        self._made += 1
        return NewJob(
            id=f"j{self._made}",
            task="t",
            queue=rng.choice(("a", "b")),
            payload=rng.randbytes(rng.choice((2, 200, 6000))),
            priority=rng.randint(-1, 1),
            delay=rng.choice((0.0, 0.0, 0.0, 60.0)),
            retry=RetryPolicy(rng.randint(0, 2)),
            expires=rng.choice((None, None, 40.0)),
            result_ttl=rng.choice((None, None, 20.0)),
            unique=rng.choice((None, None, UniqueKey("k1"), UniqueKey("k2"))),
            metadata=rng.choice((None, {"n": 1})),
            tags=rng.choice(((), ("x",))),
        )

    def _claim(self) -> Operation:
        worker, limit = self._rng.choice(WORKERS), self._rng.randint(1, 4)

        async def claim(store: Store) -> object:
            answer = await store.claim(worker, None, limit)
            if store is self._model:
                self._held += answer.jobs
            return answer

        return claim

    def _finish(self) -> Operation:
        count = self._rng.choice((1, 1, 1, 3))
        ends = [self._end(self._rng.choice(self._held)) for _ in range(count)]
        return lambda store: store.finish(ends)

    def _end(self, job: Job) -> Finish:
        move = self._rng.choice(MOVES)
        result = self._rng.randbytes(self._rng.choice((1, 50, 5000)))
        if move is Move.COMPLETE:
            return Finish(job.id, job.lease, move, result=result)
        failure = None if move is Move.RELEASE else Failure("Boom", f"{move} of {job.id}", "…" * 40)
        return Finish(job.id, job.lease, move, delay=self._rng.choice((0.0, 5.0)), failure=failure)

    def _report(self) -> Operation:
        job = self._rng.choice(self._held)
        news = [Report(job.id, job.lease, self._rng.randint(0, 100))]
        return lambda store: store.report(news)

    def _cancel(self) -> Operation:
        job_id, running = self._any_id(), self._rng.random() < 0.5
        return lambda store: store.cancel(job_id, running=running)

    def _retry_dead(self) -> Operation:
        self._made += 1
        dead_id, new_id = self._rng.choice(self._dead), f"j{self._made}"
        return lambda store: store.retry_dead(dead_id, new_id)

    def _prune(self) -> Operation:
        # Without a limit: which ones a limit leaves for the next time is the driver's affair.
        age = self._rng.choice((None, 20.0, 60.0))
        return lambda store: store.prune(
            jobs_older_than=age, dead_older_than=age, records_older_than=age, limit=MOST
        )

    def _beat(self) -> Operation:
        beat = Beat(self._rng.choice(WORKERS), 10.0, host="h", pid=1, concurrency=2)

        async def heartbeat(store: Store) -> object:
            return sorted(map(repr, await store.heartbeat(beat)))

        return heartbeat

    def _retire(self) -> Operation:
        worker = self._rng.choice(WORKERS)
        return lambda store: store.retire(worker)

    def _any_id(self) -> str:
        return f"j{self._rng.randint(1, max(1, self._made))}"


async def record(seed: str, folder: Path, *, synchronous: str = "FULL", steps: int = STEPS) -> Log:
    """Play the history that `seed` names in a folder, which is made, and return its log."""
    clock = ManualClock()
    with recording(seed, random.Random(seed).choice((4, 16, 64))) as vfs:
        path = folder / "jobs.db"
        stores = [SQLiteStore(path, clock=clock, synchronous=synchronous) for _ in range(2)]
        for store in stores:
            await store.open()
        history = History(stores, clock, vfs, seed)
        await history.play(steps)
        for store in stores:
            await store.close()
    return Log(tuple(vfs.events), tuple(history.states), clock.now())
