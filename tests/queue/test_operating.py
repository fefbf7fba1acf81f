"""Pausing, purging, dead letters in bulk, and numbers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offload import ConfigurationError, JobDead, JobNotFound, Queue
from tests.worker.staging import working


@pytest.fixture
def work(queue: Queue) -> Any:
    @queue.task(name="work", max_retries=0)
    async def work(error: str = "") -> str:
        if error:
            raise ValueError(error)
        return "done"

    return work


async def dead(queue: Queue, work: Any, count: int) -> list[str]:
    """Let so many jobs die, and return their ids."""
    jobs = work.map([("boom",)] * count)
    async with working(queue):
        for job in jobs:
            with pytest.raises(JobDead):
                await job.aresult(timeout=30)
    return [job.id for job in jobs]


# ------------------------------------------------------------------------------------ pausing


async def test_a_paused_queue_waits_and_others_do_not(queue: Queue, work: Any) -> None:
    assert await queue.apause("slow")
    assert not queue.pause("slow")
    assert await queue.apaused_queues() == ["slow"]
    waits, runs = await work.aapply_async(queue="slow"), await work.adelay()
    async with working(queue):
        assert await runs.aresult(timeout=30) == "done"
        assert (await waits.arefresh()).status == "pending"
        [row] = await queue.aqueues()
        assert (row.name, row.paused, row.pending, row.running) == ("slow", True, 1, 0)
        assert await queue.aresume("slow")
        assert await waits.aresult(timeout=30) == "done"
    assert not await queue.aresume("slow")
    assert queue.paused_queues() == []
    assert queue.queues() == []


def test_the_default_queue_is_paused_without_a_name(queue: Queue) -> None:
    assert queue.pause()
    assert queue.paused_queues() == ["default"]
    assert queue.resume()


# ------------------------------------------------------------------------------------ purging


async def test_purging_a_queue_cancels_what_is_pending_there(queue: Queue, work: Any) -> None:
    here = work.map([()] * 501, queue="q")
    later = await work.aapply_async(queue="q", delay=3600)
    blocked = await work.aapply_async(queue="q", depends_on=here[0])
    other = await work.adelay()
    assert await queue.apurge("q") == 503
    assert await queue.apurge("q") == 0
    assert queue.purge("no such") == 0
    assert {(await job.arefresh()).status for job in (later, blocked, here[7])} == {"cancelled"}
    assert (await other.arefresh()).status == "pending"


# ------------------------------------------------------------------------------- dead letters


async def test_dead_letters_are_retried_in_bulk(queue: Queue, work: Any) -> None:
    ids = await dead(queue, work, 4)
    fresh = await queue.aretry_dead_many([ids[0], "nobody", ids[1], ids[0]])
    assert set(fresh) == {ids[0], ids[1]}
    for old, new in fresh.items():
        job = await queue.aget_job(new)
        assert job is not None
        assert (job.status, job.origin) == ("pending", old)
    assert queue.retry_dead_many(ids[:2]) == {}
    assert set(await queue.aretry_all_dead()) == set(ids[2:])
    assert queue.retry_all_dead() == {}
    assert queue.dead_letters() == []
    assert queue.stats()["pending"] == 4
    [repeat] = queue.replay_history(ids[3])
    assert repeat.origin == ids[3]


async def test_all_means_more_than_a_page(
    queue: Queue, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.queue.operating.PAGE", 3)
    ids = await dead(queue, work, 8)
    assert set(await queue.aretry_all_dead()) == set(ids)


async def test_one_letter_is_retried_once_however_many_try(queue: Queue, work: Any) -> None:
    [letter] = await dead(queue, work, 1)
    calls = (queue.aretry_dead(letter) for _ in range(8))
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, str) for each in done) == 1
    assert sum(isinstance(each, JobNotFound) for each in done) == 7


# ------------------------------------------------------------------------------------ numbers


async def test_metrics_sum_up_the_attempts_of_each_task(queue: Queue, work: Any) -> None:
    @queue.task(name="other")
    def other() -> None: ...

    assert queue.metrics() == {}
    await dead(queue, work, 2)
    async with working(queue):
        for job in work.map([()] * 2):
            await job.aresult(timeout=30)
        await (await other.adelay()).aresult(timeout=30)
    found = await queue.ametrics()
    assert list(found) == ["other", "work"]
    assert (found["work"].count, found["work"].failures) == (4, 2)
    assert (found["other"].count, found["other"].failures) == (1, 0)
    assert 0 <= found["work"].ran.p50 <= found["work"].ran.p95
    assert list(queue.metrics("other")) == ["other"]
    assert queue.metrics("nobody") == {}
    assert queue.metrics(limit=1)["other"].count == 1
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert queue.metrics(since=soon) == {}
    assert queue.metrics(since=soon - timedelta(hours=2)) == found


def test_jobs_are_found_by_when_they_were_enqueued(queue: Queue, work: Any) -> None:
    job = work.delay()
    moment = datetime.fromtimestamp(job.created_at / 1000, UTC)
    hour = timedelta(hours=1)

    def found(**wanted: Any) -> int:
        return len(queue.list_jobs(**wanted))

    assert found(created_after=moment) == found(created_after=job.created_at) == 1
    assert found(created_after=moment + hour) == found(created_after=job.created_at + 1) == 0
    assert found(created_before=moment) == found(created_before=job.created_at) == 0
    assert found(created_before=moment + hour) == found(created_before=job.created_at + 1) == 1
    assert found(created_after=moment - hour, created_before=moment + hour) == 1
    assert found(schedule="nightly") == 0


@pytest.mark.parametrize("option", ["created_after", "created_before"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (datetime(2030, 1, 1), "has no time zone"),  # noqa: DTZ001 - that is the point
        ("2030-01-01", "give a datetime, or Unix milliseconds"),
        (1.5, "give a datetime, or Unix milliseconds"),
        (True, "give a datetime, or Unix milliseconds"),
    ],
)
def test_what_is_no_moment_is_refused(queue: Queue, option: str, wrong: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}=.*{message}"):
        queue.list_jobs(**{option: wrong})
    with pytest.raises(ConfigurationError, match=message):
        queue.metrics(since=wrong)


async def test_workers_are_listed_while_they_work(queue: Queue) -> None:
    assert queue.list_workers() == []
    async with working(queue):
        while not (rows := await queue.alist_workers()):
            pass  # it is registered before its first claim
    assert [row.alive for row in rows] == [True]
