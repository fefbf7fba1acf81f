"""Seed 001's clean-up: by hand, by a worker, and what goes with a job."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from offload import JobDead, Queue, current_job
from offload.core.states import Move
from offload.fastapi import lifespan
from offload.store.clock import SystemClock
from offload.store.memory import MemoryStore
from offload.testing import ManualClock
from offload.testing.conformance.steps import ended
from offload.worker import janitor
from offload.worker.janitor import Janitor
from tests.seeds import seed_001_blocks as blocks

Later = Callable[[float], None]
Swept = Callable[[Queue], Awaitable[None]]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Return a function that sets the clock of this computer forward, as stores here see it."""

    def later(seconds: float) -> None:
        now = SystemClock.now
        monkeypatch.setattr(SystemClock, "now", lambda clock: now(clock) + round(seconds * 1000))

    return later


@pytest.fixture
def swept(caplog: pytest.LogCaptureFixture) -> Swept:
    """Return a function that runs a worker until it has removed something."""

    class Told(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.get_running_loop()
            self.event = asyncio.Event()

        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("pruned"):
                self.loop.call_soon_threadsafe(self.event.set)

    async def swept(queue: Queue) -> None:
        told = Told()
        logger = logging.getLogger("offload.worker")
        caplog.set_level(logging.INFO, logger.name)
        logger.addHandler(told)
        try:
            async with lifespan(queue, worker=True)(None):
                await told.event.wait()
        finally:
            logger.removeHandler(told)

    return swept


async def worked(queue: Queue) -> tuple[str, str]:
    """Leave a complete and a dead job behind, and return their ids."""

    @queue.task(name="fine")
    async def fine() -> None: ...

    @queue.task(name="broken", max_retries=0)
    async def broken() -> None:
        raise ValueError("boom")

    async with lifespan(queue, worker=True)(None):
        complete, dead = await fine.adelay(), await broken.adelay()
        await complete.aresult(timeout=20)
        with pytest.raises(JobDead):
            await dead.aresult(timeout=20)
    return complete.id, dead.id


def test_manual_cleanup(queue: Queue, later: Later, capsys: pytest.CaptureFixture[str]) -> None:
    complete, dead = asyncio.run(worked(queue))

    @queue.task
    def resize_image(name: str) -> None: ...

    blocks.manual_cleanup(queue)
    assert len(queue.job_errors(dead)) == 1, "nothing is old yet"
    later(3601)
    job = blocks.cascade_cleanup(queue, resize_image)
    assert capsys.readouterr().out == "Purged 2 jobs and their related records\n"
    assert [queue.get_job(each) for each in (complete, dead)] == [None, None]
    assert queue.job_errors(dead) == []
    assert blocks.manual_cleanup(queue) == 0, "dead letters have their own age"
    later(86401 - 3601)
    assert blocks.manual_cleanup(queue) == 1
    assert queue.dead_letters() == []
    assert job.refresh().status == "pending"


async def test_automatic_cleanup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Later, swept: Swept
) -> None:
    monkeypatch.chdir(tmp_path)
    queue: Queue = blocks.automatic_cleanup()

    @queue.task(max_retries=1, retry_delays=[10**6])
    async def patient() -> None:
        current_job.log("not today")
        raise ValueError("come back in a week")

    waiting = await patient.adelay()
    complete, dead = await worked(queue)
    assert [len(each) for each in await records(queue, waiting.id)] == [1, 1, 1]
    later(3601)
    await swept(queue)
    assert [await queue.aget_job(each) for each in (complete, dead)] == [None, None]
    assert await queue.adead_letters() == []
    # Old records go by themselves, though their job is still there.
    assert await records(queue, waiting.id) == [[], [], []]
    assert (await waiting.arefresh()).status == "pending"
    await queue.aclose()


async def records(queue: Queue, job_id: str) -> list[list[object]]:
    return [
        list(await queue.ajob_errors(job_id)),
        list(await queue.ajob_logs(job_id)),
        list(await queue.ajob_metrics(job_id)),
    ]


async def test_a_time_to_live_of_its_own_takes_all_records_with_it(
    queue: Queue, later: Later, swept: Swept
) -> None:
    @queue.task(retry_delays=[0])
    async def resize_image(name: str) -> str:
        current_job.log("resizing")
        if current_job.retry_count == 0:
            raise ValueError("not at once")
        return name

    @queue.task
    async def store() -> None: ...

    job = blocks.cascade_cleanup(queue, resize_image)
    child = await store.aapply_async(depends_on=job)
    async with lifespan(queue, worker=True)(None):
        assert await job.aresult(timeout=20) == "photo.jpg"
        await child.aresult(timeout=20)
    again = await queue.areplay(job.id)
    assert await again.acancel()
    assert [len(each) for each in await records(queue, job.id)] == [1, 2, 2]
    assert (await job.afamily()).dependents == [child.id]
    assert len(await queue.areplay_history(job.id)) == 1

    later(601)
    await swept(queue)
    assert await queue.aget_job(job.id) is None
    assert await records(queue, job.id) == [[], [], []]
    assert await queue.areplay_history(job.id) == []
    assert (await child.afamily()).parents == []
    assert (await child.arefresh()).status == "complete", "it has no time to live"


async def test_a_worker_sweeps_once_a_minute(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore(clock=clock)
    sweeper = Janitor(store, lambda: True, 3600.0)
    sweeper.stopping.set()  # so that a step does not rest at its end
    await old_job(store, clock, "a")
    await sweeper.step()
    assert await store.get(["a"]) == [None]
    await old_job(store, clock, "b")
    await sweeper.step()
    assert await store.get(["b"]) != [None], "the minute is not over"
    assert janitor.RETENTION_EVERY == 60.0
    monkeypatch.setattr(janitor, "RETENTION_EVERY", 0.0)
    await sweeper.step()
    assert await store.get(["b"]) == [None]


async def test_without_a_time_to_live_nothing_is_swept(queue: Queue, clock: ManualClock) -> None:
    assert queue.result_ttl is None
    store = MemoryStore(clock=clock)
    sweeper = Janitor(store, lambda: True, queue.result_ttl)
    sweeper.stopping.set()
    await old_job(store, clock, "a")
    await sweeper.step()
    assert await store.get(["a"]) != [None]


async def old_job(store: MemoryStore, clock: ManualClock, job_id: str) -> None:
    await ended(store, job_id, Move.COMPLETE)
    clock.advance(3601)
