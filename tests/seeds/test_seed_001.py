"""Seed 001: unique jobs, cancelling, purging, batches, FastAPI."""

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

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
from tests.seeds import seed_001_blocks as blocks
from tests.seeds.reading import ROOT
from tests.seeds.running import with_worker

BEARER = {"Authorization": "Bearer mytoken"}


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

    job1 = blocks.unique_tasks(process)
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

    job, cancelled = blocks.job_cancellation(queue, send_email)
    assert cancelled
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


# ---------------------------------------------------------------------------------- async


async def test_sync_and_async_say_the_same(queue: Queue) -> None:
    @queue.task()
    async def fine() -> str:
        return "fine"

    @queue.task(max_retries=0)
    async def broken() -> None:
        raise ValueError("boom")

    async with working(queue):
        job = await fine.adelay()
        await job.aresult(timeout=30)
        dead = [await broken.adelay(), await broken.adelay()]
        for each in dead:
            with pytest.raises(JobDead):
                await each.aresult(timeout=30)
    pending = [await fine.aapply_async(delay=100), await fine.aapply_async(delay=100)]

    of_sync = blocks.sync_support(queue, job, pending[0].id, dead[0].id)
    of_async = await blocks.async_support(queue, job, pending[1].id, dead[1].id)
    for turn, (stats, letters, new_id, cancelled, result) in enumerate((of_sync, of_async)):
        assert (stats["completed"], stats["dead"]) == (1, 2)
        # Each turn has cancelled one job, and retried one letter.
        assert (stats["pending"], stats["cancelled"]) == (2, turn)
        assert [letter.id for letter in letters] == [each.id for each in dead[turn:]][::-1]
        retried = await queue.aget_job(new_id)
        assert retried is not None
        assert (retried.status, retried.origin) == ("pending", dead[turn].id)
        assert (cancelled, result) == (True, "fine")
    assert [(await each.arefresh()).status for each in pending] == ["cancelled"] * 2
    with pytest.raises(JobNotFound):
        await queue.aretry_dead(dead[0].id)


# -------------------------------------------------------------------------------- batches


def test_batches(queue: Queue) -> None:
    @queue.task(name="myapp.process")
    def process(item_id: int, *, loud: bool = False) -> int:
        return item_id

    jobs = process.map([(i,) for i in range(1000)])
    assert len({job.id for job in jobs}) == 1000
    jobs = blocks.queue_enqueue_many(queue)
    assert {(job.queue_name, job.job.priority) for job in jobs} == {("processing", 5)}
    queue.enqueue_many("myapp.process", [(1,)], [{"loud": True}])
    assert queue.stats()["pending"] == 2001
    # One that does not fit: none is stored.
    with pytest.raises(TypeError):
        process.map([(1,), (1, 2, 3)])
    assert queue.stats()["pending"] == 2001


# -------------------------------------------------------------------------------- FastAPI


def test_quick_setup(seed: Any) -> None:
    module = seed("001_quick")
    with served(module.app) as address, httpx.Client(base_url=f"{address}/tasks") as client:
        job = module.process_data.delay({"a": 1})
        assert StatsResponse(**client.get("/stats").json()).pending == 1
        assert JobResponse(**client.get(f"/jobs/{job.id}").json()).status == "pending"
        assert client.get("/jobs").status_code == 404, "the operators' routes are not open"
    with served(with_worker(module)) as address:
        answer = httpx.get(f"{address}/tasks/jobs/{job.id}/result?timeout=30", timeout=40)
    assert JobResultResponse(**answer.json()).result == "done"


def test_full_example(seed: Any) -> None:
    module = seed("001_full")
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
    module = seed("001_full")

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


def test_response_models_can_be_imported() -> None:
    wanted = ["Stats", "Job", "JobError", "JobResult", "Cancel", "DeadLetter", "Retry"]
    models = blocks.response_models()
    assert sorted(models) == sorted(f"{name}Response" for name in wanted)
    assert all(issubclass(model, BaseModel) for model in models.values())


def test_the_extra_brings_fastapi() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [extra] = project["optional-dependencies"]["fastapi"]
    assert extra.startswith("fastapi")
    # Arguments and results are typed through it, so it is there without an extra too.
    assert any(each.startswith("pydantic") for each in project["dependencies"])


def test_custom_tags_and_dependencies(seed: Any) -> None:
    app = seed("001_custom").app
    tags = {tuple(way["tags"]) for path in app.openapi()["paths"].values() for way in path.values()}
    assert tags == {("task-queue",)}
    with served(app) as address, httpx.Client(base_url=f"{address}/tasks") as client:
        for key, status in (("secret", 200), ("wrong", 401)):
            assert client.get("/stats", headers={"X-API-Key": key}).status_code == status
