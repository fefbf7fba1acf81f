"""Jobs in the caller's hand, and looking at them from outside."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from offload import (
    ArgumentError,
    ConfigurationError,
    JobCancelled,
    JobDead,
    JobNotFound,
    Queue,
    current_job,
)
from tests.worker.staging import working


@dataclass
class Point:
    x: int
    y: int


@pytest.fixture
def work(queue: Queue) -> Any:
    """A task that fails if it is told to."""

    @queue.task(name="work", max_retries=0)
    async def work(error: str = "") -> str:
        if error:
            raise ValueError(error)
        return "done"

    return work


def test_a_unique_key_gives_the_job_that_is_there(queue: Queue, work: Any) -> None:
    first = work.apply_async(unique_key="k")
    assert work.apply_async(unique_key="k").id == first.id
    assert work.apply_async(unique_key="other").id != first.id
    many = queue.enqueue_many("work", [(), (), ()], unique_key="k2")
    assert len({job.id for job in many}) == 1
    assert queue.stats()["pending"] == 3
    assert first.cancel()
    assert work.apply_async(unique_key="k").id != first.id


async def test_racing_callers_share_one_job(queue: Queue, work: Any) -> None:
    racers = [asyncio.to_thread(work.apply_async, unique_key="k") for _ in range(16)]
    racers += [work.aapply_async(unique_key="k") for _ in range(16)]
    assert len({job.id for job in await asyncio.gather(*racers)}) == 1


def test_an_id_of_ones_own_makes_a_repeated_call_harmless(queue: Queue, work: Any) -> None:
    first = work.apply_async(job_id="mine", priority=3)
    again = work.apply_async(job_id="mine", priority=9)
    assert (first.id, again.id, again.job.priority) == ("mine", "mine", 3)
    assert queue.stats()["pending"] == 1


def test_arguments_that_are_no_tuple_are_named(work: Any) -> None:
    with pytest.raises(ArgumentError, match=r"args=7: must be a tuple of arguments, as in \(7,\)"):
        work.apply_async(7)


def test_ids_sort_in_the_order_of_the_calls(work: Any) -> None:
    ids = [work.delay().id for _ in range(3)] + [job.id for job in work.map([()] * 50)]
    assert ids == sorted(ids)


@pytest.mark.parametrize("timeout", [0, 0.01, -1])
async def test_waiting_too_long_is_the_builtin_error(work: Any, timeout: float) -> None:
    job = work.delay()
    with pytest.raises(TimeoutError, match=job.id):
        job.result(timeout=timeout)
    with pytest.raises(TimeoutError, match=job.id):
        await job.aresult(timeout=timeout)
    assert job.refresh().status == "pending"


def test_who_waited_in_vain_is_told_where_the_job_stands(work: Any) -> None:
    with pytest.raises(TimeoutError, match="is still pending after 1 s; it goes on"):
        work.delay().result(timeout=1)


async def test_a_result_that_is_there_needs_no_time(queue: Queue, work: Any) -> None:
    async with working(queue):
        job = await work.adelay()
        assert await job.aresult() == "done"
    assert await job.aresult(timeout=0) == "done"
    assert job.result(timeout=0) == "done"


async def test_each_end_has_its_error(queue: Queue, work: Any) -> None:
    async with working(queue):
        dead = await work.adelay("boom")
        with pytest.raises(JobDead, match="dead: ValueError: boom"):
            await dead.aresult(timeout=30)
    cancelled = await work.adelay()
    assert await cancelled.acancel()
    with pytest.raises(JobCancelled, match="cancelled") as caught:
        cancelled.result(timeout=0)
    assert (caught.value.job_id, caught.value.reason) == (cancelled.id, "cancelled")
    assert not await cancelled.acancel()
    assert not await dead.acancel()


async def test_a_purged_job_is_not_found(queue: Queue, work: Any) -> None:
    job = await work.adelay()
    assert await job.acancel()
    assert await queue.apurge_completed(older_than=3600) == 0
    assert await queue.apurge_completed(older_than=-1) == 1
    for call in (job.arefresh, job.aresult):
        with pytest.raises(JobNotFound, match="purged"):
            await call()
    with pytest.raises(JobNotFound):
        job.result(timeout=0)
    other = await work.adelay()
    gone, there, unknown = await queue.aget_jobs([job.id, other.id, "unknown"])
    assert gone is unknown is await queue.aget_job(job.id) is None
    assert there is not None
    assert there.id == other.id
    assert queue.get_jobs([]) == []
    assert not await queue.acancel_job(job.id)
    assert [seen async for seen in queue.awatch(job.id)] == []


async def test_results_come_back_as_annotated(path: Path) -> None:
    queue = Queue(db_path=str(path))

    @queue.task(name="point")
    async def point(x: int, y: int) -> Point:
        return Point(x, y)

    @queue.task(name="loose")
    async def loose() -> Any:
        return {1: (2, {3})}

    async with working(queue):
        first, second = await point.adelay(1, 2), await loose.adelay()
        assert await first.aresult(timeout=30) == Point(1, 2)
        assert await second.aresult(timeout=30) == {1: (2, {3})}
    stranger = Queue(db_path=str(path))  # where nobody knows the tasks
    jobs = [await stranger.aget_job(job.id) for job in (first, second)]
    assert [await job.aresult(timeout=0) for job in jobs if job] == [
        {"x": 1, "y": 2},
        {1: (2, {3})},
    ]
    await stranger.aclose()
    await queue.aclose()


def test_stats_have_the_documented_keys(queue: Queue, work: Any) -> None:
    work.map([()] * 3)
    work.delay().cancel()
    expected = {
        "pending": 3, "running": 0, "completed": 0, "failed": 0, "dead": 0, "cancelled": 1,
    }  # fmt: skip
    assert queue.stats() == expected
    assert list(queue.stats()) == list(expected)
    assert queue.stats("default") == expected
    assert set(queue.stats("no such").values()) == {0}


async def test_dead_letters_are_listed_and_retried_once(queue: Queue, work: Any) -> None:
    async with working(queue, concurrency=1):
        dead = [await work.aapply_async([f"e{n}"], tags=["t"]) for n in range(3)]
        for job in dead:
            with pytest.raises(JobDead):
                await job.aresult(timeout=30)
    letters = await queue.adead_letters()
    assert [letter.id for letter in letters] == [job.id for job in reversed(dead)]
    assert [letter.id for letter in queue.dead_letters(limit=1, offset=1)] == [dead[1].id]
    fresh = await queue.aget_job(await queue.aretry_dead(dead[0].id))
    assert fresh is not None
    assert (fresh.status, fresh.job.origin, fresh.job.attempt) == ("pending", dead[0].id, 0)
    assert (fresh.job.payload, fresh.job.tags) == (dead[0].job.payload, ("t",))
    assert (await dead[0].arefresh()).status == "dead"
    for again in (dead[0].id, "nobody"):
        with pytest.raises(JobNotFound, match="no dead letter"):
            queue.retry_dead(again)
    assert len(queue.dead_letters()) == 2


async def test_dead_letters_outlive_their_jobs(queue: Queue, work: Any) -> None:
    async with working(queue):
        job = await work.adelay("boom")
        with pytest.raises(JobDead):
            await job.aresult(timeout=30)
    assert queue.purge_completed(older_than=-1) == 1
    assert queue.job_errors(job.id) == []
    assert queue.purge_dead() == 0
    [letter] = queue.dead_letters()
    new = queue.retry_dead(letter.id)
    assert queue.get_job(new) is not None
    assert queue.purge_dead(older_than=-1) == 0


async def test_a_purge_takes_all_however_many(queue: Queue, work: Any) -> None:
    jobs = work.map([()] * 1203)
    for job in jobs[:2]:
        assert job.cancel()
    await asyncio.gather(*(job.acancel() for job in jobs[2:]))
    assert queue.purge_completed(older_than=-1) == 1203
    assert queue.list_jobs() == []


def test_pages_follow_each_other(queue: Queue, work: Any) -> None:
    ids = [job.id for job in work.map([()] * 45)]
    pages, before = [], None
    while page := queue.list_jobs(before=before):
        pages.append([job.id for job in page])
        before = page[-1].id
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [job_id for page in pages for job_id in page] == ids[::-1]


def test_jobs_are_found_by_what_they_are(queue: Queue, work: Any) -> None:
    work.apply_async(queue="q", tags=["red", "big"])
    cancelled = work.apply_async(queue="q", tags=["red"])
    assert cancelled.cancel()
    work.delay()

    def count(**wanted: Any) -> int:
        return len(queue.list_jobs(**wanted))

    assert (count(), count(queue="q"), count(tag="red"), count(tag="big")) == (3, 2, 2, 1)
    assert (count(task="work"), count(task="other"), count(tag="re")) == (3, 0, 0)
    assert (count(status="pending"), count(status="cancelled")) == (2, 1)
    assert count(status=["pending", "cancelled"], queue="q") == 2
    assert (count(status="completed"), count(limit=2)) == (0, 2)
    with pytest.raises(ConfigurationError, match="use pending, running, complete"):
        count(status="done")
    for name in ("task", "queue", "tag", "schedule"):
        with pytest.raises(ConfigurationError, match=rf"{name}=\['red', 'big'\]: give one name"):
            count(**{name: ["red", "big"]})


async def test_a_watcher_sees_each_state_in_order_and_then_the_end(queue: Queue, work: Any) -> None:
    go = asyncio.Event()

    @queue.task
    async def report() -> None:
        for percent in (10, 50):
            current_job.update_progress(percent)
            await go.wait()
            go.clear()

    job = await report.adelay()
    seen: list[tuple[str, int]] = []
    async with working(queue), asyncio.timeout(30):
        async for state in queue.awatch(job.id, interval=0):
            seen.append((state.status, state.progress))
            if state.progress in (10, 50):
                go.set()
    # What comes faster than it is read may be merged, but these waited for each other.
    wanted = [("running", 10), ("running", 50), ("complete", 100)]
    assert [state for state in seen if state in wanted] == wanted
    assert [state.status async for state in queue.awatch(job.id)] == ["complete"]
    assert [state.status async for state in job.awatch()] == ["complete"]


async def test_many_may_watch_and_leave(queue: Queue, work: Any) -> None:
    job = await work.adelay()

    async def end() -> list[str]:
        return [state.status async for state in queue.awatch(job.id)]

    async def first() -> str:
        async for state in queue.awatch(job.id):
            return state.status
        raise AssertionError("nothing came")

    watchers = [asyncio.create_task(end()) for _ in range(5)]
    assert await first() == "pending"
    leaver = asyncio.create_task(end())
    leaver.cancel()
    async with working(queue), asyncio.timeout(30):
        assert {ends[-1] for ends in await asyncio.gather(*watchers)} == {"complete"}
