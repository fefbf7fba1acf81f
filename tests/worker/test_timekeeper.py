"""Each tick fires once, whoever is there to fire it, and whatever the clock does."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from offload import Queue, Task
from offload.core.job import Job, NewJob
from offload.core.schedule import Edit, Schedule
from offload.core.unique import OnConflict, Unique
from offload.store.base import Beat, Channel, JobFilter, Store
from offload.store.memory import MemoryStore
from offload.store.postgres import PostgresStore
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from offload.worker.timekeeper import EVERY, Timekeeper
from tests.worker.keeper import START, SharedClock, made

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
AnyTask: TypeAlias = Task[Any, Any, Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now=START)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[list[Store]]:
    """The stores of eight workers: one in memory, or eight on one file or schema."""
    stores: list[Store] = [MemoryStore(clock)] * 8
    if request.param == "sqlite":
        path = tmp_path / "jobs.db"
        stores = [SQLiteStore(path, clock=clock, synchronous="NORMAL") for _ in range(8)]
    elif request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        stores = [PostgresStore(url, clock=clock) for _ in range(8)]
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


@pytest.fixture
def store(clock: ManualClock) -> Store:
    return MemoryStore(clock)


@pytest.fixture
def queue() -> Queue:
    return Queue("memory://")


def keeper(store: Store, queue: Queue) -> Timekeeper:
    return Timekeeper(store, queue.tasks)


def plain(queue: Queue, **times: Any) -> AnyTask:
    """Define a periodic task that does nothing."""

    @queue.periodic(name="s", **times)
    def tick() -> None: ...

    return tick


async def jobs_of(store: Store, name: str = "s") -> list[Job]:
    """Return all jobs of a schedule, oldest first."""
    found = await store.search(JobFilter(schedule=name, limit=100_000))
    return found[::-1]


async def ticks_of(store: Store, name: str = "s") -> list[float]:
    """Return the ticks that have fired, in seconds from the start."""
    return [(job.tick or 0) / 1000 - START / 1000 for job in await jobs_of(store, name)]


async def the_one(store: Store) -> Schedule:
    [schedule] = await store.schedules()
    return schedule


# --- once -------------------------------------------------------------------------------


async def test_eight_timekeepers_fire_each_of_2000_ticks_once(
    stores: list[Store], clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=1)
    keepers = [keeper(store, queue) for store in stores]
    await asyncio.gather(*(each.look() for each in keepers))
    rng = random.Random(7)
    passed = 0
    while passed < 2000:
        seconds = min(rng.randint(1, 9), 2000 - passed)
        passed += seconds
        clock.advance(seconds)
        await asyncio.gather(*(each.look() for each in rng.sample(keepers, 5)))
    assert sorted(await ticks_of(stores[0])) == list(range(1, 2001))


async def test_processes_that_are_killed_fire_each_tick_once(tmp_path: Path) -> None:
    page, path, rng = tmp_path / "clock", tmp_path / "jobs.db", random.Random(3)
    page.write_bytes(START.to_bytes(8, "little"))
    clock = SharedClock(page)
    store = SQLiteStore(path, clock=clock, synchronous="NORMAL")
    await store.open()

    async def start() -> asyncio.subprocess.Process:
        words = [sys.executable, "-m", "tests.worker.keeper", str(path), str(page)]
        return await asyncio.create_subprocess_exec(*words, cwd=ROOT)

    await store.put_schedules([made(path).tasks.periodic["each"].schedule(START)])
    keepers = [await start() for _ in range(3)]
    try:
        for second in range(1, 201):
            clock.move_to(START + second * 1000)
            await store.put_schedules([])  # news, upon which they look at their clocks
            if second % 20 == 0:
                keepers.pop(rng.randrange(3)).kill()
                keepers.append(await start())
            elif second % 2:
                await past(store, START + second * 1000)
        await past(store, START + 200_000)
    finally:
        for process in keepers:
            process.kill()
            await process.wait()
    assert Counter(await ticks_of(store, "each")) == Counter(range(1, 201))
    await store.close()


async def past(store: Store, instant: int) -> None:
    """Wait until the schedule has moved on past an instant."""
    async with asyncio.timeout(PATIENCE):
        while True:
            cursor = store.cursor(Channel.READY)
            if (await the_one(store)).next_at > instant:
                return
            await store.wait(Channel.READY, cursor, 1.0)


async def test_the_same_tick_is_the_same_job_even_if_it_comes_again(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=60)
    one = keeper(store, queue)
    await one.look()
    clock.advance(60)
    await one.look()
    [first] = await jobs_of(store)
    assert first.tick is not None
    await store.edit_schedule("s", Edit(next_at=first.tick))
    await one.look()
    assert await jobs_of(store) == [first]


async def test_a_clock_that_is_set_back_fires_nothing_twice(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=60)
    one = keeper(store, queue)
    await one.look()
    for _ in range(10):
        clock.advance(60)
        await one.look()
    fired = await ticks_of(store)
    assert len(fired) == 10
    clock.jump(-3600)
    for _ in range(60):
        clock.advance(60)
        await one.look()
    assert await ticks_of(store) == fired
    clock.advance(60)
    await one.look()
    assert len(await ticks_of(store)) == 11


# --- when it sleeps ---------------------------------------------------------------------


async def test_it_sleeps_until_the_next_tick_and_not_longer_than_a_few_seconds(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=4)
    one = keeper(store, queue)
    assert await one.look() == 4.0
    clock.advance(1.25)
    assert await one.look() == 2.75
    clock.advance(2.75)
    assert await one.look() == 4.0
    await store.edit_schedule("s", Edit(paused=True))
    assert await one.look() == EVERY


async def test_a_schedule_that_is_added_wakes_it(store: Store, queue: Queue) -> None:
    task = plain(queue, every=3600)
    one = keeper(store, queue)
    running = asyncio.create_task(one.run())
    async with asyncio.timeout(PATIENCE):
        while not await store.schedules():
            await store.wait(Channel.SCHEDULES, 0, 1.0)
        ready = store.cursor(Channel.READY)
        due = Schedule("now", task.name, "every:60", next_at=START, edited=True)
        await store.put_schedules([due])
        await store.wait(Channel.READY, ready, PATIENCE)
    assert len(await jobs_of(store, "now")) == 1
    one.stopping.set()
    await running


# --- what nobody was there to fire ------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "fired"),
    [("skip", [10_000, 10_060]), ("one", [9940, 10_000, 10_060])],
)
async def test_after_an_outage_the_policy_decides(
    store: Store, clock: ManualClock, queue: Queue, policy: str, fired: list[int]
) -> None:
    """Whole minutes are 40 s after the start, and every 60 s from there."""
    plain(queue, every=60, catch_up=policy)
    await keeper(store, queue).look()
    clock.advance(10_010)
    one = keeper(store, queue)
    await one.look()
    clock.advance(60)
    await one.look()
    assert await ticks_of(store) == fired


async def test_all_missed_ticks_fire_up_to_a_hundred_oldest_first(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=60, catch_up="all")
    await keeper(store, queue).look()
    clock.advance(50 * 60)
    await keeper(store, queue).look()
    first = await ticks_of(store)
    assert len(first) == 50
    assert first == sorted(first)
    clock.jump(60 * 60 * 24)
    await keeper(store, queue).look()
    ticks = await ticks_of(store)
    assert len(ticks) == 150
    assert ticks[-1] - ticks[50] == 99 * 60


# --- overlap and jitter -----------------------------------------------------------------


async def test_ticks_are_skipped_while_a_job_of_the_schedule_is_not_over(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=60, overlap="skip")
    one = keeper(store, queue)
    await one.look()
    for _ in range(3):
        clock.advance(60)
        await one.look()
    [job] = await jobs_of(store)
    assert await store.cancel(job.id)
    clock.advance(60)
    await one.look()
    assert len(await jobs_of(store)) == 2


async def test_jitter_spreads_the_starts_and_all_workers_agree(
    clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=60, jitter=30)
    stores = [MemoryStore(clock), MemoryStore(clock)]
    keepers = [keeper(store, queue) for store in stores]
    for each in keepers:
        await each.look()
    for _ in range(20):
        clock.advance(60)
        for each in keepers:
            await each.look()
    spread = [[job.run_at - job.created_at for job in await jobs_of(store)] for store in stores]
    assert spread[0] == spread[1]
    assert all(0 <= delay < 30_000 for delay in spread[0])
    assert len(set(spread[0])) > 15


# --- code and what was changed at run time ----------------------------------------------


async def test_a_restart_keeps_a_pause(store: Store, clock: ManualClock, queue: Queue) -> None:
    plain(queue, every=60)
    await keeper(store, queue).look()
    await store.edit_schedule("s", Edit(paused=True))
    for _ in range(3):
        clock.advance(60)
        await keeper(store, queue).look()
    assert (await the_one(store)).paused
    assert await jobs_of(store) == []


async def test_what_is_taken_out_of_the_code_stops(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    task = plain(queue, every=60)
    await keeper(store, queue).look()
    later = Queue("memory://")
    later.task(name=task.name)(task.function)  # the task stays, its schedule goes
    clock.advance(600)
    await keeper(store, later).look()
    assert await jobs_of(store) == []
    await keeper(store, queue).look()  # a worker of the old code, as during a deployment
    assert len(await jobs_of(store)) > 0


async def test_a_schedule_of_an_unknown_task_is_left_to_others(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    await store.put_schedules([Schedule("s", "app.other", "every:60", next_at=START, edited=True)])
    assert await keeper(store, queue).look() == EVERY
    assert await jobs_of(store) == []


async def test_an_edit_survives_restarts(store: Store, clock: ManualClock, queue: Queue) -> None:
    plain(queue, every=60)
    await keeper(store, queue).look()
    edit = Edit(trigger="every:7", next_at=clock.now() + 7000)
    await store.edit_schedule("s", edit)
    assert await keeper(store, queue).look() == EVERY
    clock.advance(6)
    assert await keeper(store, queue).look() == 1.0


async def test_one_that_was_deleted_stays_away_until_a_worker_starts(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    plain(queue, every=60)
    one = keeper(store, queue)
    await one.look()
    await store.delete_schedule("s")
    await one.look()
    assert await store.schedules() == []
    await keeper(store, queue).look()
    assert len(await store.schedules()) == 1


async def test_jobs_have_the_options_of_the_task_as_it_is_now_and_those_of_the_schedule(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    @queue.task(name="app.t", max_retries=9, timeout=5, queue="slow")
    def task(number: int, *, word: str = "") -> None: ...

    stored = Schedule(
        "s", "app.t", "every:60", next_at=START, edited=True,
        payload=b'[[3],{"word":"x"}]', options={"queue": "fast", "tags": ["a"], "timeout": 2.5},
    )  # fmt: skip
    await store.put_schedules([stored])
    await keeper(store, queue).look()
    [job] = await jobs_of(store)
    assert (job.retry.max_retries, job.timeout, job.queue, job.tags) == (9, 2.5, "fast", ("a",))
    assert job.payload == b'[[3],{"word":"x"}]'


# --- trouble ----------------------------------------------------------------------------


BROKEN = {
    "arguments that do not fit any more": Edit(payload=b"[[1,2,3],{}]"),
    "a trigger of another version": Edit(trigger="moon:full"),
    "a time zone that is not here": Edit(trigger="cron:* * * * *", tz="Mars/Base"),
}


@pytest.mark.parametrize("edit", BROKEN.values(), ids=list(BROKEN))
async def test_a_schedule_that_cannot_fire_holds_up_no_other(
    store: Store, clock: ManualClock, queue: Queue, caplog: pytest.LogCaptureFixture, edit: Edit
) -> None:
    task = plain(queue, every=60)
    one = keeper(store, queue)
    await one.look()
    sick = Schedule("sick", task.name, "every:60", next_at=START, edited=True)
    await store.put_schedules([sick])
    await store.edit_schedule("sick", edit)
    clock.advance(60)
    for _ in range(3):
        assert await one.look() > 0, "it must not be tried again at once"
    assert len(await jobs_of(store)) == 1
    assert await jobs_of(store, "sick") == []
    told = [record for record in caplog.records if "sick cannot fire here" in record.getMessage()]
    assert len(told) == 1


async def test_a_unique_key_that_rejects_costs_its_tick_and_no_other(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    only = queue.periodic(every=60, name="one", unique=Unique(on_conflict=OnConflict.REJECT))

    @only
    def lonely() -> None: ...

    plain(queue, every=60)
    one = keeper(store, queue)
    await one.look()
    for _ in range(2):
        clock.advance(60)
        await one.look()
    assert len(await jobs_of(store, "one")) == 1
    assert len(await jobs_of(store)) == 2
    await store.heartbeat(Beat("w", 30))
    assert all(schedule.next_at > clock.now() for schedule in await store.schedules())


async def test_arguments_that_cannot_be_stored_yet_do_not_stop_the_others(
    store: Store, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(thing: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is it

    queue.periodic(every=60, name="odd", args=[1])(odd)
    plain(queue, every=60)
    await keeper(store, queue).look()
    assert [schedule.name for schedule in await store.schedules()] == ["s"]
    assert "odd cannot be stored" in caplog.text


# --- where clocks change ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "tz", "since", "expected"),
    [
        # Berlin skips 02:00 to 03:00: what is fixed in there fires when the gap ends, once.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["29T01:00", "30T00:30"]),
        # Every hour by the clock on the wall: the skipped one is not there.
        ("0 * * * *", "Europe/Berlin", "2026-03-29T00:30", ["29T01:00", "29T02:00"]),
        # Berlin repeats 02:00 to 03:00: what is fixed fires the first time only.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["25T00:30", "26T01:30"]),
        # What begins with a star fires in both.
        ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00", ["25T00:30", "25T01:30", "25T02:30"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01T05:30", "02T06:30"]),
    ],
)
async def test_where_clocks_change_ticks_follow_the_table(
    queue: Queue, cron: str, tz: str, since: str, expected: list[str]
) -> None:
    start = datetime.fromisoformat(since).replace(tzinfo=UTC)
    clock = ManualClock(now=int(start.timestamp() * 1000))
    store = MemoryStore(clock)
    plain(queue, cron=cron, tz=tz)
    one = keeper(store, queue)
    await one.look()
    while len(await jobs_of(store)) < len(expected):
        clock.advance(60)
        await one.look()
    found = [datetime.fromtimestamp((job.tick or 0) / 1000, UTC) for job in await jobs_of(store)]
    assert [f"{moment:%dT%H:%M}" for moment in found] == expected


async def test_a_triggered_job_counts_for_overlap(
    store: Store, clock: ManualClock, queue: Queue
) -> None:
    task = plain(queue, every=60, overlap="skip")
    one = keeper(store, queue)
    await one.look()
    await store.enqueue([NewJob("by-hand", task.name, schedule="s")])
    clock.advance(60)
    await one.look()
    assert [job.id for job in await jobs_of(store)] == ["by-hand"]
