"""A worker that is asked to stop: within its grace, then in good order."""

import asyncio
import contextlib
import signal
import threading
from typing import Any

import pytest

from offload import Queue
from tests.worker.staging import Stage, command, ends, gone, parent, reached, working


async def test_a_running_job_may_end_within_the_grace(app: Any, stage: Stage) -> None:
    async with working(app.queue, grace=60) as work:
        job = await app.in_thread.adelay("gate")
        await stage.started()
        later = await app.in_thread.adelay("return")
        await reached(app.queue, later.id, "complete")
        work.stop.set()
        after = await app.in_thread.adelay("return")
        stage.open_gate()
        await work.end()
    assert await job.aresult(timeout=0) == "lease 1"
    assert (await after.arefresh()).status == "pending"


@pytest.mark.parametrize(
    ("executor", "deed"),
    [("async", "wait"), ("thread", "look"), ("thread", "gate"), ("process", "gate")],
)
async def test_what_is_left_is_given_back_unharmed(
    app: Any, stage: Stage, executor: str, deed: str
) -> None:
    task = app.TASKS[executor]
    async with working(app.queue, grace=0) as work:
        job = await task.adelay(deed)
        await stage.started()
        await work.end()
    stored = (await job.arefresh()).job
    assert (str(stored.state), stored.attempt, stored.crashes) == ("pending", 0, 0)
    assert await app.queue.ajob_errors(job.id) == []
    assert await app.queue.alist_workers() == []
    stage.open_gate(1)  # the thread that was left behind
    async with working(app.queue, grace=0) as work:
        await stage.started()
        stage.open_gate(2)
        if deed == "gate":
            assert await job.aresult(timeout=30) == "lease 2"
    assert (await job.arefresh()).job.lease == 2


async def test_a_job_that_was_given_back_keeps_its_retries(app: Any, stage: Stage) -> None:
    async with working(app.queue, grace=0) as work:
        job = await app.in_loop.aapply_async(["wait"], max_retries=0)
        await stage.started()
        await work.end()
    async with working(app.queue, grace=0) as work:
        await stage.started()
        assert (await job.arefresh()).job.attempt == 1


async def test_a_coroutine_that_will_not_stop_is_left_behind(queue: Queue) -> None:
    release = asyncio.Event()
    started = asyncio.Event()

    @queue.task
    async def stubborn() -> None:
        started.set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    async with working(queue, grace=0) as work:
        job = await stubborn.adelay()
        await started.wait()
        await work.end()
    release.set()
    stored = (await job.arefresh()).job
    assert (str(stored.state), stored.attempt) == ("pending", 0)


async def test_a_worker_whose_task_is_cancelled_stops_in_good_order(app: Any, stage: Stage) -> None:
    running = app.queue.arun_worker(grace=3600, install_signals=False)
    work = asyncio.create_task(running)
    job = await app.in_loop.adelay("wait")
    await stage.started()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await job.arefresh()).status == "pending"
    assert await app.queue.alist_workers() == []


async def test_an_idle_worker_stops_at_once_and_may_run_again(queue: Queue) -> None:
    @queue.task
    def run() -> None: ...

    for _ in range(3):
        async with working(queue, grace=3600):
            await (await run.adelay()).aresult(timeout=30)
        assert await queue.alist_workers() == []


async def test_a_worker_that_is_run_from_a_thread_stops(queue: Queue) -> None:
    """A worker may live in any thread that has a loop."""
    stop = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    @queue.task
    async def run() -> None:
        loops.append(asyncio.get_running_loop())

    work = queue.arun_worker(stop, install_signals=False)
    worker = threading.Thread(target=asyncio.run, args=(work,))
    worker.start()
    await (await run.adelay()).aresult(timeout=30)
    loops[0].call_soon_threadsafe(stop.set)
    await asyncio.to_thread(worker.join, 30)
    assert not worker.is_alive()
    assert loops[0].is_closed()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
async def test_a_signal_ends_the_command_in_good_order(app: Any, stage: Stage, number: str) -> None:
    async with command(stage, "--grace", "3600") as process:
        waits = await app.in_process.adelay("describe")
        assert (await waits.aresult(timeout=30))["pid"] != process.pid
        job = await app.in_thread.adelay("gate")
        assert parent(await stage.started()) == process.pid
        family = stage.inhabitants()
        assert len(family) == 4  # itself, its heart, its member, the process of the first task
        process.send_signal(getattr(signal, number))
        stage.open_gate()
        assert await ends(process) == 0
        await gone(family)
        assert not stage.inhabitants()
    assert await job.aresult(timeout=0) == "lease 1"
    assert "Traceback" not in stage.log
    assert await app.queue.alist_workers() == []


async def test_a_second_signal_hurries(app: Any, stage: Stage) -> None:
    async with command(stage, "--grace", "3600") as process:
        jobs = [await app.TASKS[kind].adelay("gate") for kind in ("thread", "process")]
        for _ in jobs:
            await stage.started()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert await ends(process) == 0
        await gone(stage.inhabitants())
    for job in jobs:
        stored = (await job.arefresh()).job
        assert (str(stored.state), stored.attempt) == ("pending", 0)
    assert "Traceback" not in stage.log
    assert "jobs still running: 2; they have 3600 s" in stage.log


@pytest.mark.parametrize("deed", ["gate", "swallow"])
async def test_a_coroutine_cannot_keep_the_command_from_ending(
    app: Any, stage: Stage, deed: str
) -> None:
    """Neither one that holds the loop up, nor one that will not be cancelled."""
    async with command(stage, "--grace", "0") as process:
        job = await app.in_loop.adelay(deed)
        await stage.started()
        process.terminate()
        try:
            async with asyncio.timeout(5):
                assert await process.wait() == 0
        finally:
            stage.open_gate()
        await gone(stage.inhabitants())
    stored = (await job.arefresh()).job
    assert (str(stored.state), stored.attempt) == ("pending", 0)
