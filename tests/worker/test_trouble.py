"""What a worker does about a job that is damaged, and a disk that is full."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from offload import JobFailed, Queue
from offload.core.job import NewJob
from offload.store.sqlite import SQLiteStore
from tests.worker.staging import PATIENCE, reached, working

DAMAGED = [b"", b"\xff\xfe", b"[[", b"null", b"[]", b'{"args": []}', b"[1, 2]", b"[[], {}, 3]"]


async def planted(path: Path, job: NewJob) -> None:
    """Store a job as no program of ours would have."""
    store = SQLiteStore(path)
    await store.open()
    await store.enqueue([job])
    await store.close()


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no open database of this process grow."""
    connections = apsw.connections()
    for each in connections:
        each.pragma("max_page_count", 1)  # SQLite makes that the size it has now
    try:
        yield
    finally:
        for each in connections:
            each.pragma("max_page_count", 1_000_000)


@pytest.fixture
async def complaint() -> AsyncIterator[asyncio.Event]:
    """Return an event that is set when a worker says that its disk is full."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "the disk is full" in record.getMessage():
                loop.call_soon_threadsafe(event.set)

    listener = Listener()
    logging.getLogger("offload.worker").addHandler(listener)
    yield event
    logging.getLogger("offload.worker").removeHandler(listener)


@pytest.mark.parametrize("payload", DAMAGED)
async def test_a_damaged_payload_fails_its_job_and_no_other(
    queue: Queue, tmp_path: Path, payload: bytes
) -> None:
    ran: list[int] = []

    @queue.task(name="note", max_retries=3)
    async def note(number: int = 0) -> None:
        ran.append(number)

    await planted(tmp_path / "jobs.db", NewJob("bad", "note", payload=payload, priority=1))
    good = await note.adelay(7)
    async with working(queue):
        handle = await reached(queue, "bad", "failed")
        await good.aresult(timeout=30)
    assert ran == [7]
    assert handle.job.attempt == 1
    with pytest.raises(JobFailed, match="task 'note': its stored arguments cannot be read: "):
        await handle.aresult(timeout=30)


async def test_an_end_waits_for_room_on_the_disk(
    queue: Queue, complaint: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.service.REST", 0.001)
    runs: list[str] = []
    started, gate = asyncio.Event(), asyncio.Event()

    @queue.task(name="big")
    async def big() -> str:
        runs.append("run")
        started.set()
        await gate.wait()
        return "x" * 300_000

    job = await big.adelay()
    async with working(queue), asyncio.timeout(PATIENCE):
        await started.wait()
        with full_disk():
            gate.set()
            await complaint.wait()
            assert (await job.arefresh()).status == "running"
        assert len(await job.aresult()) == 300_000
    assert runs == ["run"]
