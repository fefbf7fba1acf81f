"""Functions that do the worst: the job ends with its reason, and its neighbours feel nothing."""

import os
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from offload import JobCancelled, JobDead, JobError, JobFailed
from tests.worker.staging import Stage, gone, working


@pytest.fixture
async def neighbour(app: Any, stage: Stage) -> AsyncIterator[Any]:
    """The application, while a process works that was there before and outlives the poison."""
    async with working(app.queue, concurrency=2) as work:
        patient = await app.in_process.adelay("gate")
        await stage.started()
        yield app
        stage.open_gate()
        assert await patient.aresult(timeout=30) == "lease 1"
        for executor in ("async", "thread", "process"):
            after = await app.TASKS[executor].adelay("return")
            assert await after.aresult(timeout=30) == "done"
        assert not work.task.done()


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("die", r"WorkerLost: .*\(exit code 7\)"),
        ("segfault", r"WorkerLost: .*\(signal 11\)"),
        ("kill", r"WorkerLost: .*\(signal 9\)"),
        ("recurse", "RecursionError: maximum recursion depth exceeded"),
        ("exit", "SystemExit: 3"),
        ("huge", r"PayloadTooLarge: .*its result would take 1,000,000,002 bytes"),
        ("unencodable", "PayloadError: .*object cannot be carried"),
    ],
)
async def test_a_process_dies_alone(neighbour: Any, deed: str, reason: str) -> None:
    job = await neighbour.in_process.adelay(deed)
    with pytest.raises(JobFailed) as caught:
        await job.aresult(timeout=60)
    assert re.match(reason, caught.value.reason)


@pytest.mark.parametrize("executor", ["async", "thread"])
@pytest.mark.parametrize("deed", ["recurse", "exit", "unencodable"])
async def test_in_the_workers_own_process(neighbour: Any, executor: str, deed: str) -> None:
    job = await neighbour.TASKS[executor].adelay(deed)
    with pytest.raises(JobError):
        await job.aresult(timeout=30)


async def test_death_under_limits_names_them(neighbour: Any) -> None:
    job = await neighbour.in_little.adelay("segfault")
    with pytest.raises(JobDead, match=r"\(signal 11, under the limits memory=300 MB\)"):
        await job.aresult(timeout=30)


async def test_a_flood_of_output_disturbs_nobody(
    neighbour: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a function prints goes where the worker's own output goes."""
    job = await neighbour.in_process.adelay("flood")
    assert await job.aresult(timeout=30) == 50_000_000
    assert capfd.readouterr().out.count("x") == 50_000_000


async def test_a_family_of_processes_is_killed_with_its_job(neighbour: Any, stage: Stage) -> None:
    job = await neighbour.in_process.adelay("multiply")
    last = await stage.started(word="multiplied")
    family = {pid for pid in stage.inhabitants() if os.getpgid(pid) == os.getpgid(last)}
    assert len(family) == 51
    assert await job.acancel(running=True)
    with pytest.raises(JobCancelled):
        await job.aresult(timeout=30)
    await gone(family)
