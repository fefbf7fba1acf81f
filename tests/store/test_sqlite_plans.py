"""What is asked all the time costs the same in a small store and in a large one."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from offload.core.lane import Lane
from offload.core.states import Move
from offload.core.unique import UniqueKey
from offload.store.sql import scripts
from offload.store.sqlite import SQLiteStore
from offload.store.sqlite.connection import connect
from offload.store.sqlite.statements import SQL
from offload.testing import ManualClock
from offload.testing.conformance.steps import beat, end, ending, new, put, run, take

# An operator's questions may read all there is: they do so beside the writer, and seldom.
READ_ALL = {
    "dead_letters",
    "logs",
    "metrics",
    "queues",
    "schedules",
    "search",
    "stats",
    "stats_of_queue",
    "workers",
}
# These read from an index's end as far as they must, or a table that stays small.
SHORT = {"lapsed": "jobs_running", "prune_metrics": "job_metrics", "prune_workers": "workers"}


@pytest.fixture(scope="module")
def schema() -> Iterator[apsw.Connection]:
    connection = connect(Path(":memory:"), "NORMAL")
    for _, script in scripts("offload.store.sqlite.migrations"):
        connection.execute(script)
    yield connection
    connection.close()


def plan(connection: apsw.Connection, sql: str) -> list[str]:
    """How SQLite would go about a statement, a line a step."""
    names = re.findall(r"(?<!:):(\w+)", sql)
    count = len(set(re.findall(r"\?\d+", sql))) or sql.count("?")
    bindings = dict.fromkeys(names) if names else (None,) * count
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]


@pytest.mark.parametrize("name", sorted(SQL.keys() - READ_ALL))
def test_no_statement_reads_a_whole_table(schema: apsw.Connection, name: str) -> None:
    tables = {row[0] for row in schema.execute("SELECT name FROM sqlite_schema")}
    scans = [step for step in plan(schema, SQL[name]) if step.startswith("SCAN")]
    read = [step for step in scans if step.split()[1] in tables]
    assert all(SHORT.get(name, "nothing") in step for step in read), read


class Crowds:
    """Jobs that are in nobody's way, in numbers that must not matter."""

    async def ended(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"e{n}" for n in range(count)))
        await store.finish([ending(job, Move.COMPLETE) for job in await take(store, count)])

    async def ready(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"r{n}" for n in range(count)), queue="other")

    async def later(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"l{n}" for n in range(count)), queue="other", delay=60.0)

    async def blocked(self, store: SQLiteStore, count: int) -> None:
        await run(store, "parent", queue="other")
        await put(store, *(f"b{n}" for n in range(count)), depends_on=("parent",))

    async def in_a_full_lane(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"f{n}" for n in range(count)), lane=Lane("full", max_running=1))
        await take(store)

    async def in_a_lane_that_opens_later(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"s{n}" for n in range(count)), lane=Lane("slow", interval=60.0))
        await take(store)

    async def of_a_paused_queue(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"p{n}" for n in range(count)), queue="paused", priority=9)
        await store.set_paused("paused", paused=True)

    async def expiring_later(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"x{n}" for n in range(count)), queue="other", expires=60.0)

    async def of_a_schedule(self, store: SQLiteStore, count: int) -> None:
        await put(store, *(f"t{n}" for n in range(count)), queue="other", schedule="often")


async def live(store: SQLiteStore) -> None:
    """Do all that a worker and a client do all the time."""
    await store.enqueue([new("a"), new("b", unique=UniqueKey("k")), new("c", priority=-1)])
    await put(store, "child", depends_on=("c",))
    await put(store, "late", delay=60.0)
    for _ in range(3):
        [job] = await take(store, queues=["default"])
        await beat(store)
        assert await end(store, job, Move.COMPLETE, ran=0.5)
    [child] = await take(store, queues=["default"])
    assert child.id == "child"
    assert await end(store, child, Move.RETRY, delay=60.0)
    assert await store.cancel("late")
    assert await store.prune(jobs_older_than=1000) is not None
    assert await store.get(["a", "child"])


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the steps of SQLite's machine on all connections that are opened from here on."""
    steps = [0]

    def step() -> bool:
        steps[0] += 1
        return False

    def hook(connection: apsw.Connection) -> None:
        connection.set_progress_handler(step, 10)

    apsw.connection_hooks.append(hook)
    try:
        yield steps
    finally:
        apsw.connection_hooks.remove(hook)


Fill = Callable[[str, int], Awaitable[int]]


@pytest.fixture
def fill(tmp_path: Path, clock: ManualClock) -> Fill:
    """Make a store with a crowd, live in it, and return the steps that this took."""

    async def filled(crowd: str, count: int) -> int:
        path = tmp_path / f"{count}.db"
        store = SQLiteStore(path, clock=clock, synchronous="NORMAL")
        await store.open()
        await getattr(Crowds(), crowd)(store, count)
        await store.close()
        with counted() as steps:
            await store.open()
            before = steps[0]
            await live(store)
            after = steps[0]
            await store.close()
        return after - before

    return filled


@pytest.mark.parametrize("crowd", [name for name in vars(Crowds) if not name.startswith("_")])
async def test_a_crowd_slows_nobody_down(fill: Fill, crowd: str) -> None:
    few, many = await fill(crowd, 20), await fill(crowd, 2000)
    assert many < few * 1.5, (few, many)


@pytest.mark.parametrize("move", [Move.COMPLETE, Move.FAIL])
async def test_a_batch_of_ends_leaves_all_other_statements_compiled(
    tmp_path: Path, move: Move
) -> None:
    store = SQLiteStore(tmp_path / "offload.db")
    await store.open()
    await put(store, *(f"j{n}" for n in range(600)))

    async def compiled() -> int:
        await store.finish([ending(job, move) for job in await take(store, 200)])
        assert store._writer is not None  # noqa: SLF001
        return await store._writer.submit(lambda tx: tx.connection.cache_stats()["misses"])  # noqa: SLF001

    await compiled()
    assert await compiled() == await compiled()
    await store.close()
