"""What only a file can show: two stores on it, other processes, and what it keeps."""

import asyncio
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import apsw
import pytest

from offload.core.errors import ConfigurationError
from offload.core.records import LogLine, Report
from offload.core.states import Move, State
from offload.core.unique import UniqueKey
from offload.store.base import Channel, RecordFilter
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from offload.testing.conformance.steps import (
    FAR,
    MOVES,
    PATIENCE,
    beat,
    end,
    ended,
    everything,
    lapsed,
    put,
    read,
    run,
    soon,
    take,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@asynccontextmanager
async def opened(path: Path, clock: ManualClock | None = None) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, clock=clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[SQLiteStore]:
    async with opened(path, clock) as store:
        yield store


@pytest.fixture
async def other(path: Path, clock: ManualClock, store: SQLiteStore) -> AsyncIterator[SQLiteStore]:
    """A second store on the same file."""
    async with opened(path, clock) as other:
        yield other


@asynccontextmanager
async def child(deed: str, path: Path) -> AsyncIterator[Process]:
    """Another process that does what `tests.store.child` calls by this name."""
    command = [sys.executable, "-m", "tests.store.child", deed, str(path)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(process: Process) -> list[str]:
    """The words of the next line that the process says."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().split()


async def told(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


def sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file."""
    connection = apsw.Connection(str(path))
    try:
        return bool(connection.pragma("integrity_check") == "ok")
    finally:
        connection.close()


@contextmanager
def abreast(count: int) -> Iterator[None]:
    """Let the first `count` connections go on only when all of them are there.

    Should a driver open them one after the other, nobody waits for long.
    """
    barrier = Barrier(count, timeout=0.02)

    def hook(_: apsw.Connection) -> None:
        with suppress(BrokenBarrierError):
            barrier.wait()
            barrier.abort()

    apsw.connection_hooks.append(hook)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(hook)


class TestTwoStores:
    async def test_each_sees_the_others_jobs(self, store: SQLiteStore, other: SQLiteStore) -> None:
        await put(store, "a", "b")
        jobs = await take(other, 2)
        assert await store.get(["a", "b"]) == jobs
        assert await end(store, jobs[0], Move.COMPLETE)
        assert not await end(other, jobs[0], Move.COMPLETE)
        assert (await read(other, "a")).state is State.COMPLETE

    async def test_an_end_is_of_its_job_alone_though_another_has_its_place(
        self, store: SQLiteStore, other: SQLiteStore, clock: ManualClock
    ) -> None:
        """A row's number comes again when the newest row is gone, and a first lease is 1."""
        await put(store, "gone")
        [gone] = await take(store, 1)
        assert await end(other, gone, Move.COMPLETE)
        clock.advance(1)
        await other.prune(jobs_older_than=0)
        await put(other, "new")
        [new] = await take(other, 1)
        assert new.lease == gone.lease
        assert not await end(store, gone, Move.COMPLETE)
        assert await read(store, "new") == new

    @pytest.mark.parametrize("channel", [Channel.READY, Channel.CHANGED, Channel.CONTROL])
    async def test_each_wakes_the_other(
        self, store: SQLiteStore, other: SQLiteStore, channel: Channel
    ) -> None:
        await run(store, "a")
        released = await run(store, "b")
        # What was said before must not pass for the news that are to come.
        await soon(other.wait(Channel.CHANGED, 0, FAR))
        cursor = other.cursor(channel)
        waiter = asyncio.create_task(other.wait(channel, cursor, FAR))
        await asyncio.sleep(0)
        assert await store.cancel("a", running=True)
        await end(store, released, Move.RELEASE)
        await soon(waiter)
        assert other.cursor(channel) != cursor

    async def test_racers_on_both_for_a_key_all_get_the_one_job(
        self, store: SQLiteStore, other: SQLiteStore
    ) -> None:
        for key in ("k1", "k2", "k3"):
            racers = [
                put((store, other)[n % 2], f"{key}-{n}", unique=UniqueKey(key)) for n in range(64)
            ]
            winners = {job.id for [job] in await asyncio.gather(*racers)}
            assert len(winners) == 1
        assert (await store.stats())[State.PENDING] == 3

    async def test_claimers_on_both_never_share_a_job(
        self, store: SQLiteStore, other: SQLiteStore
    ) -> None:
        await put(store, *(f"j{n}" for n in range(100)))
        claims = [take((store, other)[n % 2], 4, worker=f"w{n}") for n in range(32)]
        seen = Counter(job.id for jobs in await asyncio.gather(*claims) for job in jobs)
        assert len(seen) == seen.total() == 100

    async def test_enders_on_both_have_one_winner(
        self, store: SQLiteStore, other: SQLiteStore
    ) -> None:
        job = await run(store, "a")
        ends = [end((store, other)[n % 2], job, MOVES[n % len(MOVES)]) for n in range(24)]
        assert (await asyncio.gather(*ends)).count(True) == 1

    async def test_many_that_create_the_file_at_once_agree(self, tmp_path: Path) -> None:
        """Several processes of one service start together, on a folder that is still empty."""
        for number in range(24):
            stores = [SQLiteStore(tmp_path / f"{number}.db") for _ in range(4)]
            with abreast(len(stores)):
                await asyncio.gather(*(store.open() for store in stores))
            await asyncio.gather(*(put(store, f"j{n}") for n, store in enumerate(stores)))
            assert (await stores[0].stats())[State.PENDING] == 4
            await asyncio.gather(*(store.close() for store in stores))


class TestAnotherProcess:
    async def test_it_is_seen_and_wakes_us(self, path: Path) -> None:
        woken = []
        async with opened(path) as store, child("follow", path) as process:
            assert await heard(process) == ["open"]
            for job_id in ("a", "b", "c"):
                cursor = store.cursor(Channel.READY)
                await told(process, job_id)
                # One wake-up may be lost; then the limit is what is left of it.
                await store.wait(Channel.READY, cursor, 5)
                woken.append(store.cursor(Channel.READY) != cursor)
                assert await heard(process) == ["enqueued", job_id]
                assert [job.id for job in await take(store)] == [job_id]
        assert any(woken)

    @pytest.mark.parametrize("deed", ["fall", "live"])
    async def test_what_it_was_told_outlives_its_death(self, path: Path, deed: str) -> None:
        lines = []
        async with child(deed, path) as process:
            while line := await heard(process):
                lines.append(line)
                if deed == "live" and len(lines) == 300:
                    process.kill()  # what it has said by then is still in the pipe
            assert await process.wait() == {"fall": 7, "live": -9}[deed]
        assert len(lines) > 100
        assert sound(path)
        async with opened(path) as store:
            for word, job_id, *lease in lines:
                job = await read(store, job_id)
                if word == "claimed":
                    assert job.lease >= int(*lease)
                if word == "finished":
                    assert (job.state, job.result) == (State.COMPLETE, job_id.encode())
            # Whatever it held comes back, and every job can be ended.
            for lapse in await store.lapsed(1000):
                assert await end(store, lapse.job, Move.RETRY)
            while jobs := await take(store, 100):
                assert all([await end(store, job, Move.COMPLETE) for job in jobs])
            counts = await store.stats()
            assert counts[State.COMPLETE] == sum(counts.values())


class TestKeeping:
    async def test_everything_is_there_after_a_close(self, path: Path, clock: ManualClock) -> None:
        names = [*MOVES, "waiting", "later", "running"]
        async with opened(path, clock) as store:
            for move in MOVES:
                await ended(store, move, move, priority=9, metadata={"n": 1}, tags=("t",))
                await store.cancel(move)
            await run(store, "running", unique=UniqueKey("k"))
            await put(store, "waiting")
            await put(store, "later", delay=60.0)
            await beat(store)
            before = await everything(store, *names), await store.workers()
        async with opened(path, clock) as store:
            assert (await everything(store, *names), await store.workers()) == before
            assert await lapsed(store) == set()
            assert [job.id for job in await put(store, "new", unique=UniqueKey("k"))] == ["running"]

    async def test_a_close_finishes_what_was_accepted(self, path: Path) -> None:
        store = SQLiteStore(path)
        await store.open()
        neighbour = apsw.Connection(str(path))
        neighbour.execute("BEGIN IMMEDIATE")
        # More than go into one transaction, so that some have to wait in line.
        calls = [asyncio.create_task(put(store, f"j{n}")) for n in range(600)]
        await asyncio.sleep(0)  # now all have begun
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        neighbour.execute("ROLLBACK")
        neighbour.close()
        await soon(asyncio.gather(closing, *calls))
        async with opened(path) as store:
            assert (await store.stats())[State.PENDING] == 600

    async def test_a_reboot_ends_every_lease(self, store: SQLiteStore, clock: ManualClock) -> None:
        # Ticks start again near 0, so without the name of the boot they would prove nothing.
        await run(store, "a")
        await beat(store, lease=30)
        clock.reboot()
        assert await lapsed(store) == {"a"}
        assert [row.alive for row in await store.workers()] == [False]
        await beat(store, lease=30)
        assert await lapsed(store) == set()

    async def test_a_purged_job_leaves_no_row_behind(
        self, path: Path, store: SQLiteStore, clock: ManualClock
    ) -> None:
        parent = await run(store, "a", unique=UniqueKey("k"))
        await put(store, "b", depends_on=("a",))
        news = Report("a", parent.lease, logs=(LogLine("INFO", "hi"),), parts=(b"1",))
        assert await store.report([news]) == [True]
        assert await end(store, parent, Move.FAIL, ran=1.0)
        assert await store.replay({"a": "c"})
        await ended(store, "c", Move.COMPLETE)
        connection = apsw.Connection(str(path))
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        tables = {name for (name,) in found if name not in {"sqlite_sequence", "dead_letters"}}

        def rows() -> set[str]:
            return {name for name in tables if connection.execute(f"SELECT 1 FROM {name}").get}

        assert rows() >= {"jobs", "job_errors", "job_logs", "job_parts", "job_metrics", "repeats"}
        clock.advance(10)
        await store.prune(jobs_older_than=1)
        assert rows() == set()
        connection.close()

    async def test_numbers_that_clients_go_on_from_are_not_used_again(
        self, store: SQLiteStore, clock: ManualClock
    ) -> None:
        seen: list[tuple[int, int, int]] = []
        for job_id in ("a", "b", "c"):
            job = await run(store, job_id)
            await store.report(
                [Report(job_id, job.lease, logs=(LogLine("INFO", "hi"),), parts=(b"1",))]
            )
            assert await end(store, job, Move.FAIL)
            [error] = await store.errors(job_id)
            [log] = await store.logs(RecordFilter(job_id=job_id))
            [part] = await store.parts(job_id, 0, 9)
            seen.append((error.id, log.id, part.id))
            clock.advance(10)
            assert (await store.prune(jobs_older_than=1)).jobs == 1
        for ids in zip(*seen, strict=True):
            assert list(ids) == sorted(set(ids))

    @pytest.mark.parametrize(("version", "way_out"), [(1, "start a new file"), (99, "upgrade")])
    async def test_a_file_of_another_version_is_refused(
        self, path: Path, version: int, way_out: str
    ) -> None:
        connection = apsw.Connection(str(path))
        connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        with pytest.raises(ConfigurationError, match=way_out):
            await SQLiteStore(path).open()


UNSEEN = """
    SELECT id, state FROM jobs
    WHERE (state = 'complete') <> (result IS NOT NULL)
        OR (state IN ('dead', 'failed')
            AND NOT EXISTS (SELECT 1 FROM job_errors WHERE job = jobs.seq))
        OR (state = 'dead') <> EXISTS (SELECT 1 FROM dead_letters WHERE id = jobs.id)
    UNION ALL
    SELECT id, state FROM dead_letters WHERE state <> 'dead'
"""


Glimpse = tuple[int, list[tuple[object, ...]]]


class TestVisibility:
    @pytest.fixture
    async def glimpses(self, path: Path) -> AsyncIterator[list[Glimpse]]:
        """What a second connection sees before each commit, so after each one before it.

        Each glimpse has the number of finished jobs, and the rows whose parts do not match.
        """
        async with opened(path):
            pass
        reader = apsw.Connection(str(path))
        seen: list[Glimpse] = []

        def look() -> bool:
            count = reader.execute("SELECT count(*) FROM jobs WHERE finished_at > 0").get
            seen.append((count, list(reader.execute(UNSEEN))))
            return False

        def hook(connection: apsw.Connection) -> None:
            connection.set_commit_hook(look, id="glimpse")

        apsw.connection_hooks.append(hook)
        yield seen
        apsw.connection_hooks.remove(hook)
        reader.close()

    async def test_all_parts_of_an_end_are_seen_together(
        self, path: Path, glimpses: list[Glimpse]
    ) -> None:
        """Never a success without its result, nor a death without its letter."""
        async with opened(path) as store:
            for number, move in enumerate([Move.COMPLETE, Move.BURY, Move.FAIL] * 3):
                await ended(store, f"j{number}", move)
            await put(store, *(f"k{n}" for n in range(20)))
            jobs = await take(store, 20)
            ends = (end(store, job, Move.COMPLETE) for job in jobs)
            assert all(await asyncio.gather(*ends))
            await put(store, "last")
        assert [rows for _, rows in glimpses if rows] == []
        # There was something to see, and between any two ends somebody looked.
        assert {count for count, _ in glimpses} >= {*range(10), 29}

    async def test_nobody_is_answered_before_the_commit(self, path: Path) -> None:
        """What is acknowledged survives a crash at any moment after it, so also at once."""
        loop = asyncio.get_running_loop()
        calls: list[asyncio.Task[object]] = []
        answered: list[bool] = []

        def look() -> bool:
            for _ in calls * 3:  # so often the loop must turn for an answer to arrive
                turn = threading.Event()
                loop.call_soon_threadsafe(turn.set)
                turn.wait(PATIENCE)
            answered.extend(call.done() for call in calls)
            return False

        apsw.connection_hooks.append(lambda each: each.set_commit_hook(look, id="look"))
        try:
            async with opened(path) as store:
                calls.append(asyncio.create_task(put(store, "a")))
                await calls[0]
                calls[:] = [asyncio.create_task(take(store))]
                await calls[0]
                calls.clear()
        finally:
            apsw.connection_hooks.pop()
        assert answered == [False, False]


IMPOSSIBLE = [
    "UPDATE jobs SET state = 'done' WHERE id = 'pending'",
    "UPDATE jobs SET state = 'complete' WHERE id = 'pending'",
    "UPDATE jobs SET result = NULL WHERE id = 'complete'",
    "UPDATE jobs SET result = x'00' WHERE id = 'running'",
    "UPDATE jobs SET result = x'00' WHERE id = 'dead'",
    "UPDATE jobs SET state = 'running' WHERE id = 'pending'",
    "UPDATE jobs SET worker = NULL WHERE id = 'running'",
    "UPDATE jobs SET worker = 'w' WHERE id = 'complete'",
    "UPDATE jobs SET worker = 'w' WHERE id = 'pending'",
    "UPDATE jobs SET finished_at = 1 WHERE id = 'running'",
    "UPDATE jobs SET finished_at = 1 WHERE id = 'pending'",
    "UPDATE jobs SET finished_at = NULL WHERE id = 'dead'",
    "UPDATE jobs SET state = 'cancelled' WHERE id = 'running'",
    "UPDATE jobs SET state = 'pending' WHERE id = 'complete'",
    "UPDATE jobs SET attempt = -1 WHERE id = 'running'",
    "UPDATE jobs SET max_retries = -1 WHERE id = 'pending'",
    "UPDATE jobs SET progress = 101 WHERE id = 'running'",
    "UPDATE jobs SET progress = -1 WHERE id = 'running'",
    "UPDATE jobs SET payload = NULL WHERE id = 'pending'",
    "UPDATE jobs SET id = 'running' WHERE id = 'pending'",
    "UPDATE jobs SET held_key = 'k' WHERE id = 'pending'",
    "UPDATE jobs SET key_scope = 'window' WHERE id = 'pending'",
    "UPDATE jobs SET blockers = 1 WHERE id = 'pending'",
    "UPDATE jobs SET phase = 'soon' WHERE id = 'pending'",
    "UPDATE jobs SET run_at = 'soon' WHERE id = 'pending'",
]


class TestSchema:
    @pytest.fixture
    async def connection(self, path: Path, store: SQLiteStore) -> AsyncIterator[apsw.Connection]:
        await ended(store, "complete", Move.COMPLETE)
        await ended(store, "dead", Move.BURY)
        await run(store, "running", unique=UniqueKey("k"))
        await put(store, "pending")
        connection = apsw.Connection(str(path))
        yield connection
        connection.close()

    @pytest.mark.parametrize("statement", IMPOSSIBLE)
    async def test_it_refuses_a_row_that_cannot_be(
        self, connection: apsw.Connection, statement: str
    ) -> None:
        with pytest.raises(apsw.ConstraintError):
            connection.execute(statement)

    async def test_a_row_that_can_be_is_not_refused(self, connection: apsw.Connection) -> None:
        connection.execute("UPDATE jobs SET unique_key = 'k' WHERE id = 'complete'")
        connection.execute("UPDATE jobs SET phase = 'blocked', blockers = 1 WHERE id = 'pending'")
        connection.execute("UPDATE jobs SET progress = 99 WHERE id = 'running'")
        assert connection.changes() == 1
