"""What a task knows of itself, and what it tells."""

import asyncio
import contextvars
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from offload import JobContext, NoCurrentJob, Queue, current_job
from tests.worker.staging import Stage, command, working


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_a_task_knows_its_job(app: Any, executor: str) -> None:
    task = app.TASKS[executor]
    async with working(app.queue):
        options = {"queue": "q", "metadata": {"user": 7}, "tags": ["a", "b"], "timeout": 600}
        job = await task.aapply_async(["describe"], **options)
        said = await job.aresult(timeout=30)
    assert (said.pop("pid") == os.getpid()) == (executor != "process")
    assert said == {
        "id": job.id,
        "task": task.name,
        "queue": "q",
        "retries": 0,
        "token": 1,
        "metadata": {"user": 7},
        "tags": ["a", "b"],
        "key": job.id,
        "remaining": True,
    }


async def test_the_token_rises_with_each_run(queue: Queue) -> None:
    seen = []

    @queue.task(max_retries=2)
    def fail() -> None:
        seen.append((current_job.retry_count, current_job.fencing_token))
        if len(seen) < 3:
            raise ValueError("again")

    async with working(queue):
        await (await fail.adelay()).aresult(timeout=30)
    assert seen == [(0, 1), (1, 2), (2, 3)]


def test_outside_a_task_there_is_no_current_job() -> None:
    with pytest.raises(NoCurrentJob, match=r"\.delay\(\)"):
        _ = current_job.id
    with pytest.raises(NoCurrentJob):
        current_job.update_progress(1)


async def test_a_direct_call_has_no_current_job(queue: Queue) -> None:
    @queue.task
    def ask() -> str:
        return current_job.id

    async with working(queue):
        with pytest.raises(NoCurrentJob):
            ask()


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_context_variables_do_not_leak(queue: Queue, executor: str) -> None:
    """Not from the one who started the worker, not from job to job, and not back."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")
    variable.set("of the caller")

    def swap() -> str:
        before = variable.get()
        variable.set("of another job")
        return before

    async def aswap() -> str:
        return swap()

    task: Any = queue.task(name="swap")(aswap if executor == "async" else swap)
    async with working(queue, concurrency=1):
        jobs = await task.amap([()] * 3)
        assert [await job.aresult(timeout=30) for job in jobs] == ["clean"] * 3
    assert variable.get() == "of the caller"
    with pytest.raises(NoCurrentJob):
        _ = current_job.id


async def test_jobs_side_by_side_each_have_their_own(queue: Queue) -> None:
    meeting = threading.Barrier(4)

    @queue.task
    def meet() -> str:
        meeting.wait(30)
        return current_job.id

    async with working(queue, concurrency=4):
        jobs = await meet.amap([()] * 4)
        assert [await job.aresult(timeout=30) for job in jobs] == [job.id for job in jobs]


async def test_two_queues_in_one_process_do_not_mix(tmp_path: Path) -> None:
    queues = [Queue(db_path=str(tmp_path / name)) for name in ("one.db", "two.db")]
    meeting = threading.Barrier(2)

    def meet() -> list[str]:
        meeting.wait(30)
        return [current_job.id, current_job.task_name]

    tasks = [queue.task(name=f"meet{n}")(meet) for n, queue in enumerate(queues)]
    async with working(queues[0]), working(queues[1]):
        jobs = [await task.adelay() for task in tasks]
        results = [await job.aresult(timeout=30) for job in jobs]
    assert results == [[jobs[0].id, "meet0"], [jobs[1].id, "meet1"]]
    assert await queues[0].aget_job(jobs[1].id) is None
    for queue in queues:
        await queue.aclose()


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_progress_reaches_another_process(app: Any, stage: Stage, executor: str) -> None:
    task = app.TASKS[executor]
    async with command(stage):
        job = await task.adelay("progress")
        assert (job.progress, job.job.progress) == (0, None)
        await stage.started()
        async with asyncio.timeout(30):
            async for seen in app.queue.awatch(job.id, interval=0):
                if seen.progress == 40:
                    assert seen.status == "running"
                    stage.open_gate()
        assert await job.aresult(timeout=30) == "lease 1"
        assert (await job.arefresh()).progress == 100


@pytest.mark.parametrize("wrong", [-1, 101, 0.5, "50"])
async def test_progress_is_checked(queue: Queue, wrong: Any) -> None:
    @queue.task
    def report() -> str:
        with pytest.raises(ValueError, match="0 to 100"):
            current_job.update_progress(wrong)
        return "checked"

    async with working(queue):
        assert await (await report.adelay()).aresult(timeout=30) == "checked"


async def test_progress_of_an_earlier_run_is_not_shown(queue: Queue) -> None:
    seen: list[int | None] = []

    @queue.task(max_retries=1)
    async def report() -> None:
        job = await queue.aget_job(current_job.id)
        assert job is not None
        seen.append(job.job.progress)
        current_job.update_progress(70)
        async with asyncio.timeout(30):
            async for each in queue.awatch(current_job.id, interval=0):
                if each.progress == 70:
                    break
        if current_job.retry_count == 0:
            raise ValueError("again")

    async with working(queue):
        await (await report.adelay()).aresult(timeout=30)
    assert seen == [None, None]


def test_the_public_name_stands_for_a_job_context() -> None:
    public = {name for name in dir(JobContext) if not name.startswith("_")}
    assert public >= {"check_cancelled", "fencing_token", "id", "update_progress"}
