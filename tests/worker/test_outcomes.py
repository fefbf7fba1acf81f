"""How a job ends, in each executor."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from offload import (
    ConfigurationError,
    JobDead,
    JobFailed,
    JobTimeout,
    Queue,
    Retry,
    Snooze,
    current_job,
)
from tests.worker.staging import Stage, working

EXECUTORS = ["async", "thread", "process"]


@pytest.fixture(params=EXECUTORS)
def task(app: Any, request: pytest.FixtureRequest) -> Any:
    """The task that does what it is told, in each of the executors."""
    return app.TASKS[request.param]


async def test_what_a_task_returns_is_its_result(app: Any, task: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await task.adelay("return")
        assert await job.aresult(timeout=30) == "done"
    await job.arefresh()
    assert (job.status, job.progress, job.error) == ("complete", 100, None)
    assert job.started_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    assert [effect[0] for effect in stage.effects] == ["return"]


async def test_an_error_is_tried_again_until_it_goes_well(app: Any, task: Any) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["fail twice"], max_retries=2)
        assert await job.aresult(timeout=30) == "third time lucky"
    errors = await app.queue.ajob_errors(job.id)
    assert [(error.attempt, error.failure.message) for error in errors] == [
        (1, "attempt 0"),
        (2, "attempt 1"),
    ]
    assert (await job.arefresh()).job.attempt == 3


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_job_dies_when_its_attempts_are_used_up(
    app: Any, task: Any, stage: Stage, retries: int
) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["boom"], max_retries=retries)
        with pytest.raises(JobDead, match="ValueError: boom") as caught:
            await job.aresult(timeout=30)
    assert (caught.value.job_id, caught.value.reason) == (job.id, "ValueError: boom")
    attempts = [error.attempt for error in await app.queue.ajob_errors(job.id)]
    assert attempts == list(range(1, retries + 2))
    assert len(stage.effects) == retries + 1
    [letter] = await app.queue.adead_letters()
    assert (letter.id, letter.job.error) == (job.id, "ValueError: boom")


async def test_an_error_record_shows_the_users_lines_only(app: Any, task: Any) -> None:
    async with working(app.queue):
        job = await task.adelay("boom")
        with pytest.raises(JobDead):
            await job.aresult(timeout=30)
    [error] = await app.queue.ajob_errors(job.id)
    assert error.failure.type == "ValueError"
    assert error.failure.traceback.splitlines()[-1] == "ValueError: boom"
    assert "in throw" in error.failure.traceback
    assert "offload/worker/" not in error.failure.traceback


async def test_abort_is_final_whatever_the_retries(app: Any, task: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["abort"], max_retries=5)
        with pytest.raises(JobFailed, match="no use") as caught:
            await job.aresult(timeout=30)
    assert type(caught.value) is JobFailed
    assert (await job.arefresh()).status == "failed"
    assert len(stage.effects) == 1
    assert await app.queue.adead_letters() == []


async def test_a_retry_that_is_asked_for_uses_an_attempt(app: Any, task: Any, stage: Stage) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["again"], max_retries=2)
        with pytest.raises(JobDead, match="Retry: not yet"):
            await job.aresult(timeout=30)
    assert len(stage.effects) == 3


async def test_a_retry_says_when(app: Any, task: Any) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["later"], max_retries=1)
        seen = [(job.status, job.job.attempt) async for job in first_rest(app, job.id)]
    assert seen[-1] == ("pending", 1)
    stored = (await job.arefresh()).job
    assert stored.run_at >= stored.started_at + 3_600_000


async def first_rest(app: Any, job_id: str) -> Any:
    """Yield the job until it waits after an attempt."""
    async for job in app.queue.awatch(job_id, interval=0):
        yield job
        if job.status == "pending" and job.job.attempt:
            return


async def test_a_snoozed_job_is_given_back_and_no_attempt_is_used(app: Any, task: Any) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["snooze"], max_retries=0)
        async for seen in app.queue.awatch(job.id, interval=0):
            if seen.status == "pending" and seen.job.lease:
                break
    assert (seen.job.attempt, seen.error) == (0, None)
    assert seen.job.run_at >= seen.job.started_at + 3_600_000
    assert await app.queue.ajob_errors(job.id) == []


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_a_snooze_has_an_end(wrong: float) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        Snooze(wrong)


class Picky(LookupError):
    """An error of a kind."""


@pytest.mark.parametrize(
    ("options", "attempts", "status"),
    [
        ({}, 2, "dead"),
        ({"retry_on": (LookupError,)}, 2, "dead"),
        ({"retry_on": (ConnectionError, Picky)}, 2, "dead"),
        ({"retry_on": (ConnectionError,)}, 1, "failed"),
        ({"retry_on": ()}, 1, "failed"),
        ({"no_retry_on": (KeyError,)}, 2, "dead"),
        ({"no_retry_on": (LookupError,)}, 1, "failed"),
        ({"retry_on": (Picky,), "no_retry_on": (LookupError,)}, 1, "failed"),
    ],
)
async def test_a_task_says_which_errors_are_tried_again(
    queue: Queue, options: Any, attempts: int, status: str
) -> None:
    @queue.task(max_retries=1, **options)
    def fail() -> None:
        raise Picky("of a kind")

    async with working(queue):
        job = await fail.adelay()
        with pytest.raises(JobFailed, match="of a kind"):
            await job.aresult(timeout=30)
    await job.arefresh()
    assert (job.job.attempt, job.status) == (attempts, status)


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_a_timeout_is_an_error_of_its_kind(queue: Queue, executor: str) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    def look() -> None:
        current_job.wait_stopped(60)
        current_job.check_cancelled()

    function: Any = wait if executor == "async" else look
    task = queue.task(name="t", timeout=0.05, max_retries=5, no_retry_on=(JobTimeout,))(function)
    async with working(queue):
        job = await task.adelay()
        with pytest.raises(JobFailed, match="JobTimeout"):
            await job.aresult(timeout=30)
    assert (await job.arefresh()).job.attempt == 1


async def test_a_retry_that_is_asked_for_is_no_error_of_any_kind(queue: Queue) -> None:
    @queue.task(max_retries=1, retry_on=(), no_retry_on=(Exception,))
    def again() -> str:
        if current_job.retry_count == 0:
            raise Retry("once more", delay=0)
        return "done"

    async with working(queue):
        assert await (await again.adelay()).aresult(timeout=30) == "done"


async def test_a_result_that_cannot_be_carried_fails_once(
    app: Any, task: Any, stage: Stage
) -> None:
    async with working(app.queue):
        job = await task.aapply_async(["unencodable"], max_retries=5)
        with pytest.raises(JobFailed, match=r"PayloadError.*object"):
            await job.aresult(timeout=30)
    assert (await job.arefresh()).status == "failed"
    assert len(stage.effects) == 1


@pytest.mark.parametrize("deed", ["exit", "interrupt", "generator", "odd", "cancelled"])
async def test_no_exception_ends_the_worker(app: Any, task: Any, stage: Stage, deed: str) -> None:
    async with working(app.queue, concurrency=1) as work:
        job = await task.aapply_async([deed], max_retries=1)
        with pytest.raises(JobDead):
            await job.aresult(timeout=30)
        after = await task.adelay("return")
        assert await after.aresult(timeout=30) == "done"
        assert not work.task.done()
    assert [effect[0] for effect in stage.effects] == [deed, deed, "return"]
    [first, second] = await app.queue.ajob_errors(job.id)
    assert first.failure.type == second.failure.type
    # It was the task's error, and not the death of what ran it.
    assert first.failure.type not in {"WorkerLost", "PoisonJob", "JobTimeout"}


@pytest.fixture
async def other(app: Any, stage: Stage) -> AsyncIterator[Queue]:
    """The same jobs, as a program with other tasks sees them."""
    other = Queue(os.environ.get("OFFLOAD_TEST_URL", str(stage.folder / "jobs.db")))
    yield other
    await other.aclose()


async def test_a_task_that_this_worker_does_not_know_is_left_to_others(
    app: Any, other: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While a new version is rolled out, old workers claim jobs that only new ones can run."""

    @other.task(name="new", max_retries=0)
    def new() -> str:
        return "known here"

    monkeypatch.setattr("offload.worker.worker.STRANGE_AGAIN", 0.2)
    job = await new.adelay()
    async with working(app.queue, concurrency=1):
        async for seen in app.queue.awatch(job.id, interval=0):
            if seen.status == "pending" and seen.job.lease:
                break
        assert (seen.job.attempt, seen.error) == (0, None)
        assert seen.job.run_at >= seen.job.started_at + 200
        after = await app.in_thread.adelay("return")
        assert await after.aresult(timeout=30) == "done"
    assert "no task named 'new' is known to this worker" in caplog.text
    async with working(other):
        assert await job.aresult(timeout=30) == "known here"
    assert (await job.arefresh()).job.attempt == 1
    assert await other.ajob_errors(job.id) == []


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_arguments_that_do_not_fit_the_workers_task(
    app: Any, stage: Stage, other: Queue, executor: str
) -> None:
    """The program that enqueues may be of another version."""

    @other.task(name=app.TASKS[executor].name, max_retries=5)
    def changed(deed: str, other: int) -> None: ...

    job = await changed.adelay("return", 1)
    async with working(app.queue):
        with pytest.raises(JobFailed, match="ArgumentError"):
            await job.aresult(timeout=30)
    assert (await job.arefresh()).status == "failed"
    assert stage.effects == []
