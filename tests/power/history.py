"""A random history of a queue, played on the real store while the disk is recorded.

Each operation is played on the model first, so what the store owes after it is known without
asking the store. A group is committed together while the disk is slow, as under load. The file is
open twice, as in two processes, and each operation goes to one of the two.
"""

import asyncio
import random
from pathlib import Path

from offload.store.base import Claim
from offload.store.memory import MemoryStore
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from tests.power.log import Acknowledged, Issued, Log, Records
from tests.power.reading import MOST, merged, records, token_line
from tests.power.vfs import Point, RecordingVFS, recording
from tests.power.workload import Operation, Workload

STEPS = 90


class History:
    """Plays what its workload makes up; the seed and nothing else decides what that is."""

    def __init__(
        self, stores: list[SQLiteStore], clock: ManualClock, vfs: RecordingVFS, seed: str
    ) -> None:
        """Play on open stores of one file, whose clock is `clock` and whose disk is `vfs`."""
        self.states: list[Records] = []
        self.answers = ["nothing"]
        self._stores = stores
        self._clock = clock
        self._vfs = vfs
        self._model = MemoryStore(clock)
        self._rng = random.Random(seed)
        self._work = Workload(self._rng, clock)

    async def play(self, steps: int) -> None:
        """Let some time pass and do something, `steps` times."""
        self.states.append(await self._owed())
        for _ in range(steps):
            self._clock.advance(self._rng.choice((0.0, 0.1, 2.0, 30.0)))
            match self._rng.randrange(24):
                case 0:
                    await self._reopened()
                case 1 | 2 | 3:
                    await self._together()
                case _:
                    await self._one(self._work.something())

    async def _one(self, operation: Operation) -> None:
        store = self._rng.choice(self._stores)
        number, expected = await self._issued(operation)
        self._acknowledged(number, expected, await operation.on(store))

    async def _together(self) -> None:
        """Let one operation commit, and others share the next commit, as on a slow disk."""
        store = self._rng.choice(self._stores)
        disk = self._vfs.hold(Point.COMMITTED)
        first = self._work.enqueueing()
        number, expected = await self._issued(first)
        answer = asyncio.ensure_future(first.on(store))
        await disk.reached()
        count = self._rng.randint(2, 6)
        rest = [await self._queued(self._work.something(), store) for _ in range(count)]
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
        answer = asyncio.ensure_future(operation.on(store))
        await asyncio.sleep(0)  # to hand it to the writer, in this order
        return number, expected, answer

    async def _issued(self, operation: Operation) -> tuple[int, object]:
        expected = await operation.on(self._model)
        number = len(self.states)
        self.states.append(await self._owed())
        self.answers.append(f"{operation.name}: {expected}")
        await self._tell(expected)
        self._vfs.events.append(Issued(number))
        return number, expected

    async def _owed(self) -> Records:
        lines = [token_line(*token) for token in self._work.tokens.items()]
        return merged(await records(self._model), tuple(lines))

    async def _tell(self, answer: object) -> None:
        if isinstance(answer, Claim):
            self._work.held += answer.jobs
        self._work.dead = [letter.id for letter in await self._model.dead_letters(MOST, 0)]
        self._work.schedules = await self._model.schedules()

    def _acknowledged(self, number: int, expected: object, answer: object) -> None:
        told = f"operation {number}, {self.answers[number]}: {answer}"
        assert answer == expected, told
        if self._is_owed(number, answer):
            self._vfs.events.append(Acknowledged(number))

    def _is_owed(self, number: int, answer: object) -> bool:
        """Say whether this must be there from now on, and with it all that was before.

        What changes nothing promises nothing new. A claim that may be forgotten is owed from the
        next change on.
        """
        before, after = self.states[number - 1 : number + 1]
        if not isinstance(answer, Claim):
            return before != after
        expired = " ".join(before).count("expired") != " ".join(after).count("expired")
        return expired or any(job.lane is not None or not job.may_wait for job in answer.jobs)

    async def _reopened(self) -> None:
        # The last to close empties the log and removes it.
        closed = self._rng.choice((self._stores, self._stores[:1], self._stores[1:]))
        for store in closed:
            await store.close()
        for store in closed:
            await store.open()


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
    states, answers = tuple(history.states), tuple(history.answers)
    return Log(tuple(vfs.events), states, answers, clock.now())
