"""Seed 001, as far as it is built: unique jobs, cancelling, purging, batches, FastAPI."""

import asyncio
import contextlib
import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from offload import JobDead, JobNotFound, Queue
from offload.fastapi import (
    CancelResponse,
    DeadLetterResponse,
    JobErrorResponse,
    JobResponse,
    JobResultResponse,
    RetryResponse,
    StatsResponse,
    lifespan,
)
from tests.fastapi.serving import events, served

BEARER = {"Authorization": "Bearer mytoken"}


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(db_path=str(tmp_path / "myapp.db"))
    yield queue
    queue.close()


@contextlib.asynccontextmanager
async def working(queue: Queue) -> AsyncIterator[None]:
    async with lifespan(queue, worker=True)(None):
        yield


# ------------------------------------------------------------------------- unique tasks


async def test_a_unique_key_gives_the_job_that_is_there_until_it_ends(queue: Queue) -> None:
    may_end = asyncio.Event()

    @queue.task()
    async def process(what: str) -> str:
        await may_end.wait()
        return what

    job1 = process.apply_async(args=("report",), unique_key="daily-report")
    job2 = process.apply_async(args=("report",), unique_key="daily-report")
    assert job1.id == job2.id  # Same job, not duplicated
    other = process.apply_async(args=("report",), unique_key="weekly-report")
    assert other.id != job1.id
    async with working(queue):
        async for handle in queue.awatch(job1.id):
            if handle.status == "running":
                break
        running = await process.aapply_async(args=("report",), unique_key="daily-report")
        assert running.id == job1.id
        may_end.set()
        assert await job1.aresult(timeout=20) == "report"
        later = await process.aapply_async(args=("report",), unique_key="daily-report")
        assert later.id != job1.id


async def test_a_dead_job_gives_its_unique_key_back(queue: Queue) -> None:
    @queue.task(max_retries=0)
    async def process() -> None:
        raise ValueError("boom")

    async with working(queue):
        job = await process.aapply_async(unique_key="k")
        with pytest.raises(JobDead):
            await job.aresult(timeout=20)
        assert (await process.aapply_async(unique_key="k")).id != job.id


def test_concurrent_calls_with_one_key_make_one_job(queue: Queue) -> None:
    @queue.task()
    def process() -> None: ...

    with ThreadPoolExecutor(8) as pool:
        jobs = pool.map(lambda _: process.apply_async(unique_key="k").id, range(40))
        assert len(set(jobs)) == 1
    assert queue.stats()["pending"] == 1


# ----------------------------------------------------------------------------- cancelling


async def test_only_a_pending_job_can_be_cancelled(queue: Queue) -> None:
    @queue.task()
    def send_email(to: str, subject: str, body: str) -> str:
        return to + subject + body

    job = send_email.delay("user@example.com", "Hello", "World")
    assert queue.cancel_job(job.id)  # True if was pending
    assert not queue.cancel_job(job.id)
    async with working(queue):
        done = await send_email.adelay("user@example.com", "Hello", "World")
        await done.aresult(timeout=20)
        assert not await queue.acancel_job(done.id)
    assert job.refresh().status == "cancelled", "Cancelled jobs cannot be un-cancelled"
    assert not queue.cancel_job("nope")


# -------------------------------------------------------------------------------- purging


@pytest.fixture
def purgeable(queue: Queue) -> tuple[str, str]:
    """Leave a complete and a dead job behind, and return their ids."""

    @queue.task()
    async def fine() -> None: ...

    @queue.task(max_retries=0)
    async def broken() -> None:
        raise ValueError("boom")

    async def worked() -> tuple[str, str]:
        async with working(queue):
            complete, dead = await fine.adelay(), await broken.adelay()
            await complete.aresult(timeout=20)
            with pytest.raises(JobDead):
                await dead.aresult(timeout=20)
        return complete.id, dead.id

    return asyncio.run(worked())


def test_purging_takes_jobs_and_their_records_but_not_dead_letters(
    queue: Queue, purgeable: tuple[str, str]
) -> None:
    complete, dead = purgeable
    # Purge completed jobs older than 1 hour
    assert queue.purge_completed(older_than=3600) == 0
    # Purge dead letters older than 24 hours
    assert queue.purge_dead(older_than=86400) == 0
    assert len(queue.job_errors(dead)) == 1
    purge_at_once(queue.purge_completed, 2)
    assert queue.get_job(complete) is None
    assert queue.get_job(dead) is None
    assert queue.job_errors(dead) == []
    assert len(queue.dead_letters()) == 1
    purge_at_once(queue.purge_dead, 1)
    assert queue.dead_letters() == []


def purge_at_once(purge: Any, wanted: int) -> None:
    """Purge what has ended; in the very millisecond of its end nothing is older than that."""
    purged = 0
    while purged < wanted:
        purged += purge(older_than=0)
    assert purged == wanted


def test_results_have_a_time_to_live(tmp_path: Path) -> None:
    queue = Queue(
        db_path=str(tmp_path / "myapp.db"),
        result_ttl=3600,  # Auto-purge completed/dead jobs older than 1 hour
    )

    @queue.task()
    def resize_image(image: str) -> None: ...

    job = resize_image.apply_async(
        args=("photo.jpg",),
        result_ttl=600,  # This job's results expire after 10 minutes
    )
    assert queue.result_ttl == 3600
    assert job.job.result_ttl == 600
    queue.close()


# ---------------------------------------------------------------------------------- async


async def test_async_equivalents(queue: Queue, purgeable: tuple[str, str]) -> None:
    stats = await queue.astats()
    assert stats == await asyncio.to_thread(queue.stats)
    assert (stats["completed"], stats["dead"]) == (1, 1)
    dead = await queue.adead_letters()
    assert dead == await asyncio.to_thread(queue.dead_letters)
    new_id = await queue.aretry_dead(dead[0].id)
    assert (await queue.astats())["pending"] == 1
    assert await queue.acancel_job(new_id)
    with pytest.raises(JobNotFound):
        await queue.aretry_dead(dead[0].id)
    job = await queue.aget_job(purgeable[0])
    assert job is not None
    assert await job.aresult(timeout=30) is None


# -------------------------------------------------------------------------------- batches


def test_batches(queue: Queue) -> None:
    @queue.task(name="myapp.process")
    def process(item_id: int, *, loud: bool = False) -> int:
        return item_id

    # Enqueue 1000 jobs in one transaction
    jobs = process.map([(i,) for i in range(1000)])
    assert len({job.id for job in jobs}) == 1000
    jobs = queue.enqueue_many(
        task_name="myapp.process",
        args_list=[(i,) for i in range(1000)],
        kwargs_list=None,  # Optional per-job kwargs
        priority=5,  # Same priority for all
        queue="processing",  # Same queue for all
    )
    assert {(job.queue_name, job.job.priority) for job in jobs} == {("processing", 5)}
    queue.enqueue_many("myapp.process", [(1,)], [{"loud": True}])
    assert queue.stats()["pending"] == 2001
    # One that does not fit: none is stored.
    with pytest.raises(TypeError):
        process.map([(1,), (1, 2, 3)])
    assert queue.stats()["pending"] == 2001


# -------------------------------------------------------------------------------- FastAPI


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that imports one of the seed's applications, its database in here."""
    monkeypatch.chdir(tmp_path)
    names = [f"tests.seeds.seed_001_{name}" for name in ("quick", "custom", "full")]
    for name in names:
        sys.modules.pop(name, None)
    loaded: list[ModuleType] = []

    def load(name: str) -> ModuleType:
        loaded.append(importlib.import_module(f"tests.seeds.seed_001_{name}"))
        return loaded[-1]

    yield load
    for module in loaded:
        module.queue.close()


def with_worker(module: ModuleType) -> FastAPI:
    site = FastAPI(lifespan=lifespan(module.queue, worker=True))
    site.mount("/", module.app)
    return site


def test_quick_setup(seed: Any) -> None:
    module = seed("quick")
    with served(module.app) as address, httpx.Client(base_url=f"{address}/tasks") as client:
        job = module.process_data.delay({"a": 1})
        assert StatsResponse(**client.get("/stats").json()).pending == 1
        assert JobResponse(**client.get(f"/jobs/{job.id}").json()).status == "pending"
        assert client.get("/jobs").status_code == 404, "the operators' routes are not open"
    with served(with_worker(module)) as address:
        answer = httpx.get(f"{address}/tasks/jobs/{job.id}/result?timeout=30", timeout=40)
    assert JobResultResponse(**answer.json()).result == "done"


def test_full_example(seed: Any) -> None:
    module = seed("full")
    module.do_resize = "{}@{}".format
    with (
        served(with_worker(module)) as address,
        httpx.Client(base_url=f"{address}/tasks", timeout=40) as client,
    ):
        job = module.resize_image.delay("a.jpg", [64, 128])
        path = f"/jobs/{job.id}"
        assert client.get(path).status_code == 422  # Header(...): FastAPI says what is missing
        assert client.get(path, headers={"Authorization": "Basic x"}).status_code == 401
        with client.stream("GET", f"{path}/progress", headers=BEARER) as response:
            *_, last = events(response)
        assert last.data == {"progress": 100, "status": "complete"}
        result = client.get(f"{path}/result?timeout=60", headers=BEARER).json()
        assert result["result"] == {"64": "a.jpg@64", "128": "a.jpg@128"}


def test_failures_over_http(seed: Any) -> None:
    module = seed("full")

    def do_resize(image_url: str, size: int) -> None:
        raise ValueError(f"{image_url} is no image")

    module.do_resize = do_resize
    module.queue.task(name="once", max_retries=0)(module.resize_image.function)
    with (
        served(with_worker(module)) as address,
        httpx.Client(base_url=f"{address}/tasks", timeout=40, headers=BEARER) as client,
    ):
        job = module.queue.enqueue("once", "a.jpg", [64])
        result = JobResultResponse(**client.get(f"/jobs/{job.id}/result?timeout=30").json())
        assert (result.status, result.error) == ("dead", "ValueError: a.jpg is no image")
        [error] = client.get(f"/jobs/{job.id}/errors").json()
        assert "do_resize" in JobErrorResponse(**error).error
        [letter] = client.get("/dead-letters").json()
        assert DeadLetterResponse(**letter).original_job_id == job.id
        retried = RetryResponse(**client.post(f"/dead-letters/{letter['id']}/retry").json())
        assert retried.new_job_id != job.id
        cancelled = CancelResponse(**client.post(f"/jobs/{job.id}/cancel").json())
        assert not cancelled.cancelled


def test_custom_tags_and_dependencies(seed: Any) -> None:
    app = seed("custom").app
    tags = {tuple(way["tags"]) for path in app.openapi()["paths"].values() for way in path.values()}
    assert tags == {("task-queue",)}
    with served(app) as address, httpx.Client(base_url=f"{address}/tasks") as client:
        for key, status in (("secret", 200), ("wrong", 401)):
            assert client.get("/stats", headers={"X-API-Key": key}).status_code == status
