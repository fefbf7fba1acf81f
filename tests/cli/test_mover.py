"""A move goes on whatever interrupts it, and what was moved is there once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from offload import Queue
from offload.cli.mover import BEGUN, LEASE, Movable, Moved, Mover
from offload.core.job import Inputs, NewJob
from offload.core.records import Failure, Finish
from offload.core.schedule import Edit, Fire, Schedule
from offload.core.states import Move, State
from offload.core.unique import UniqueKey
from offload.store.base import Beat, Channel, JobFilter
from offload.store.memory import MemoryStore
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from offload.testing.conformance.steps import PATIENCE, until

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class Killed(Exception):
    """The process is gone."""


class Mortal:
    """A store whose caller is killed right after its call number `last` has had its effect."""

    def __init__(self, store: MemoryStore, lives: list[int]) -> None:
        self._store = store
        self._lives = lives

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if name not in {"cursor", "wait"} else found

    def _counted(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **options: Any) -> Any:
            answer = await method(*args, **options)
            self._lives[0] -= 1
            if self._lives[0] == 0:
                raise Killed
            return answer

        return call


def mover(source: object, target: object, clock: Callable[[], float] = lambda: 0.0) -> Mover:
    return Mover(cast("Movable", source), cast("Movable", target), lambda _: None, clock)


async def end(store: MemoryStore, move: Move) -> None:
    [job] = (await store.claim("w", None, 1)).jobs
    finish = Finish(job.id, job.lease, move, result=b"1" if move is Move.COMPLETE else None)
    failure = None if move is Move.COMPLETE else Failure("Boom", "it broke")
    assert await store.finish([replace(finish, failure=failure)]) == [True]


async def furnish(clock: ManualClock) -> MemoryStore:
    """Return a store with one of everything."""
    store = MemoryStore(clock)
    await store.heartbeat(Beat("w", 30.0))
    for number, move in enumerate((Move.COMPLETE, Move.FAIL, Move.BURY, Move.CANCEL, Move.RETRY)):
        await store.enqueue([NewJob(f"ended-{number}", "t", queue="mails")])
        await end(store, move)
    await store.enqueue(
        [
            NewJob("parent", "t"),
            NewJob("child", "t", depends_on=("parent",), inputs=Inputs.FIRST),
            NewJob("grandchild", "t", depends_on=("child", "parent")),
            NewJob("later", "t", delay=60.0, unique=UniqueKey("k")),
        ]
    )
    now = await store.now()
    await store.put_schedules(
        [
            Schedule("hourly", "t", "every:3600", next_at=now + HOUR),
            Schedule("edited", "t", "every:60", next_at=now + HOUR, edited=True),
            Schedule("quiet", "t", "every:60", next_at=now + HOUR, paused=True),
        ]
    )
    await store.set_paused("closed", paused=True)
    return store


async def holdings(store: MemoryStore) -> dict[str, object]:
    """Return all that a store has, but for what the move itself leaves: paused queues."""
    jobs = {job.id: replace(job, version=0) for job in await store.search(JobFilter(limit=100))}
    return {
        "jobs": jobs,
        "letters": [letter.id for letter in await store.dead_letters(100, 0)],
        "schedules": await store.schedules(),
        "paused": [row.name for row in await store.queues() if row.paused],
        "parents": {job_id: (await store.family(job_id)).parents for job_id in jobs},
    }


async def test_all_of_it_arrives(clock: ManualClock) -> None:
    source, target = await furnish(clock), MemoryStore(clock)
    before = await holdings(source)
    moved = await mover(source, target).run()
    assert await holdings(target) == before
    left = await holdings(source)
    assert (left["jobs"], left["letters"]) == ({}, [])
    assert all(schedule.paused for schedule in await source.schedules())
    assert moved == Moved(jobs=9, letters=1, schedules=3)


async def test_killed_after_any_call_it_goes_on(clock: ManualClock) -> None:
    """Every call is the last one once; the second run ends with the same as one alone."""
    calls = [1_000_000]
    source, target = await furnish(clock), MemoryStore(clock)
    before = await holdings(source)
    await mover(Mortal(source, calls), Mortal(target, calls)).run()
    most = 1_000_000 - calls[0]
    assert most > 20
    for last in range(1, most + 1):
        source, target, lives = await furnish(clock), MemoryStore(clock), [last]
        with pytest.raises(Killed):
            await mover(Mortal(source, lives), Mortal(target, lives)).run()
        await mover(source, target).run()
        assert await holdings(target) == before, f"killed after call {last}"
        assert await source.search(JobFilter()) == []


async def test_what_ran_there_meanwhile_is_not_run_again(clock: ManualClock) -> None:
    """The copy was made, the original not yet removed: it is the copy that counts."""
    source, target = MemoryStore(clock), MemoryStore(clock)
    await source.enqueue([NewJob("a", "t")])
    await target.unpack(await source.pack(0, 5))
    await target.heartbeat(Beat("w", 30.0))
    await end(target, Move.COMPLETE)
    await mover(source, target).run()
    [job] = await target.get(["a"])
    assert job is not None
    assert (job.state, job.attempt) == (State.COMPLETE, 1)


async def test_what_is_cancelled_here_after_it_was_sent_is_cancelled_there(
    clock: ManualClock,
) -> None:
    source, target = MemoryStore(clock), MemoryStore(clock)
    await source.enqueue([NewJob("a", "t")])
    await target.unpack(await source.pack(0, 5))
    await source.cancel("a")
    await mover(source, target).run()
    assert (await target.stats())[State.CANCELLED] == 1


async def test_jobs_of_a_dead_worker_come_too_but_not_before_one_lease(clock: ManualClock) -> None:
    source, target = MemoryStore(clock), MemoryStore(clock)
    await source.enqueue([NewJob("a", "t"), NewJob("b", "t", depends_on=("a",))])
    await source.heartbeat(Beat("w", 30.0))
    await source.claim("w", None, 1)
    clock.advance(31)
    time = [0.0]
    moving = mover(source, target, lambda: time[0])
    await moving.begin()
    await moving.sweep()
    # The child waits for what runs, and so does not go before it.
    assert (moving.moved.running, moving.moved.waiting) == (1, 1)
    time[0] = LEASE + 1
    await moving.sweep()
    assert moving.moved.over
    assert sorted(job.id for job in await target.search(JobFilter())) == ["a", "b"]


async def test_a_tick_fires_on_one_side(clock: ManualClock) -> None:
    """Neither is it lost, nor is it fired here once more."""
    source, target = await furnish(clock), MemoryStore(clock)
    await mover(source, target).run()
    clock.advance(3600)
    due = {each.name: each.next_at for each in await target.schedules()}
    job = NewJob("tick", "t", schedule="hourly")
    fire = Fire("hourly", due["hourly"], due["hourly"] + HOUR, (job,))
    assert await source.fire([fire]) == [None]
    assert [bool(jobs) for jobs in await target.fire([fire])] == [True]


async def test_what_runs_there_already_keeps_its_own_schedules(clock: ManualClock) -> None:
    """Unless it was edited here; who had paused one finds it paused."""
    source, target = await furnish(clock), MemoryStore(clock)
    now = await source.now()
    own = [
        Schedule(name, "new", "every:5", next_at=now + 5000)
        for name in ("hourly", "edited", "quiet")
    ]
    await target.put_schedules(own)
    await mover(source, target).run()
    edited, hourly, quiet = await target.schedules()
    assert (hourly.task, quiet.task, edited.task) == ("new", "new", "t")
    assert (hourly.paused, quiet.paused, edited.paused) == (False, True, False)
    await target.edit_schedule("edited", Edit(trigger="every:7"))
    await mover(source, target).run()
    assert (await target.schedules())[0].trigger == "every:7"


async def test_a_pause_of_the_move_is_not_taken_for_the_users(clock: ManualClock) -> None:
    source, target = await furnish(clock), MemoryStore(clock)
    for _ in range(2):
        await mover(source, target).run()
    assert [row.name for row in await target.queues() if row.paused] == ["closed"]
    assert BEGUN in [row.name for row in await source.queues() if row.paused]


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[tuple[SQLiteStore, SQLiteStore]]:
    stores = SQLiteStore(tmp_path / "old.db"), SQLiteStore(tmp_path / "new.db")
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


async def result(store: SQLiteStore, queue: Queue, job_id: str) -> object:
    """Return the result of a job that may still have to arrive."""

    async def is_there() -> bool:
        return await queue.aget_job(job_id) is not None

    await until(store, Channel.CHANGED, is_there)
    job = await queue.aget_job(job_id)
    assert job is not None
    return await job.aresult(timeout=PATIENCE)


async def test_programs_go_on_meanwhile(
    files: tuple[SQLiteStore, SQLiteStore], tmp_path: Path
) -> None:
    """An old worker ends what it runs, old callers go on enqueuing, a new worker does the rest."""
    ran: list[int] = []
    began, may_end = asyncio.Event(), asyncio.Event()
    old, new = Queue(db_path=tmp_path / "old.db"), Queue(db_path=tmp_path / "new.db")

    async def work(number: int) -> int:
        if number == 0:
            began.set()
            await may_end.wait()
        ran.append(number)
        return number

    before, after = old.task(name="work")(work), new.task(name="work")(work)
    stop = asyncio.Event()
    slow = await before.adelay(0)
    workers = [asyncio.create_task(old.arun_worker(stop))]
    await began.wait()
    moving = mover(*files)
    await moving.begin()
    jobs = [await before.adelay(number) for number in range(1, 20)]
    moved = asyncio.create_task(moving.run())
    workers.append(asyncio.create_task(new.arun_worker(stop)))
    for job in jobs[:5]:
        assert await result(files[1], new, job.id) in range(1, 20)
    may_end.set()
    assert (await moved).over
    assert await result(files[1], new, slow.id) == 0
    for job in jobs:
        await result(files[1], new, job.id)
    assert sorted(ran) == list(range(20))
    assert after.name == before.name
    stop.set()
    await asyncio.gather(*workers)
    for queue in (old, new):
        await queue.aclose()
