"""Tasks in processes of their own, and what a dying one takes with it."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from offload import JobDead
from offload.core.retry import RetryPolicy
from offload.tasks.limits import Limits
from offload.worker.processes import Child
from tests.worker.staging import Stage, gone, reached, working


async def warmed(app: Any) -> int:
    """Have a process that waits for a job, and return its id."""
    pid: int = (await (await app.in_process.adelay("describe")).aresult(timeout=30))["pid"]
    return pid


@pytest.mark.parametrize(("deed", "how"), [("die", "exit code 7"), ("kill", "signal 9")])
async def test_a_process_that_dies_ends_only_its_own_attempt(
    app: Any, stage: Stage, deed: str, how: str
) -> None:
    async with working(app.queue, concurrency=2) as work:
        neighbour = await app.in_process.adelay("gate")
        await stage.started()
        job = await app.in_process.adelay(deed)
        with pytest.raises(JobDead, match=f"WorkerLost: the process of the task died .{how}."):
            await job.aresult(timeout=30)
        stage.open_gate()
        assert await neighbour.aresult(timeout=30) == "lease 1"
        assert not work.task.done()
    stored = (await job.arefresh()).job
    assert (stored.attempt, stored.crashes) == (1, 1)


@pytest.mark.parametrize("retries", [5, 50])
async def test_a_job_that_kills_three_processes_is_poison(
    app: Any, stage: Stage, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy, "delay", no_delay)
    async with working(app.queue):
        job = await app.in_process.aapply_async(["die"], max_retries=retries)
        with pytest.raises(JobDead, match="PoisonJob: its process died 3 times"):
            await job.aresult(timeout=30)
    assert [effect[0] for effect in stage.effects] == ["die"] * 3
    assert len({effect[-1] for effect in stage.effects}) == 3
    [letter] = await app.queue.adead_letters()
    assert (letter.job.crashes, letter.job.attempt) == (3, 3)


def no_delay(policy: RetryPolicy, retry: int, rng: Callable[[], float]) -> float:
    """Stand in for a backoff that would take its time."""
    return 0.0


async def test_a_process_stays_warm_for_the_next_job(app: Any, stage: Stage) -> None:
    async with working(app.queue, concurrency=1):
        assert {await warmed(app) for _ in range(4)} == {await warmed(app)}


async def test_a_process_that_dies_while_it_waits_costs_no_job(app: Any, stage: Stage) -> None:
    """The next job had not started in it: it is no suspect, and no attempt is used."""
    async with working(app.queue, concurrency=1):
        process = await warmed(app)
        os.kill(process, signal.SIGKILL)
        await gone([process])
        job = await app.in_process.adelay("return")
        assert await job.aresult(timeout=30) == "done"
    assert (await job.arefresh()).job.crashes == 0
    assert await app.queue.ajob_errors(job.id) == []


async def test_a_process_that_cannot_be_started_is_an_error_of_the_attempt(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory or process ids may be short for a moment; the job must not be held for ever."""
    spawn = Child.spawn
    calls = []

    async def refused(limits: Limits | None) -> Child:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(11, "Resource temporarily unavailable")
        return await spawn(limits)

    monkeypatch.setattr(Child, "spawn", refused)
    async with working(app.queue, grace=0):
        job = await app.in_process.aapply_async(["return"], max_retries=2)
        assert await job.aresult(timeout=5) == "done"


async def test_a_module_that_cannot_be_imported_there_is_named(app: Any, stage: Stage) -> None:
    app.in_process.function.__module__ = "tests.worker.no_such_module"
    async with working(app.queue):
        job = await app.in_process.adelay("return")
        with pytest.raises(JobDead, match="no_such_module"):
            await job.aresult(timeout=30)


async def test_what_a_dead_process_has_started_goes_with_it(app: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await app.in_process.adelay("orphan")
        adopted = await stage.started(word="adopted")
        with pytest.raises(JobDead, match="exit code 9"):
            await job.aresult(timeout=30)
        try:
            await gone([adopted], patience=5)
        finally:
            if adopted in stage.inhabitants():
                os.kill(adopted, signal.SIGKILL)


async def test_no_process_outlives_its_worker(app: Any, stage: Stage) -> None:
    async with working(app.queue) as work:
        process = await warmed(app)
        job = await app.in_process.adelay("gate")
        assert process == await stage.started()
        await reached(app.queue, job.id, "running")
        stage.open_gate()
        await work.end()
        assert not stage.inhabitants()
    assert await job.aresult(timeout=30) == "lease 1"
