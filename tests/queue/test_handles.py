"""What a handle shows, reads and does; what each end raises."""

import asyncio
import threading
from typing import Any

import pytest

from offload import (
    Abort,
    JobCancelled,
    JobDead,
    JobError,
    JobFailed,
    JobNotEnded,
    JobNotFound,
    JobPart,
    JobPurged,
    PayloadError,
    Queue,
    current_job,
)
from offload.core.records import Part
from offload.tasks.parts import decoded
from tests.worker.staging import PATIENCE, reached, working


class Told:
    """A task that does what it is told, step by step."""

    def __init__(self, queue: Queue) -> None:
        self.steps: asyncio.Queue[Any] = asyncio.Queue()

        @queue.task(name="told", max_retries=1, retry_backoff=0)
        async def told() -> str:
            while (step := await self.steps.get()) is not None:
                step()
            return "done"

        self.task = told

    def tell(self, *steps: Any) -> None:
        for step in steps:
            self.steps.put_nowait(step)


@pytest.fixture
def told(queue: Queue) -> Told:
    return Told(queue)


def raising(error: Exception) -> Any:
    def step() -> None:
        raise error

    return step


async def purged(queue: Queue) -> None:
    while not await queue.apurge_completed(older_than=0):
        pass  # in the very millisecond of its end nothing is older than that


# ---------------------------------------------------------------------------------- snapshots


async def test_a_handle_shows_the_job_as_last_read(queue: Queue, told: Told) -> None:
    job = await told.task.aapply_async(
        queue="q", tags=["a"], metadata={"user": 1}, delay=0, priority=2
    )
    assert (job.task_name, job.queue_name, job.status) == ("told", "q", "pending")
    assert (job.tags, job.metadata, job.origin, job.parent) == (("a",), {"user": 1}, None, None)
    assert (job.progress, job.message, job.data, job.error) == (0, None, None, None)
    assert (job.started_at, job.finished_at, job.blocked_by) == (None, None, 0)
    assert job.run_at == job.created_at
    async with working(queue):
        told.tell(lambda: current_job.update_progress(40, "half", {"$set": [1], "n": 2}))
        async with asyncio.timeout(PATIENCE):
            async for seen in job.awatch(interval=0):
                if seen.progress == 40:
                    break
        assert (seen.message, seen.data) == ("half", {"$set": [1], "n": 2})
        assert job.status == "pending", "not read again yet"
        assert (await job.arefresh()) is job
        assert (job.status, job.message) == ("running", "half")
        told.tell(None)
        assert await job.aresult(timeout=30) == "done"
    assert job.status == "complete"
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    assert job.version > 1
    assert repr(job) == f"<JobHandle {job.id} told complete>"


# --------------------------------------------------------------------------------------- ends


async def test_each_end_has_its_own_error(queue: Queue, told: Told) -> None:
    async with working(queue):
        job = await told.task.adelay()
        told.tell(raising(Abort("enough")))
        with pytest.raises(JobFailed, match="failed: Abort: enough") as failed:
            await job.aresult(timeout=30)
        assert type(failed.value) is JobFailed
        job = await told.task.adelay()
        told.tell(raising(ValueError("one")), raising(ValueError("two")))
        with pytest.raises(JobDead, match="dead: ValueError: two") as dead:
            await job.aresult(timeout=30)
        assert (dead.value.job_id, dead.value.reason) == (job.id, "ValueError: two")
        job = await told.task.adelay()
        await reached(queue, job.id, "running")
        with pytest.raises(TimeoutError):
            await job.aresult(timeout=0)
        assert not await job.acancel()
        assert await job.acancel(running=True)
        with pytest.raises(JobCancelled, match="cancelled while running"):
            await job.aresult(timeout=30)
        job = await told.task.aapply_async(delay=3600)
        assert await job.acancel()
        with pytest.raises(JobCancelled):
            await job.aresult(timeout=30)


async def test_a_job_that_is_gone_is_purged_wherever_it_is_asked_for(
    queue: Queue, told: Told
) -> None:
    job = await told.task.adelay()
    await job.acancel()
    await purged(queue)
    for call in (job.arefresh, job.aresult, job.areplay):
        with pytest.raises(JobPurged, match=job.id) as caught:
            await call()
        assert isinstance(caught.value, JobNotFound)
        assert isinstance(caught.value, JobError)
    with pytest.raises(JobPurged):
        await anext(job.astream())
    with pytest.raises(JobPurged):
        next(job.stream())
    assert [await call() for call in (job.aerrors, job.alogs, job.aparts)] == [[], [], []]
    assert [state async for state in job.awatch()] == []
    assert not await job.acancel()


async def test_who_waits_hears_that_the_job_was_purged(queue: Queue, told: Told) -> None:
    job = await told.task.adelay()
    streaming = asyncio.create_task(anext(job.astream(), None))
    waiting = asyncio.create_task(job.aresult(timeout=30))
    assert await job.acancel()
    await purged(queue)
    # Whoever read in time has seen the end, whoever did not that the job is gone.
    with pytest.raises((JobCancelled, JobPurged)):
        await waiting
    done = await asyncio.gather(streaming, return_exceptions=True)
    assert done[0] is None or isinstance(done[0], JobPurged)


# ------------------------------------------------------------------------------------ records


async def test_errors_logs_and_metrics_of_a_job(queue: Queue, told: Told) -> None:
    job = await told.task.adelay()
    async with working(queue):
        told.tell(
            lambda: current_job.log("begun", count=3),
            raising(ValueError("boom")),
            lambda: current_job.log("again", "warning"),
            None,
        )
        assert await job.aresult(timeout=30) == "done"
    [error] = await job.aerrors()
    assert (error.attempt, error.failure.type, error.failure.message) == (1, "ValueError", "boom")
    begun, again = await job.alogs()
    assert (begun.attempt, begun.line.level, begun.line.message) == (1, "info", "begun")
    assert begun.line.extra == {"count": 3}
    assert (again.attempt, again.line.level) == (2, "warning")
    assert [log.line.message for log in await job.alogs(level="warning")] == ["again"]
    assert [log.line.message for log in await job.alogs(limit=1)] == ["again"]
    metrics = await job.ametrics()
    assert [(str(metric.move), metric.attempt) for metric in metrics] == [
        ("retry", 1),
        ("complete", 2),
    ]
    here = (job.errors(), job.logs(), job.metrics(), job.parts())
    there = (
        queue.job_errors(job.id),
        queue.job_logs(job.id),
        queue.job_metrics(job.id),
        queue.job_parts(job.id),
    )
    assert here == there


# ------------------------------------------------------------------------------------ partial


async def test_parts_come_live_in_order_and_end_with_the_job(queue: Queue, told: Told) -> None:
    job = await told.task.adelay()
    async with working(queue), asyncio.timeout(PATIENCE):
        stream = job.astream()
        values = [1, None, "two", {"n": (3,)}]
        seen = []
        for value in values:
            told.tell(lambda value=value: current_job.publish(value))
            seen.append(await anext(stream))  # before the task goes on: it is live
        told.tell(None)
        assert [part async for part in stream] == []
    assert [part.value for part in seen] == values
    assert {(type(part), part.attempt) for part in seen} == {(JobPart, 1)}
    assert [part.id for part in seen] == sorted(part.id for part in seen)
    assert await job.aparts() == seen
    assert await job.aparts(after=seen[1].id) == seen[2:]
    assert await job.aparts(limit=1) == seen[:1]


async def test_a_stream_resumes_after_what_was_seen(queue: Queue, told: Told) -> None:
    job = await told.task.adelay()
    async with working(queue), asyncio.timeout(PATIENCE):
        told.tell(*(lambda n=n: current_job.publish(n) for n in range(3)))
        async for part in job.astream():
            if part.value == 1:
                break
        told.tell(*(lambda n=n: current_job.publish(n) for n in range(3, 250)), None)
        rest = [part.value async for part in job.astream(after=part.id)]
    assert rest == list(range(2, 250))
    again = [part.value async for part in job.astream()]
    assert again == list(range(250))


async def test_parts_of_a_retried_attempt_are_kept(queue: Queue, told: Told) -> None:
    job = await told.task.adelay()
    async with working(queue), asyncio.timeout(PATIENCE):
        told.tell(lambda: current_job.publish("a"), raising(ValueError("boom")))
        told.tell(lambda: current_job.publish("b"), None)
        seen = [(part.attempt, part.value) async for part in job.astream()]
    assert seen == [(1, "a"), (2, "b")]


async def test_a_stream_ends_however_the_job_does(queue: Queue, told: Told) -> None:
    job = await told.task.adelay()
    async with working(queue), asyncio.timeout(PATIENCE):
        told.tell(lambda: current_job.publish("last words"), raising(Abort("no")))
        assert [part.value async for part in job.astream()] == ["last words"]


def test_a_thread_can_stream_too(queue: Queue) -> None:
    @queue.task(name="count")
    def count() -> None:
        for n in range(120):
            current_job.publish(n)

    seen: list[int] = []
    job = count.delay()

    def read() -> None:
        seen.extend(part.value for part in job.stream())

    reader = threading.Thread(target=read)
    reader.start()

    async def work() -> None:
        async with working(queue):
            await job.aresult(timeout=30)

    asyncio.run(work())
    reader.join(30)
    assert seen == list(range(120))
    first = job.stream()
    assert next(first).value == 0
    first.close()  # who leaves early leaves nothing behind
    assert [part.value for part in job.stream(after=job.parts()[117].id)] == [118, 119]


def test_a_part_that_is_damaged_says_so() -> None:
    with pytest.raises(PayloadError):
        decoded(Part(1, "job", 1, b"{", 0))


# ---------------------------------------------------------------------------------- repeating


async def test_an_ended_job_is_replayed_as_a_new_one(queue: Queue, told: Told) -> None:
    job = await told.task.aapply_async(tags=["t"], metadata={"a": 1}, priority=4, unique_key="k")
    for call in (job.areplay(), queue.areplay(job.id)):
        with pytest.raises(JobNotEnded, match="is pending: wait for its end, or cancel it"):
            await call
    async with working(queue):
        told.tell(None)
        await job.aresult(timeout=30)
    again = await job.areplay()
    assert again.id != job.id
    assert (again.status, again.origin, again.job.priority) == ("pending", job.id, 4)
    assert (again.tags, again.metadata, again.job.unique_key) == (("t",), {"a": 1}, None)
    third = await queue.areplay(job.id)
    for history in (await job.arepeats(), await queue.areplay_history(job.id), job.repeats()):
        assert [repeat.job_id for repeat in history] == [again.id, third.id]
        assert {repeat.origin for repeat in history} == {job.id}
    assert await again.arepeats() == []
    with pytest.raises(JobNotFound) as caught:
        await queue.areplay("nobody")
    assert type(caught.value) is JobNotFound


def test_every_blocking_twin_says_what_it_does(told: Told) -> None:
    job = told.task.delay()
    assert type(job).result.__name__ == "result"
    assert type(job).result.__qualname__ == "JobHandle.result"
    doc = type(job).result.__doc__ or ""
    assert doc.startswith("Blocking twin of `aresult`.\n\nWait for the job to end")
