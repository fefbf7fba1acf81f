"""The model and a file, or a server, asked the same: every answer must be the same.

Whatever goes wrong.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from offload.core.errors import DependencyError, DuplicateJob
from offload.core.job import Job
from offload.core.records import Metric
from offload.core.states import TRANSITIONS
from offload.store.base import JobFilter, RecordFilter, Store
from offload.store.loop import IOLoop
from offload.store.memory import MemoryStore
from offload.store.postgres import PostgresStore
from offload.store.redis import RedisStore
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from tests.servers import postgres, valkey
from tests.store.draws import QUEUES, Fault

Answer = TypeVar("Answer")
Call = Callable[[Store], Awaitable[Answer]]

MEMORY = Path("/dev/shm")
"""A file system that forgets: what a power failure leaves is not this machine's question."""
ALL = JobFilter(limit=100_000)


@dataclass
class Counts:
    """How often what has happened, in all histories of this process."""

    steps: int = 0
    histories: int = 0
    transitions: Counter[str] = field(
        default_factory=lambda: Counter({f"{source} {move}": 0 for source, move in TRANSITIONS})
    )
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    digest: bytes = b""
    """Of all answers: the same for the same seed, whatever the timing of the faults was."""

    def note(self, answer: object) -> None:
        """Take an answer into the digest."""
        self.digest = sha256(self.digest + repr(answer).encode()).digest()

    def take(self) -> "Counts":
        """Return what was counted, and begin anew."""
        taken = replace(self)
        vars(self).update(vars(Counts()))
        return taken

    def add(self, other: "Counts") -> None:
        """Count what another process has counted as well."""
        self.steps += other.steps
        self.histories += other.histories
        for mine, its in zip(self.kinds(), other.kinds(), strict=True):
            mine.update(its)
        self.digest = sha256(self.digest + other.digest).digest()

    def kinds(self) -> tuple[Counter[str], ...]:
        """Return all that is counted by name."""
        return self.transitions, self.operations, self.faults


COUNTS = Counts()


class Pair:
    """Two stores: the model, and a file or a schema that two store objects share.

    Of a file's two objects one is asked as plain code asks it, which is also faster, and one on
    an event loop.
    """

    def __init__(self, driver: str) -> None:
        """Open the stores, all on one clock; the driver "memory" plays the model with itself.

        The driver may be the URL of a server; what is played there has a place of its own.
        """
        self.kept = ExitStack()
        self.url = driver
        if driver.startswith("postgresql:"):
            self.url = self.kept.enter_context(postgres.schema(driver))
        elif driver.startswith("redis:"):
            self.url = valkey.fresh(driver)
        self.runner = asyncio.Runner()
        self.drive = IOLoop().drive
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.clock = ManualClock()
        self.model = MemoryStore(self.clock)
        self.twin = MemoryStore(self.clock) if driver == "memory" else None
        self.files = [self.opened(), self.opened()]
        self.turn = 0
        self.stay = False

    def opened(self) -> Store:
        """Return another store on the one file."""
        if self.twin is not None:
            return self.twin
        path = Path(self.folder.name) / "jobs.db"
        store: Store = SQLiteStore(path, clock=self.clock, synchronous="NORMAL")
        if self.url.startswith("postgresql:"):
            store = PostgresStore(self.url, clock=self.clock)
        elif self.url.startswith("redis:"):
            store = RedisStore(self.url, clock=self.clock)
        self.run(store.open())
        return store

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what a coroutine gives on the loop."""
        # Not `Runner.run`: it sets a signal handler each time, a fifth of all there is to do.
        return self.runner.get_loop().run_until_complete(coroutine)

    def ask(self, store: Store, call: Call[Answer]) -> Any:
        """Return the answer of one store, asked in its own way; see `outcome`."""
        on_loop = store is self.files[1] and store is not self.twin
        return self.run(outcome(call, store)) if on_loop else self.look(store, call)

    def look(self, store: Store, call: Call[Answer]) -> Any:
        """Return the answer of one store, asked in the quickest way."""
        on_server = store is not self.model and ":" in self.url
        return (self.run if on_server else self.drive)(outcome(call, store))

    def reopen(self) -> None:
        """Close one of the two and open it anew; all must still be there."""
        self.run(self.files[self.turn].close())
        self.files[self.turn] = self.opened()

    def close(self) -> None:
        """Let go of everything."""
        for store in self.files:
            self.run(store.close())
        self.runner.close()
        self.folder.cleanup()
        self.kept.close()

    # --- asking --------------------------------------------------------------------------------

    def both(self, call: Call[Answer]) -> tuple[Answer, Answer]:
        """Return the answer of the model and that of the file, which may be in another order."""
        expected, answer = self._both(call)
        COUNTS.note(expected)
        return expected, answer

    def _both(self, call: Call[Answer]) -> tuple[Answer, Answer]:
        self.turn ^= not self.stay
        return self.ask(self.model, call), self.ask(self.files[self.turn], call)

    def same(self, name: str, call: Call[Answer], fault: Fault = Fault.NONE) -> Answer:
        """Require the same answer of both, and return it; a refusal is an answer, too."""
        COUNTS.operations[name] += 1
        expected = self._asked(call, fault)
        COUNTS.note(expected)
        return expected

    def _asked(self, call: Call[Answer], fault: Fault) -> Answer:
        if fault in {Fault.CUT, Fault.CLOSED} and self._had_effect(call, fault):
            return self._caught_up(call)
        if fault is Fault.LOST:
            COUNTS.faults[fault] += 1
            self._same(call)
        return self._same(call)

    def _same(self, call: Call[Answer]) -> Answer:
        expected, answer = self._both(call)
        assert answer == expected, difference(expected, answer)
        return expected

    def _had_effect(self, call: Call[Answer], fault: Fault) -> bool:
        """Interrupt a call of the file, and say whether it did all that it was asked for."""
        before = self.look(self.files[self.turn], self.everything)
        self.run(self._interrupted(call, fault))
        if fault is Fault.CLOSED:
            self.files[self.turn] = self.opened()
        changed: bool = self.look(self.files[self.turn], self.everything) != before
        COUNTS.faults[f"{fault}: {'with' if changed else 'without'} effect"] += 1
        return changed

    async def _interrupted(self, call: Call[Answer], fault: Fault) -> None:
        store = self.files[self.turn]
        task = asyncio.ensure_future(outcome(call, store))
        await asyncio.sleep(0)
        if fault is Fault.CLOSED:
            await store.close()
        task.cancel()
        # Whatever it says now: nobody hears it.
        await asyncio.gather(task, return_exceptions=True)
        if fault is Fault.CUT:
            await store.retire("nobody")  # waits until the writer is through with what came before
            if self.url:  # where there is more than one writer
                await store.close()
                await store.open()

    def _caught_up(self, call: Call[Answer]) -> Answer:
        expected: Answer = self.ask(self.model, call)
        self.compare()
        return expected

    async def everything(self, store: Store) -> dict[str, object]:
        """Return all that can be read of a store."""
        return await everything(store, self.in_order)

    def whole(self, wanted: RecordFilter) -> RecordFilter:
        """Return what to ask for so that no batch is cut; see `in_order`."""
        return replace(wanted, limit=100_000) if self.url else wanted

    def in_order(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Return records in an order that all agree on.

        The port promises none for metrics of one instant, and a server ends the jobs that
        somebody waits for after the others of their batch.
        """
        if not self.url or not any(isinstance(row, Metric) for row in rows):
            return rows
        numbers = sorted(row.id for row in rows)
        kept = sorted(rows, key=lambda row: (row.recorded_at, row.job_id, row.attempt))
        return [replace(row, id=number) for number, row in zip(numbers, kept, strict=True)]

    # --- reading -------------------------------------------------------------------------------

    def modelled(self) -> list[Job]:
        """Return all jobs of the model, oldest first."""
        return self.drive(self.model.search(ALL))[::-1]

    def compare_jobs(self) -> None:
        """Require that the jobs and their order are the same."""
        self._look_alike(lambda store: store.search(ALL))

    def compare(self) -> None:
        """Require that all that can be read is the same."""
        self._look_alike(self.everything)

    def _look_alike(self, call: Call[Answer]) -> None:
        self.turn ^= not self.stay
        expected, answer = self.look(self.model, call), self.look(self.files[self.turn], call)
        assert answer == expected, difference(expected, answer)


@dataclass(frozen=True)
class Refused:
    """How a call was refused: that is an answer, too."""

    why: str
    key: str = ""
    holder: str = ""


async def outcome(call: Call[Answer], store: Store) -> Any:
    """Return what a call answers, or a `Refused`."""
    try:
        return await call(store)
    except DuplicateJob as error:
        return Refused("duplicate", error.key, error.job_id)
    except DependencyError:
        return Refused("unknown parent")


async def everything(
    store: Store, in_order: Callable[[Sequence[Any]], Sequence[Any]]
) -> dict[str, object]:
    """Return all that can be read; of each record all but its number."""
    jobs = await store.search(ALL)
    ids = [job.id for job in jobs]
    found: dict[str, object] = {
        "jobs": jobs,
        "same jobs": await store.get(ids),
        "stats": [await store.stats(queue) for queue in (None, *QUEUES)],
        "queues": await store.queues(),
        "logs": numbered(await store.logs(RecordFilter(limit=100_000))),
        "metrics": numbered(in_order(await store.metrics(RecordFilter(limit=100_000)))),
        "dead letters": await store.dead_letters(100_000, 0),
        "schedules": await store.schedules(),
        "workers": sorted(await store.workers(), key=lambda row: row.id),
    }
    for job_id in ids:
        found[f"parts of {job_id}"] = numbered(await store.parts(job_id, 0, 1000))
        found[f"errors of {job_id}"] = numbered(await store.errors(job_id))
        found[f"repeats of {job_id}"] = await store.repeats(job_id)
        found[f"family of {job_id}"] = await store.family(job_id)
    return found


def difference(expected: Any, answer: Any) -> str:
    """Return where the answer of the file differs from that of the model, in a few lines."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        names = expected.keys() | answer.keys()
        return "\n".join(
            f"{name}: {difference(expected.get(name), answer.get(name))}"
            for name in sorted(names, key=str)
            if expected.get(name) != answer.get(name)
        )
    if isinstance(expected, list) and isinstance(answer, list) and len(expected) == len(answer):
        pairs = zip(expected, answer, strict=True)
        return "\n".join(difference(*pair) for pair in pairs if pair[0] != pair[1])
    if is_dataclass(expected) and type(expected) is type(answer):
        return difference(dict(vars_of(expected)), dict(vars_of(answer)))
    return f"the model has {expected!r}, the file {answer!r}"


def vars_of(row: Any) -> Iterator[tuple[str, object]]:
    """Return the fields of a dataclass, slots or not."""
    return ((field.name, getattr(row, field.name)) for field in fields(row))


def numbered(rows: Sequence[Any]) -> list[Any]:
    """Return records by their place, after checking that their own numbers rise."""
    numbers = [row.id for row in rows]
    assert numbers == sorted(set(numbers))
    return [replace(row, id=place) for place, row in enumerate(rows)]
