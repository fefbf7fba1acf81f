"""A task that takes longer than it may: first asked, then cut off."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from offload import JobDead, JobTimeout, Queue, current_job
from offload.tasks.limits import Limits
from offload.worker.processes import Child
from tests.worker.staging import Stage, gone, working

SOON = 0.05
FAIR = 1.0
"""Seconds in which a function has begun, and a short one has ended, on a busy machine, too."""
TOO_LONG = "JobTimeout: the task ran longer than its timeout of 0.05 s"


@pytest.fixture
def hard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off shortly after the soft timeout."""
    monkeypatch.setattr("offload.worker.worker.HARD_AFTER", SOON)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a thread waits for that looks at nothing else; it ends with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_coroutine_is_cancelled_and_the_attempt_counts(queue: Queue) -> None:
    cancelled = []

    @queue.task(timeout=SOON, max_retries=1)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(current_job.retry_count)
            raise

    async with working(queue):
        job = await slow.adelay()
        with pytest.raises(JobDead, match=TOO_LONG):
            await job.aresult(timeout=30)
    assert cancelled == [0, 1]
    types = [error.failure.type for error in await queue.ajob_errors(job.id)]
    assert types == ["JobTimeout", "JobTimeout"]


async def test_a_coroutine_that_swallows_it_loses_its_job_at_the_hard_limit(
    queue: Queue, hard: None
) -> None:
    release = asyncio.Event()
    ended = asyncio.Event()

    @queue.task(timeout=SOON)
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        return "too late"

    async with working(queue, concurrency=1):
        job = await stubborn.adelay()
        with pytest.raises(JobDead, match=f"{TOO_LONG}, and did not stop"):
            await job.aresult(timeout=30)
        release.set()
        async with asyncio.timeout(30):
            await ended.wait()
    assert (await job.arefresh()).status == "dead"


async def test_a_thread_that_looks_is_told(queue: Queue) -> None:
    told = []

    @queue.task(timeout=SOON)
    def polite() -> None:
        current_job.wait_stopped(60)
        try:
            current_job.check_cancelled()
        except JobTimeout as error:
            told.append(str(error))
            raise

    async with working(queue):
        job = await polite.adelay()
        with pytest.raises(JobDead, match=TOO_LONG):
            await job.aresult(timeout=30)
    assert told == ["the task ran longer than its timeout of 0.05 s"]


async def test_a_thread_that_looks_away_is_cut_off_and_replaced(
    queue: Queue, hard: None, release: threading.Event
) -> None:
    @queue.task(timeout=SOON)
    def deaf() -> str:
        release.wait()
        return "too late"

    @queue.task
    def thread_id() -> int:
        return threading.get_ident()

    async with working(queue, concurrency=1):
        first = await thread_id.adelay()
        job = await deaf.adelay()
        with pytest.raises(JobDead, match=f"{TOO_LONG}, and did not stop"):
            await job.aresult(timeout=30)
        # The only slot is free again, in another thread.
        second = await thread_id.adelay()
        assert await second.aresult(timeout=30) != await first.aresult(timeout=30)
        # What the old thread says now is not heard, and it takes no further jobs.
        release.set()
        third = await thread_id.adelay()
        assert await third.aresult(timeout=30) == await second.aresult(timeout=30)
    assert (await job.arefresh()).status == "dead"
    assert len(await queue.ajob_errors(job.id)) == 1


async def test_threads_that_are_left_behind_do_not_add_slots(
    queue: Queue, hard: None, release: threading.Event
) -> None:
    """Ever more lost threads must neither block the worker nor let it do more at once."""
    running: list[int] = []
    most: list[int] = []

    @queue.task(timeout=SOON)
    def deaf() -> None:
        release.wait()

    @queue.task
    def count() -> None:
        running.append(1)
        most.append(len(running))
        running.pop()

    async with working(queue, concurrency=2):
        for job in await deaf.amap([()] * 6):
            with pytest.raises(JobDead, match="did not stop"):
                await job.aresult(timeout=30)
        for counted in await count.amap([()] * 20):
            await counted.aresult(timeout=30)
    assert max(most) <= 2


async def warmed(app: Any) -> int:
    """Have a process that waits for a job, and return its id."""
    pid: int = (await (await app.in_process.adelay("describe")).aresult(timeout=30))["pid"]
    return pid


async def test_a_process_gets_an_exception(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        await warmed(app)
        job = await app.in_process.aapply_async(["gate"], timeout=FAIR)
        process = await stage.started()
        with pytest.raises(JobDead, match=r"JobTimeout: .* its timeout of 1 s"):
            await job.aresult(timeout=30)
        # It was interrupted where it stood, and its process takes the next job.
        after = await app.in_process.adelay("describe")
        assert (await after.aresult(timeout=30))["pid"] == process


async def test_a_process_that_stays_is_killed(app: Any, stage: Stage, hard: None) -> None:
    async with working(app.queue):
        await warmed(app)
        job = await app.in_process.aapply_async(["stay"], timeout=FAIR)
        process = await stage.started()
        with pytest.raises(JobDead, match="and did not stop"):
            await job.aresult(timeout=30)
        await gone([process])
        after = await app.in_process.adelay("describe")
        assert (await after.aresult(timeout=30))["pid"] != process
    assert len(await app.queue.ajob_errors(job.id)) == 1


async def test_a_task_that_is_in_time_is_left_alone(queue: Queue) -> None:
    @queue.task(timeout=600)
    def quick() -> str:
        return "in time"

    async with working(queue):
        assert await (await quick.adelay()).aresult(timeout=30) == "in time"


async def test_the_time_that_a_process_takes_to_start_is_not_the_tasks(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing an application may take longer than a task is given."""
    spawn = Child.spawn
    slow = threading.Event()

    async def late(limits: Limits | None) -> Child:
        child = await spawn(limits)
        await asyncio.to_thread(slow.wait)
        return child

    monkeypatch.setattr(Child, "spawn", late)
    async with working(app.queue):
        job = await app.in_process.aapply_async(["return"], timeout=FAIR)
        # By the time that this one has run out of its time, so would the other.
        limit = await app.in_loop.aapply_async(["wait"], timeout=FAIR + SOON)
        with pytest.raises(JobDead):
            await limit.aresult(timeout=30)
        slow.set()
        assert await job.aresult(timeout=30) == "done"
