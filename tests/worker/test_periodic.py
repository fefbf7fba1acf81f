"""Periodic tasks in a whole worker, by the machine's own clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from offload import Queue, current_job
from tests.worker.staging import PATIENCE, read, working


async def test_a_running_job_knows_its_schedule_and_its_tick(queue: Queue) -> None:
    seen: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    @queue.periodic(every=timedelta(seconds=1), name="each second", args=("x",))
    async def tick(word: str) -> None:
        seen.put_nowait((word, current_job.schedule, current_job.tick, datetime.now(UTC)))

    async with working(queue), asyncio.timeout(PATIENCE):
        first, second = await seen.get(), await seen.get()
        for word, schedule, due, now in (first, second):
            assert (word, schedule) == ("x", "each second")
            assert due.microsecond == 0
            assert due <= now
        assert second[2] - first[2] == timedelta(seconds=1)


async def test_a_job_that_was_triggered_has_no_tick(queue: Queue) -> None:
    @queue.periodic(cron="0 0 1 1 *")
    def new_year() -> list[Any]:
        return [current_job.schedule, current_job.tick]

    async with working(queue):
        job = await queue.atrigger_periodic(new_year.name)
        assert await job.aresult(PATIENCE) == [new_year.name, None]
        plain = await new_year.adelay()
        assert await plain.aresult(PATIENCE) == [None, None]


async def test_a_schedule_that_is_added_while_a_worker_runs_fires(queue: Queue) -> None:
    ran = asyncio.Event()

    @queue.task
    async def late() -> None:
        ran.set()

    async with working(queue), asyncio.timeout(PATIENCE):
        added = await queue.aadd_periodic(late, every=1, name="added")
        assert added.edited
        await ran.wait()
        [schedule] = await read(queue, lambda store: store.schedules())
        assert schedule.last_job is not None
