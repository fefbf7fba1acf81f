"""What a file does when it is in trouble: a typed error, nothing half-done, and on it goes."""

import asyncio
import fcntl
import os
import resource
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw
import pytest

from offload.core.errors import (
    DuplicateJob,
    OffloadError,
    StoreCorrupted,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from offload.core.records import Finish
from offload.core.states import Move, State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.sqlite import SQLiteStore, connection, ticket
from offload.testing import ManualClock
from offload.testing.conformance.steps import (
    WORKER,
    beat,
    end,
    lapsed,
    new,
    put,
    read,
    run,
    soon,
    take,
)
from tests.store.test_sqlite_file import child, heard, opened, sound, told


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(path) as store:
        yield store


@contextmanager
def garbled(path: Path) -> Iterator[None]:
    """Overwrite all but the first page, and put a good copy back afterwards."""
    good = path.read_bytes()
    path.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096))
    yield
    path.write_bytes(good)


@contextmanager
def read_only(folder: Path, what: str) -> Iterator[None]:
    """Let nobody but root write the files or the folder, and everybody the rest."""
    files = [path for path in folder.iterdir() if path.is_file()]
    for path in files:
        path.chmod(0o444 if what == "files" else 0o666)
    folder.chmod(0o555 if what == "folder" else 0o777)
    try:
        yield
    finally:
        folder.chmod(0o700)
        for path in files:
            path.chmod(0o600)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leave this process no file descriptor to open anything with."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    fillers = []
    try:
        with suppress(OSError):
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for filler in fillers:
            os.close(filler)


@contextmanager
def ticket_of(path: Path) -> Iterator[int]:
    """Hold the writers' ticket of a file, as a neighbour does."""
    fd = os.open(f"{path}-ticket", os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


class TestFull:
    @pytest.fixture
    def connections(self) -> Iterator[list[apsw.Connection]]:
        """All that are opened from here on, none of which may let the file grow far."""
        found: list[apsw.Connection] = []

        def hook(connection: apsw.Connection) -> None:
            connection.pragma("max_page_count", 100)
            found.append(connection)

        apsw.connection_hooks.append(hook)
        yield found
        apsw.connection_hooks.remove(hook)

    async def fill(self, store: SQLiteStore) -> int:
        """Enqueue batches of ten until one is refused; return how many were not."""
        for number in range(1000):
            try:
                await put(store, *(f"{number}-{part}" for part in range(10)), payload=bytes(2000))
            except StoreFull:
                return number
        raise AssertionError("it never filled up")

    @pytest.mark.usefixtures("connections")
    async def test_a_full_store_says_so_and_stores_nothing_by_halves(self, path: Path) -> None:
        async with opened(path) as store:
            number = await self.fill(store)
            assert (await store.stats())[State.PENDING] == number * 10
            assert await store.get([f"{number}-{part}" for part in range(10)]) == [None] * 10
        assert sound(path)

    async def test_work_goes_on_when_there_is_space_again(
        self, connections: list[apsw.Connection], path: Path
    ) -> None:
        async with opened(path) as store:
            number = await self.fill(store)
            for each in connections[1:]:  # the first was only there to make the schema
                each.pragma("max_page_count", 10_000)
            await put(store, *(f"{number}-{part}" for part in range(10)), payload=bytes(2000))
            assert (await store.stats())[State.PENDING] == number * 10 + 10
            jobs = await take(store, 1000)
            assert all([await end(store, job, Move.COMPLETE) for job in jobs[:50]])

    @pytest.mark.usefixtures("connections")
    async def test_what_needs_no_space_goes_on_in_a_full_store(self, path: Path) -> None:
        # A worker can still make room: what it ends can be purged.
        async with opened(path) as store:
            await self.fill(store)
            big, small = await asyncio.gather(
                put(store, "big", payload=bytes(100_000)), take(store, 1), return_exceptions=True
            )
            assert isinstance(big, StoreFull)
            assert not isinstance(small, BaseException)
            assert await store.finish([Finish(small[0].id, 1, Move.COMPLETE, result=b"")]) == [True]

    async def test_a_file_that_may_not_grow_is_an_error_of_ours(self, path: Path) -> None:
        # In a process of its own, which goes on when it is let.
        async with child("fill", path) as process:
            stored: list[str] = []
            while (line := await heard(process))[0] == "enqueued":
                stored += line[1:]
            assert line[0] == "refused"
            assert line[1] in {"StoreFull", "StoreError"}
            stored += (await heard(process))[1:]
            assert await process.wait() == 0
        assert sound(path)
        async with opened(path) as store:
            assert None not in await store.get(stored)
            assert (await store.stats())[State.PENDING] == len(stored) > 8


class TestDamaged:
    @pytest.fixture
    def diary(self, path: Path) -> Iterator[bytes]:
        content = b"Dear diary, this is not a database. " * 100
        path.write_bytes(content)
        yield content
        assert path.read_bytes() == content

    @pytest.mark.usefixtures("diary")
    async def test_what_is_no_database_is_refused(self, path: Path) -> None:
        with pytest.raises(StoreCorrupted, match=r"jobs\.db"):
            await SQLiteStore(path).open()

    async def test_a_damaged_database_is_an_error_of_ours_until_it_is_put_right(
        self, path: Path
    ) -> None:
        ids = [f"j{n}" for n in range(200)]
        async with opened(path) as store:
            await put(store, *ids, payload=bytes(1000))
        with garbled(path):
            with pytest.raises(StoreCorrupted, match=r"jobs\.db"):
                async with opened(path) as store:
                    await store.get(ids)
            with pytest.raises(StoreCorrupted, match=r"jobs\.db"):
                async with opened(path) as store:
                    await put(store, "one more")
        async with opened(path) as store:
            assert all([await end(store, job, Move.COMPLETE) for job in await take(store, 500)])
            assert (await store.stats())[State.COMPLETE] == 200
        assert sound(path)

    @pytest.mark.parametrize("what", ["files", "folder"])
    async def test_what_may_only_be_read_is_refused_for_as_long_as_it_is(self, what: str) -> None:
        # Not in pytest's folder, which nobody else may enter: root has to become somebody
        # else to whom permissions mean something.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "jobs.db"
            async with opened(path) as store:
                await put(store, "before")
            with read_only(Path(folder), what):
                async with child("peep", path) as process:
                    word, kind, *message = await heard(process)
            assert (word, kind) == ("refused", "StoreError")
            assert str(path) in message
            async with opened(path) as store:
                await put(store, "after")
                assert [job.id for job in await take(store, 5)] == ["before", "after"]
            assert sound(path)


async def test_a_folder_in_place_of_the_file_is_named_and_left_alone(path: Path) -> None:
    folder = path.parent
    with pytest.raises(StoreError, match="is a folder: name a file in it"):
        await SQLiteStore(folder).open()
    assert not folder.with_name(folder.name + "-ticket").exists()


class TestLocked:
    @pytest.fixture
    def locked(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[apsw.Connection]:
        """A neighbour that holds the write lock, and none who would wait for it."""
        monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 20)
        neighbour = apsw.Connection(str(path))
        yield neighbour
        neighbour.close()

    async def test_a_locked_file_is_unavailable_for_as_long_as_it_is(
        self, path: Path, locked: apsw.Connection
    ) -> None:
        async with opened(path) as store:
            await put(store, "a")
            locked.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match=r"jobs\.db"):
                await put(store, "b")
            assert (await read(store, "a")).id == "a"
            locked.execute("ROLLBACK")
            await put(store, "b")
            assert [job.id for job in await take(store, 5)] == ["a", "b"]

    async def test_another_process_may_hold_the_lock_for_too_long(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 20)
        async with opened(path) as store, child("hold", path) as process:
            assert await heard(process) == ["held"]
            with pytest.raises(StoreUnavailable, match="locked by another process"):
                await put(store, "a")
            await told(process, "let go")
            assert await heard(process) == ["free"]
            await put(store, "b")
            assert [job.id for job in await take(store, 5)] == ["b"]
        assert sound(path)

    async def test_what_a_transaction_has_read_stays_so_until_it_writes(
        self, path: Path, locked: apsw.Connection
    ) -> None:
        """A neighbour waits meanwhile, and does not undo it."""
        async with opened(path) as store:
            await put(store, "a")
        with closing(connection.connect(path, "FULL")) as ours:
            with connection.immediate(ours):
                [(count,)] = ours.execute("SELECT count(*) FROM jobs").fetchall()
                with pytest.raises(apsw.BusyError):
                    locked.execute("DELETE FROM jobs")
                ours.execute("UPDATE jobs SET priority = ?", (count,))
            assert ours.execute("SELECT priority FROM jobs").get == 1

    async def test_a_beat_counts_from_its_own_turn(self, path: Path, clock: ManualClock) -> None:
        """A worker that could not write for a lease, as nobody could, was not silent."""
        neighbour = apsw.Connection(str(path))
        async with opened(path, clock) as store:
            await run(store, "a")
            neighbour.execute("BEGIN IMMEDIATE")
            beating = asyncio.create_task(beat(store, lease=30))
            await asyncio.sleep(0)  # it has been handed over, and waits
            clock.advance(31)
            neighbour.execute("ROLLBACK")
            await beating
            assert await lapsed(store) == set()
        neighbour.close()

    async def test_a_turn_that_came_too_late_is_given_back(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Who gave up waiting for its turn, and then has nothing to write, blocks nobody.
        monkeypatch.setattr(ticket, "PATIENCE", 0.02)
        async with opened(path) as store:
            with ticket_of(path) as stopped:
                fcntl.flock(stopped, fcntl.LOCK_EX)
                await put(store, "a")
            with ticket_of(path) as neighbour:
                waiting = asyncio.to_thread(fcntl.flock, neighbour, fcntl.LOCK_EX)
                turn = asyncio.create_task(waiting)
                try:
                    async with asyncio.timeout(5):
                        await asyncio.shield(turn)
                finally:
                    await put(store, "b")  # a write of its own lets go of any turn
                    await turn


class TestNeighbours:
    """Calls that share a transaction share nothing else."""

    @pytest.fixture
    def commits(self) -> Iterator[list[int]]:
        """Grow by one with each commit of a connection that is opened from here on."""
        seen: list[int] = []

        def look() -> bool:
            seen.append(1)
            return False

        def hook(connection: apsw.Connection) -> None:
            connection.set_commit_hook(look, id="commits")

        apsw.connection_hooks.append(hook)
        yield seen
        apsw.connection_hooks.remove(hook)

    @pytest.fixture
    async def store(self, path: Path, commits: list[int]) -> AsyncIterator[SQLiteStore]:
        async with opened(path) as store:
            commits.clear()
            yield store

    async def test_a_job_that_cannot_be_stored_fails_alone(self, store: SQLiteStore) -> None:
        calls = [put(store, f"j{n}", task="\udc80" if n == 20 else "t") for n in range(40)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [n for n, each in enumerate(answers) if isinstance(each, Exception)] == [20]
        assert (await store.stats())[State.PENDING] == 39

    async def test_a_refusal_costs_its_neighbours_no_commit_of_their_own(
        self, path: Path, store: SQLiteStore, commits: list[int]
    ) -> None:
        await put(store, "holder", unique=UniqueKey("k"))
        rejecting = UniqueKey("k", on_conflict=OnConflict.REJECT)
        commits.clear()
        neighbour = apsw.Connection(str(path))
        neighbour.execute("BEGIN IMMEDIATE")
        calls = [asyncio.create_task(put(store, f"j{n}")) for n in range(20)]
        refused = asyncio.create_task(store.enqueue([new("a"), new("b", unique=rejecting)]))
        await asyncio.sleep(0)  # all have begun; the first waits, the others pile up behind it
        neighbour.execute("ROLLBACK")
        neighbour.close()
        await asyncio.gather(*calls)
        with pytest.raises(DuplicateJob):
            await refused
        assert (await store.stats())[State.PENDING] == 21
        assert len(commits) <= 3

    async def test_an_end_that_cannot_be_stored_fails_alone(self, store: SQLiteStore) -> None:
        await put(store, "a", "b", "c")
        a, b, c = await take(store, 3)
        ends = [end(store, a, Move.COMPLETE), end(store, b, Move.COMPLETE, result=None)]
        good, bad, fine = await asyncio.gather(
            *ends, end(store, c, Move.FAIL), return_exceptions=True
        )
        assert (good, fine) == (True, True)
        assert bad is not True
        assert (await read(store, "b")).state is State.RUNNING

    async def test_what_cannot_be_stored_is_an_error_of_ours(self, store: SQLiteStore) -> None:
        job = await run(store, "a")
        with pytest.raises((OffloadError, ValueError)):
            await end(store, job, Move.COMPLETE, result=None)

    async def test_a_caller_that_gives_up_takes_nothing_from_the_others(
        self, store: SQLiteStore
    ) -> None:
        calls = [asyncio.create_task(put(store, f"j{n}")) for n in range(20)]
        await asyncio.sleep(0)
        calls[7].cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, list) for each in answers) == 19
        assert (await store.stats())[State.PENDING] in {19, 20}

    async def test_a_commit_counts_though_nobody_can_be_woken(self, store: SQLiteStore) -> None:
        # With no file descriptor left there is no bell; what was claimed stays claimed.
        await put(store, "a", "b")
        with no_descriptors():
            jobs = await take(store)
        assert [(job.id, job.lease) for job in jobs] == [("a", 1)]
        assert (await read(store, "b")).state is State.PENDING


class TestForeignCopies:
    # Two copies of the library in one process drop each other's locks.

    @pytest.mark.usefixtures("store")
    @pytest.mark.parametrize("form", ["{}", "file:{}", "file:{}?mode=ro"])
    async def test_another_sqlite_is_kept_away_from_the_file(self, path: Path, form: str) -> None:
        with pytest.raises(StoreError, match="apsw"):
            sqlite3.connect(form.format(path), uri=True)

    @pytest.mark.usefixtures("store")
    async def test_it_may_open_any_other_file(self, tmp_path: Path) -> None:
        sqlite3.connect(tmp_path / "mine.db").close()


async def test_opening_at_once_twice_is_once(path: Path) -> None:
    store = SQLiteStore(path)
    await asyncio.gather(store.open(), store.open())
    await store.enqueue([new("a")])
    assert [job.id for job in (await store.claim(WORKER, None, 5)).jobs] == ["a"]
    await soon(store.close())
    assert not any("writer" in thread.name for thread in threading.enumerate())
