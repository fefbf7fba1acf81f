"""Stopping a job that runs: what each executor can do, and that it is said honestly."""

import asyncio
import threading
from typing import Any

import pytest

from offload import CancelRequested, JobCancelled, Queue, current_job
from tests.worker.staging import Stage, gone, reached, working


async def test_a_coroutine_gets_cancelled_error_at_its_next_await(queue: Queue) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    @queue.task(max_retries=5)
    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with working(queue):
        job = await wait.adelay()
        await started.wait()
        assert await queue.acancel_running_job(job.id)
        with pytest.raises(JobCancelled, match="cancelled while running"):
            await job.aresult(timeout=30)
        assert cancelled.is_set()
    assert (await job.arefresh()).status == "cancelled"
    assert await queue.ajob_errors(job.id) == []


async def test_a_process_is_killed(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_process.aapply_async(["gate"], max_retries=5)
        process = await stage.started()
        assert await job.acancel(running=True)
        with pytest.raises(JobCancelled, match="cancelled while running"):
            await job.aresult(timeout=30)
        await gone([process])
    assert [effect[0] for effect in stage.effects] == ["gate"]


async def test_what_a_process_has_started_is_killed_with_it(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_process.adelay("adopt")
        adopted = await stage.started(word="adopted")
        assert await job.acancel(running=True)
        await gone([adopted])
        with pytest.raises(JobCancelled):
            await job.aresult(timeout=30)


async def test_a_thread_that_looks_stops(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_thread.aapply_async(["look"], max_retries=5)
        await stage.started()
        assert await job.acancel(running=True)
        with pytest.raises(JobCancelled, match="cancelled while running"):
            await job.aresult(timeout=30)


async def test_a_thread_that_does_not_look_completes(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_thread.adelay("gate")
        await stage.started()
        assert await job.acancel(running=True)
        await reached(app.queue, job.id, "running")
        stage.open_gate()
        assert await job.aresult(timeout=30) == "lease 1"
    assert (await job.arefresh()).status == "complete"


async def test_a_cancel_wins_over_a_retry(app: Any, stage: Stage) -> None:
    """Nobody who has cancelled a job expects it to start again."""
    async with working(app.queue):
        job = await app.in_thread.aapply_async(["stumble"], max_retries=5)
        await stage.started()
        assert await job.acancel(running=True)
        with pytest.raises(JobCancelled):
            await job.aresult(timeout=5)
    assert [effect[0] for effect in stage.effects] == ["stumble"]


async def test_only_the_one_that_was_asked_stops(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        jobs = [await app.in_loop.adelay("wait") for _ in range(3)]
        for _ in jobs:
            await stage.started()
        assert await jobs[1].acancel(running=True)
        with pytest.raises(JobCancelled):
            await jobs[1].aresult(timeout=30)
        assert [(await job.arefresh()).status for job in jobs] == [
            "running", "cancelled", "running",
        ]  # fmt: skip
        for job in (jobs[0], jobs[2]):
            await job.acancel(running=True)
            with pytest.raises(JobCancelled):
                await job.aresult(timeout=30)


async def test_pending_and_running_jobs_are_cancelled_by_different_calls(
    app: Any, stage: Stage
) -> None:
    waiting = await app.in_thread.adelay("look")
    assert not await app.queue.acancel_running_job(waiting.id)
    async with working(app.queue):
        await stage.started()
        assert not await app.queue.acancel_job(waiting.id)
        assert await app.queue.acancel_running_job(waiting.id)
        with pytest.raises(JobCancelled):
            await waiting.aresult(timeout=30)
    assert not await app.queue.acancel_running_job(waiting.id)
    assert not await app.queue.acancel_job(waiting.id)
    assert not await app.queue.acancel_running_job("nobody")


async def test_a_coroutine_that_had_no_turn_yet_can_be_cancelled(queue: Queue) -> None:
    """One job holds the loop up, another was claimed and never got to its first line."""
    blocking, release = threading.Event(), threading.Event()

    @queue.task
    async def blocker() -> None:
        blocking.set()
        release.wait()

    @queue.task
    async def behind() -> None: ...

    @queue.task
    def nothing() -> None: ...

    worker = threading.Thread(
        target=asyncio.run, args=(run_until(queue, release, done := threading.Event()),)
    )
    worker.start()
    try:
        await blocker.adelay()
        assert await asyncio.to_thread(blocking.wait, 30)
        job = await behind.adelay()
        await reached(queue, job.id, "running")
        assert await job.acancel(running=True)
        await (await nothing.adelay()).aresult(timeout=30)  # so the worker has heard of it
        release.set()
        with pytest.raises(JobCancelled):
            await job.aresult(timeout=5)
    finally:
        release.set()
        done.set()
        await asyncio.to_thread(worker.join, 30)
    assert not worker.is_alive()


async def run_until(queue: Queue, release: threading.Event, done: threading.Event) -> None:
    """Run a worker on this loop until the test is done with it."""
    stop = asyncio.Event()
    work = asyncio.create_task(queue.arun_worker(stop, grace=0, install_signals=False))
    await asyncio.to_thread(done.wait)
    stop.set()
    await work


async def test_check_cancelled_says_nothing_while_nobody_asks(queue: Queue) -> None:
    @queue.task
    def look() -> bool:
        current_job.check_cancelled()
        return current_job.wait_stopped(0)

    async with working(queue):
        assert await (await look.adelay()).aresult(timeout=30) is False


async def test_cancel_requested_of_the_users_own_is_an_error(queue: Queue) -> None:
    """Only a job that was asked to stop ends as cancelled."""

    @queue.task
    def pretend() -> None:
        raise CancelRequested("nobody asked")

    async with working(queue):
        job = await pretend.adelay()
        await reached(queue, job.id, "dead", "cancelled")
    assert (await job.arefresh()).status == "dead"
