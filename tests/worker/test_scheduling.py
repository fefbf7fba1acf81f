"""Which job runs when."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offload import ConfigurationError, Queue, current_job
from tests.worker.staging import reached, working


async def test_a_slow_job_does_not_hold_back_a_fast_one(queue: Queue) -> None:
    release = asyncio.Event()

    @queue.task
    async def slow() -> str:
        await release.wait()
        return "slow"

    @queue.task
    async def fast() -> str:
        return "fast"

    async with working(queue, concurrency=2):
        first = await slow.adelay()
        await reached(queue, first.id, "running")
        for job in await fast.amap([()] * 10):
            assert await job.aresult(timeout=30) == "fast"
        assert (await first.arefresh()).status == "running"
        release.set()
        assert await first.aresult(timeout=30) == "slow"


@pytest.mark.parametrize("slots", [1, 3])
async def test_there_are_never_more_runs_than_slots(queue: Queue, slots: int) -> None:
    running: list[int] = []
    most: list[int] = []
    full = asyncio.Event()

    @queue.task
    async def count() -> None:
        running.append(1)
        most.append(len(running))
        if len(running) == slots:
            full.set()
        await full.wait()
        running.pop()

    async with working(queue, concurrency=slots):
        for job in await count.amap([()] * 20):
            await job.aresult(timeout=30)
    assert max(most) == slots


async def test_nothing_is_claimed_before_it_can_start(queue: Queue) -> None:
    """What would only wait here could run elsewhere."""
    release = asyncio.Event()

    @queue.task
    async def hold() -> None:
        await release.wait()

    async with working(queue, concurrency=2):
        jobs = await hold.amap([()] * 5)
        for job in jobs[:2]:
            await reached(queue, job.id, "running")
        assert (await queue.astats())["pending"] == 3
        release.set()
        for job in jobs:
            await job.aresult(timeout=30)


async def test_higher_priority_comes_first_then_the_older(queue: Queue) -> None:
    seen: list[str] = []

    @queue.task
    async def see(name: str) -> None:
        seen.append(name)

    jobs = [
        await see.aapply_async([name], priority=priority)
        for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5), ("f", 9)]
    ]
    async with working(queue, concurrency=1):
        for job in jobs:
            await job.aresult(timeout=30)
    assert seen == ["f", "b", "e", "a", "c", "d"]


async def test_a_delayed_job_starts_when_it_is_due(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody polls for it: the worker's own slow look would come far too late."""
    monkeypatch.setattr("offload.worker.fetcher.SLOW_POLL", 3600)

    @queue.task
    async def soon() -> str:
        return current_job.id

    async with working(queue):
        delayed = await soon.aapply_async(delay=0.1)
        assert await delayed.aresult(timeout=30) == delayed.id
        due = await soon.aapply_async(eta=datetime.now(UTC) + timedelta(seconds=0.1))
        assert await due.aresult(timeout=30) == due.id
    for job in (delayed, due):
        assert job.started_at is not None
        assert job.started_at >= job.job.run_at


async def test_a_job_of_next_week_waits(queue: Queue) -> None:
    @queue.task
    async def run() -> None: ...

    late = await run.aapply_async(delay=7 * 86_400, priority=100)
    async with working(queue):
        await (await run.adelay()).aresult(timeout=30)
        assert (await late.arefresh()).status == "pending"


async def test_a_sooner_job_wakes_who_waits_for_a_later_one(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offload.worker.fetcher.SLOW_POLL", 3600)

    @queue.task
    async def run() -> None: ...

    async with working(queue):
        await run.aapply_async(delay=3600)
        await (await run.aapply_async(delay=0.1)).aresult(timeout=30)
        await (await run.adelay()).aresult(timeout=30)


async def test_only_the_named_queues_are_served(queue: Queue) -> None:
    served: list[str] = []

    @queue.task
    async def serve() -> None:
        served.append(current_job.queue_name)

    jobs = [await serve.aapply_async(queue=name) for name in ("a", "b", "c", "default")]
    async with working(queue, queues=["b", "c"], concurrency=1):
        for job in jobs[1:3]:
            await job.aresult(timeout=30)
    assert sorted(served) == ["b", "c"]
    assert await queue.astats("a") == {**await queue.astats("no such"), "pending": 1}
    async with working(queue):
        await jobs[0].aresult(timeout=30)
        await jobs[3].aresult(timeout=30)
    assert sorted(served) == ["a", "b", "c", "default"]


async def test_a_job_that_has_expired_does_not_start(queue: Queue) -> None:
    ran: list[int] = []

    @queue.task(expires=0)
    async def run() -> None:
        ran.append(1)

    job = await run.adelay()
    async with working(queue):
        await reached(queue, job.id, "cancelled")
    assert (job.status, ran) == ("pending", [])
    assert (await job.arefresh()).error == "expired"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"concurrency": 0}, "concurrency=0"),
        ({"concurrency": -1}, "concurrency=-1"),
        ({"queues": []}, "queues="),
        ({"queues": "images"}, "queues='images'"),
    ],
)
async def test_a_worker_that_makes_no_sense_is_refused(
    queue: Queue, wrong: dict[str, Any], named: str
) -> None:
    stop = asyncio.Event()
    stop.set()  # one that is not refused ends at once
    with pytest.raises(ConfigurationError, match=named):
        await queue.arun_worker(stop, install_signals=False, **wrong)


async def test_a_worker_that_would_block_a_running_loop_is_refused(queue: Queue) -> None:
    with pytest.raises(ConfigurationError, match=r"await queue\.arun_worker\(\)"):
        queue.run_worker()


async def test_a_task_may_enqueue_a_job_and_wait_for_it(queue: Queue) -> None:
    """From a thread and from the loop, by the synchronous and by the async methods."""

    @queue.task
    def inner(x: int) -> int:
        return x + 1

    @queue.task
    def outer(x: int) -> int:
        return inner.delay(x).result(timeout=30) + 1

    @queue.task
    async def aouter(x: int) -> int:
        job = inner.delay(x)  # it blocks the loop no longer than the store takes
        assert queue.stats()["running"] >= 1
        return await job.aresult(timeout=30) + 1

    async with working(queue, concurrency=2):
        assert await (await outer.adelay(1)).aresult(timeout=30) == 3
        assert await (await aouter.adelay(5)).aresult(timeout=30) == 7


async def test_jobs_that_are_enqueued_from_many_threads_all_run(queue: Queue) -> None:
    seen: set[int] = set()
    lock = threading.Lock()

    @queue.task
    def see(number: int) -> None:
        with lock:
            seen.add(number)

    async with working(queue, concurrency=8):
        jobs = await asyncio.gather(*(asyncio.to_thread(see.delay, n) for n in range(50)))
        for job in jobs:
            await job.aresult(timeout=30)
    assert seen == set(range(50))
