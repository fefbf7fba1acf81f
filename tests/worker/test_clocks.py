"""Workers whose wall clocks are an hour apart from each other's, on every store."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from offload import JobHandle
from tests.kill.processes import family, send
from tests.worker.staging import PATIENCE, Stage, gone, reached, read, started

HOUR = 3600
LEASE = 2.0
SITE = Path(__file__).parent / "shifted"
TICKS = 3
QUEUES = ("ahead", "behind")


@pytest.fixture(params=["sqlite", "postgres", "redis"], autouse=True)
def shifts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """By how much each worker's clock is off; the application is on one store after the other.

    On a file, what is due is judged by the machine's clock, which all its processes share: one
    that is behind the rest would wait for an hour, as it should.
    """
    if request.param == "sqlite":
        monkeypatch.delenv("OFFLOAD_TEST_STORE", raising=False)
        return {"ahead": HOUR, "behind": 0}
    monkeypatch.setenv("OFFLOAD_TEST_STORE", request.param)
    return {"ahead": HOUR, "behind": -HOUR}


def worker(stage: Stage, queues: str, shift: int = 0) -> AbstractAsyncContextManager[Process]:
    """Run a worker whose clock is off."""
    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    return started(
        stage, "-m", "offload", "worker", "--app", "tests.worker.ticking:queue",
        "--queues", queues, lease=LEASE, PYTHONPATH=path, SHIFT_CLOCK=str(shift),
    )  # fmt: skip


@asynccontextmanager
async def both(stage: Stage, shifts: dict[str, int]) -> AsyncIterator[list[Process]]:
    """Run two that each have a queue of their own, and two together."""
    async with (
        worker(stage, "ahead,left,ticks", shifts["ahead"]) as ahead,
        worker(stage, "behind,left,ticks", shifts["behind"]) as behind,
    ):
        yield [ahead, behind]


async def test_who_has_another_time_works_as_if_it_had_not(
    app: Any, stage: Stage, shifts: dict[str, int]
) -> None:
    """One test, for it takes seconds to start three workers under three clocks."""
    before = await read(app.queue, lambda store: store.now())
    async with worker(stage, "left") as dies:
        left = await app.in_thread.aapply_async(["look"], queue="left", max_retries=1)
        await stage.started()
        async with both(stage, shifts) as processes:
            await no_lease_is_lost(app, stage, left, dies)
            if shifts["behind"]:
                await no_job_starts_early_or_late(app)
            ticks = await some_ticks(stage, processes)
    after = await read(app.queue, lambda store: store.now())
    assert len(set(ticks)) == len(ticks)
    if shifts["behind"]:
        assert all(before - 1000 < tick <= after for tick in ticks)
    else:
        assert max(ticks) > after  # so the workers' clocks are off, indeed


async def no_lease_is_lost(app: Any, stage: Stage, left: JobHandle[Any], dies: Process) -> None:
    """While that of a dead worker runs out, and both judge it, theirs go on."""
    held = [await app.in_thread.aapply_async(["gate"], queue=name) for name in QUEUES]
    for _ in held:
        await stage.started()
    before = await leases_of(app, left, *held)
    await gone(send(family(dies.pid), signal.SIGKILL))
    await stage.started()
    again = await reached(app.queue, left.id, "running")
    after = await leases_of(app, left, *held)
    assert after[0] > before[0]
    assert after[1:] == before[1:]
    for lease in after[1:]:
        stage.open_gate(lease)
    for job, lease in zip(held, after[1:], strict=True):
        assert await job.aresult(timeout=PATIENCE) == f"lease {lease}"
    assert await again.acancel(running=True)


async def leases_of(app: Any, *jobs: JobHandle[Any]) -> list[int]:
    """Return the newest lease of each job."""
    return [(await app.queue.aget_job(job.id)).job.lease for job in jobs]


async def no_job_starts_early_or_late(app: Any) -> None:
    """Not by the hour that the worker's clock is off, in any case."""
    jobs = [
        await app.in_thread.aapply_async(["return"], queue=name, delay=delay)
        for name in QUEUES
        for delay in (0.0, 0.5)
    ]
    for job in jobs:
        assert await job.aresult(timeout=PATIENCE) == "done"
        ended = (await app.queue.aget_job(job.id)).job
        assert ended.run_at <= ended.started_at < ended.run_at + 1000 * PATIENCE


async def some_ticks(stage: Stage, processes: list[Process]) -> list[int]:
    """Wait for a few ticks, and return them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            ticks = [int(effect[1]) for effect in stage.effects if effect[0] == "tick"]
            if len(ticks) >= TICKS:
                return ticks
            assert [process.returncode for process in processes] == [None, None]
            await asyncio.sleep(0.05)
