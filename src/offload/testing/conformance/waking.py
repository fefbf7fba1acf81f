"""Nobody sleeps through news, and nobody is woken before there is something to see."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from offload.core.job import Job
from offload.core.records import Report
from offload.core.schedule import Edit, Schedule
from offload.core.states import Move, State
from offload.store.base import Channel, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    FAR,
    end,
    ended,
    put,
    read,
    run,
    soon,
    take,
    until,
)

News = Callable[[Store, Job], Awaitable[object]]


async def enqueued(store: Store, _running: Job) -> None:
    """A job came in."""
    await put(store, "new")


async def released(store: Store, running: Job) -> None:
    """A job was given back."""
    await end(store, running, Move.RELEASE)


async def retried(store: Store, running: Job) -> None:
    """A job is to be tried again at once."""
    await end(store, running, Move.RETRY)


async def repeated(store: Store, _running: Job) -> None:
    """A dead letter was retried."""
    assert await store.retry_dead({"dead": "new"})


async def reported(store: Store, running: Job) -> None:
    """A job made progress."""
    await store.report([Report(running.id, running.lease, 50)])


async def cancelled(store: Store, _running: Job) -> None:
    """A pending job ended."""
    assert await store.cancel("waiting")


async def asked(store: Store, running: Job) -> None:
    """A running job was asked to stop."""
    assert await store.cancel(running.id, running=True)


SCHEDULE = Schedule("s", "app.tick", "every:60", next_at=1)


async def defined(store: Store, _running: Job) -> None:
    """A program defined its schedules."""
    await store.put_schedules([SCHEDULE])


async def edited(store: Store, _running: Job) -> None:
    """A schedule was paused."""
    await store.edit_schedule("s", Edit(paused=True))


async def deleted(store: Store, _running: Job) -> None:
    """A schedule was removed."""
    assert await store.delete_schedule("s")


async def let_go(store: Store, _running: Job) -> None:
    """A lock is free again."""
    assert await store.release("lock", "holder")


def finished(move: Move) -> News:
    """Return how a job ends by this move."""

    async def news(store: Store, running: Job) -> None:
        await end(store, running, move)

    news.__name__ = f"finished_by_{move}"
    return news


NEWS: list[tuple[Channel, News]] = [
    *((Channel.READY, news) for news in (enqueued, released, retried, repeated)),
    *((Channel.CHANGED, news) for news in (reported, cancelled, *map(finished, ENDS))),
    (Channel.CONTROL, asked),
    *((Channel.SCHEDULES, news) for news in (defined, edited, deleted)),
    (Channel.LOCKS, let_go),
]
each_news = pytest.mark.parametrize(
    ("channel", "news"), NEWS, ids=[f"{channel}-{news.__name__}" for channel, news in NEWS]
)


async def prepared(store: Store) -> Job:
    """Bring about what the news are to be of; return the running job."""
    await ended(store, "dead", Move.BURY)
    running = await run(store, "running")
    await put(store, "waiting", delay=60.0)
    await store.put_schedules([SCHEDULE])
    assert await store.acquire("lock", "holder", FAR)
    return running


class Waking:
    """What `cursor` and `wait` owe."""

    @each_news
    async def test_news_between_cursor_and_wait_are_not_slept_through(
        self, store: Store, channel: Channel, news: News
    ) -> None:
        """Who took the cursor before looking returns at once."""
        running = await prepared(store)
        cursor = store.cursor(channel)
        await news(store, running)
        await soon(store.wait(channel, cursor, FAR))

    @each_news
    async def test_news_wake_whoever_waits(
        self, store: Store, channel: Channel, news: News
    ) -> None:
        """All of them, long before their limit."""
        running = await prepared(store)
        cursor = store.cursor(channel)
        waiters = [asyncio.create_task(store.wait(channel, cursor, FAR)) for _ in range(3)]
        await asyncio.sleep(0)  # lets them begin to wait
        await news(store, running)
        await soon(asyncio.gather(*waiters))

    async def test_an_expiry_wakes_whoever_watches_the_job(
        self, store: Store, clock: ManualClock
    ) -> None:
        """It ends with the claim that finds it."""
        await put(store, "a", expires=1.0)
        clock.advance(2)
        cursor = store.cursor(Channel.CHANGED)
        assert await take(store) == []
        await soon(store.wait(Channel.CHANGED, cursor, FAR))

    @pytest.mark.parametrize("channel", Channel)
    async def test_a_wait_without_news_ends_with_its_limit(
        self, store: Store, channel: Channel
    ) -> None:
        """It does not fail, and not wait for ever; also a limit of nought is one."""
        for limit in (0.0, 0.01):
            await soon(store.wait(channel, store.cursor(channel), limit))

    async def test_whoever_looks_after_each_wake_up_misses_no_job(self, store: Store) -> None:
        """A wake-up never comes before the rows that it is about."""
        taken: list[str] = []

        async def all_taken() -> bool:
            while jobs := await take(store, 3):
                taken.extend(job.id for job in jobs)
            return len(taken) == 60

        async def produce() -> None:
            for number in range(30):
                await put(store, f"a{number}", f"b{number}")
                await asyncio.sleep(0)

        await asyncio.gather(until(store, Channel.READY, all_taken), produce())
        assert len(set(taken)) == 60

    async def test_whoever_looks_after_each_wake_up_sees_every_end(self, store: Store) -> None:
        """The end of a job and its result are there when a watcher is told."""

        async def over(job_id: str) -> bool:
            job = await read(store, job_id)
            assert (job.state is State.COMPLETE) == (job.result is not None)
            return job.is_final

        names = [f"j{n}" for n in range(20)]
        await put(store, *names)
        jobs = await take(store, 20)
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(
                    until(store, Channel.CHANGED, lambda name=name: over(name))  # type: ignore[misc]
                )
            for job in jobs:
                group.create_task(end(store, job, Move.COMPLETE))

    async def test_a_waiter_that_gives_up_takes_nothing_from_the_others(self, store: Store) -> None:
        """One is cancelled, the other is woken all the same."""
        cursor = store.cursor(Channel.READY)
        given_up, other = (
            asyncio.create_task(store.wait(Channel.READY, cursor, FAR)) for _ in range(2)
        )
        await asyncio.sleep(0)
        given_up.cancel()
        await put(store, "a")
        await soon(other)
        assert given_up.cancelled()
