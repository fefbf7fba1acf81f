"""Workers on a Redis server. For all of this folder's tests: OFFLOAD_TEST_STORE=redis."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from offload import JobCancelled
from tests.servers.valkey import ValkeyServer, fresh
from tests.worker.staging import Stage, command, reached

JOBS = 300


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A server of these tests' own, which they hurt."""
    server = ValkeyServer(appendonly="yes", appendfsync="always")
    server.start()
    yield server
    server.remove()


@pytest.fixture(autouse=True)
def redis_url(server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of the application's queue."""
    monkeypatch.setenv("OFFLOAD_TEST_STORE", "redis")
    return fresh(server.url)


async def test_the_command_runs_jobs_and_stops_them(app: Any, stage: Stage) -> None:
    async with command(stage):
        results = [
            await job.aresult(timeout=30) for job in await app.in_thread.amap([("return",)] * 20)
        ]
        assert results == ["done"] * 20
        stopped = await app.in_thread.adelay("look")
        await stage.started()
        await reached(app.queue, stopped.id, "running")
        assert await stopped.acancel(running=True)
        with pytest.raises(JobCancelled):
            await stopped.aresult(timeout=30)


async def test_workers_outlive_their_server(app: Any, stage: Stage, server: ValkeyServer) -> None:
    """It is killed and comes back again and again; all jobs are run, and no worker ends."""
    async with command(stage, lease=3.0) as one, command(stage, lease=3.0) as two:
        jobs = await app.in_thread.amap([("return",)] * JOBS)
        for done in (jobs[50], jobs[120], jobs[200]):
            await done.aresult(timeout=40)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.to_thread(server.start)
        assert [await job.aresult(timeout=40) for job in jobs] == ["done"] * JOBS
        assert one.returncode is two.returncode is None
    assert {effect[1] for effect in stage.effects} == {job.id for job in jobs}
