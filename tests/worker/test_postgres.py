"""The real command on a real server, which is killed under it."""

import asyncio
import importlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from offload import JobCancelled, Queue, current_job
from tests.servers.postgres import PostgresServer, schema
from tests.worker.staging import PATIENCE, Stage, command, ends, reached


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with schema(server.url) as url:
        yield url


@pytest.fixture
async def app(stage: Stage, url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The application, imported anew so that its queue is in this test's schema."""
    monkeypatch.setenv("OFFLOAD_TEST_FOLDER", str(stage.folder))
    monkeypatch.setenv("OFFLOAD_TEST_URL", url)
    monkeypatch.setattr("offload.worker.janitor.EVERY", 5.0)
    monkeypatch.delitem(sys.modules, "tests.worker.app", raising=False)
    app = importlib.import_module("tests.worker.app")
    await app.queue.aopen()
    yield app
    await app.queue.aclose()
    sys.modules.pop("tests.worker.app", None)


async def test_jobs_run_and_are_heard_of(app: Any, stage: Stage) -> None:
    async with command(stage, "-c", "2") as process:
        results = [await app.TASKS[kind].adelay("return") for kind in ("async", "thread")]
        for job in results:
            assert await job.aresult(timeout=30) == "done"
        waiting = await app.in_loop.adelay("wait")
        await stage.started()
        assert await waiting.acancel(running=True)
        with pytest.raises(JobCancelled):
            await waiting.aresult(timeout=30)
        process.terminate()
        assert await ends(process) == 0


async def test_no_job_is_lost_while_the_server_is_killed_again_and_again(
    app: Any, stage: Stage, server: PostgresServer
) -> None:
    async with command(stage, "-c", "4", lease=30) as process:
        ids: list[str] = []
        for _ in range(3):
            enqueued = [
                await app.in_thread.aapply_async(["return"], max_retries=5) for _ in range(60)
            ]
            ids += [job.id for job in enqueued]
            await reached(app.queue, ids[-60], "complete")
            await asyncio.to_thread(server.stop, signal.SIGQUIT)
            await asyncio.to_thread(server.start)
        for job_id in ids:
            await reached(app.queue, job_id, "complete")
        assert process.returncode is None
        process.terminate()
        assert await ends(process) == 0
    effects = [effect[1] for effect in stage.effects if effect[0] == "return"]
    assert set(effects) == set(ids)


async def test_a_worker_waits_for_a_server_that_is_not_there_yet(
    app: Any, stage: Stage, server: PostgresServer
) -> None:
    job = await app.in_thread.adelay("return")
    await asyncio.to_thread(server.stop)
    async with command(stage) as process:
        async with asyncio.timeout(30):
            while "the server is away" not in stage.log:
                assert process.returncode is None
                await asyncio.sleep(0.05)
        await asyncio.to_thread(server.start)
        assert await job.aresult(timeout=30) == "done"


async def test_a_tick_fires_once_among_several_workers(url: str) -> None:
    fired, stop, enough = Counter[object](), asyncio.Event(), asyncio.Event()

    async def tick() -> None:
        fired[current_job.tick] += 1
        if len(fired) == 3:
            enough.set()

    async with AsyncExitStack() as kept:
        working = []
        for _ in range(3):
            queue = Queue(url)
            kept.push_async_callback(queue.aclose)
            queue.periodic(every=1, name="tick")(tick)
            worker = queue.arun_worker(stop, install_signals=False)
            working.append(asyncio.create_task(worker))
        async with asyncio.timeout(PATIENCE):
            await enough.wait()
        stop.set()
        await asyncio.gather(*working)
    assert set(fired.values()) == {1}
