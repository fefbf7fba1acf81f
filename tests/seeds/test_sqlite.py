"""What seed 001 says of SQLite."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from offload import Queue
from tests.seeds import seed_001_blocks as blocks

PRAGMAS = {
    "journal_mode": "wal",
    "busy_timeout": 5000,
    "synchronous": 2,  # FULL
    "journal_size_limit": 64 * 1024 * 1024,
}


@pytest.fixture
def connections() -> Iterator[list[apsw.Connection]]:
    """Collect every connection that is opened."""
    opened: list[apsw.Connection] = []
    apsw.connection_hooks.append(opened.append)
    yield opened
    apsw.connection_hooks.remove(opened.append)


@pytest.fixture
def writing(queue: Queue, tmp_path: Path) -> Iterator[apsw.Connection]:
    """Hold the write lock of the queue's file, until the test rolls back."""

    @queue.task(name="nothing")
    def nothing() -> None: ...

    nothing.delay()
    with contextlib.closing(apsw.Connection(str(tmp_path / "myapp.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_every_connection_is_configured(queue: Queue, connections: list[apsw.Connection]) -> None:
    @queue.task
    def nothing() -> None: ...

    nothing.delay()
    queue.stats()
    configured = []
    for connection in connections:
        with contextlib.suppress(apsw.ConnectionClosedError):  # the one that made the schema
            configured.append({name: connection.pragma(name) for name in PRAGMAS})
    assert len(configured) == 2, "a writer and a reader"
    assert all(each == PRAGMAS for each in configured)


def test_reading_goes_on_while_somebody_writes(queue: Queue, writing: apsw.Connection) -> None:
    assert queue.stats()["pending"] == 1
    assert writing.in_transaction


def test_a_locked_file_is_waited_for(queue: Queue, writing: apsw.Connection) -> None:
    with ThreadPoolExecutor(1) as pool:
        enqueuing = pool.submit(queue.enqueue, "nothing")
        with pytest.raises(TimeoutError):
            enqueuing.result(timeout=0.1)
        writing.execute("ROLLBACK")
        assert enqueuing.result(timeout=20).status == "pending"


def test_a_thousand_jobs_are_one_transaction(
    queue: Queue, connections: list[apsw.Connection]
) -> None:
    @queue.task(name="myapp.process")
    def process(item_id: int) -> None: ...

    process.delay(0)  # opens the store
    commits: list[None] = []

    def committed() -> bool:
        commits.append(None)
        return False  # True would make a rollback of it

    for connection in connections:
        with contextlib.suppress(apsw.ConnectionClosedError):
            connection.set_commit_hook(committed)
    jobs = blocks.task_map(queue, str)
    assert (len({job.id for job in jobs}), len(commits)) == (1000, 1)
    jobs = blocks.queue_enqueue_many(queue)
    assert (len({job.id for job in jobs}), len(commits)) == (1000, 2)


def test_a_partial_unique_index_decides_who_holds_a_key(queue: Queue, tmp_path: Path) -> None:
    @queue.task
    def process(what: str) -> None: ...

    blocks.unique_tasks(process)
    free = process.delay("other")
    with contextlib.closing(apsw.Connection(str(tmp_path / "myapp.db"))) as other:
        [(sql,)] = other.execute("SELECT sql FROM sqlite_master WHERE name = 'jobs_held'")
        assert sql.startswith("CREATE UNIQUE INDEX")
        assert " WHERE " in sql
        with pytest.raises(apsw.ConstraintError):
            other.execute("UPDATE jobs SET held_key = 'daily-report' WHERE id = ?", (free.id,))
        # Of the two, the one that has no key is not in the index.
        assert other.execute("SELECT count(held_key), count(*) FROM jobs").fetchall() == [(1, 2)]
