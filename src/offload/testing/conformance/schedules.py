"""Periodic tasks: each tick once, whoever else saw it; what was set by hand stays."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from offload.core.errors import DuplicateJob
from offload.core.job import Job
from offload.core.schedule import CatchUp, Edit, Fire, Overlap, Schedule
from offload.core.states import Move, State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.base import Channel, JobFilter, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import FAR, end, new, put, read, run, soon, take

HOURLY = Schedule("hourly", "app.tick", "every:3600", next_at=1000)
SKIPPING = replace(HOURLY, overlap=Overlap.SKIP)


def fire(tick: int, *job_ids: str, name: str = "hourly") -> Fire:
    """Return a fire that enqueues these jobs, for ticks up to this one, and goes on by 1000."""
    jobs = [new(job_id, schedule=name, tick=tick + n) for n, job_id in enumerate(job_ids)]
    return Fire(name, tick, tick + 1000, tuple(jobs))


async def stored_one(store: Store) -> Schedule:
    """Return the one schedule that is there."""
    [schedule] = await store.schedules()
    return schedule


async def fired(store: Store, tick: int, *job_ids: str) -> list[str] | None:
    """Fire one tick, and return the ids of the jobs, or None if somebody else was first."""
    [jobs] = await store.fire([fire(tick, *job_ids)])
    return None if jobs is None else [job.id for job in jobs]


class Defining:
    """What `put_schedules`, `edit_schedule` and `delete_schedule` owe."""

    async def test_schedules_are_kept_as_they_were_defined(self, store: Store) -> None:
        """Every field comes back, by name; the last definition of a name counts."""
        full = Schedule(
            name='a "full"; ünï',
            task="app.tick",
            trigger="cron:0 9 * * *",
            next_at=5,
            tz="Europe/Berlin",
            payload=bytes(range(256)),
            options={"queue": "q", "priority": 3, "deep": [1, None, {"x": 1.5}]},
            overlap=Overlap.SKIP,
            catch_up=CatchUp.ALL,
            jitter=2.5,
            paused=True,
            edited=True,
            last_at=4,
            last_job="j",
        )
        assert await store.schedules() == []
        await store.put_schedules([HOURLY, full, replace(HOURLY, name="b", next_at=1)])
        await store.put_schedules([])
        assert await store.schedules() == [full, replace(HOURLY, name="b", next_at=1), HOURLY]

    async def test_a_definition_is_taken_over(self, store: Store) -> None:
        """All that the code says; but when it fires next stays, or each start would shift it."""
        await store.put_schedules([HOURLY])
        changed = replace(
            HOURLY,
            task="app.other",
            next_at=7777,
            payload=b"[[1],{}]",
            options={"queue": "q"},
            overlap=Overlap.SKIP,
            catch_up=CatchUp.SKIP,
            jitter=1.0,
        )
        await store.put_schedules([changed])
        assert await stored_one(store) == replace(changed, next_at=1000)

    @pytest.mark.parametrize("change", [{"trigger": "every:60"}, {"tz": "Asia/Tokyo"}])
    async def test_other_ticks_move_the_next_one(
        self, store: Store, change: dict[str, Any]
    ) -> None:
        """What was due by the old trigger or time zone is not due by the new one."""
        await store.put_schedules([HOURLY])
        changed = replace(HOURLY, next_at=7777, **change)
        await store.put_schedules([changed])
        assert await stored_one(store) == changed

    async def test_a_restart_changes_nothing(self, store: Store) -> None:
        """A pause stays, and so does what fired last."""
        await store.put_schedules([HOURLY])
        assert await fired(store, 1000, "a") == ["a"]
        await store.edit_schedule("hourly", Edit(paused=True))
        before = await stored_one(store)
        await store.put_schedules([HOURLY])
        assert await stored_one(store) == before
        assert (before.paused, before.edited, before.last_job) == (True, False, "a")
        await store.put_schedules([replace(HOURLY, trigger="every:60", next_at=7777)])
        after = await stored_one(store)
        assert (after.next_at, after.last_at, after.last_job) == (7777, 1000, "a")
        assert after.paused

    async def test_what_was_edited_no_longer_follows_the_code(self, store: Store) -> None:
        """Until somebody deletes it."""
        await store.put_schedules([HOURLY])
        edited = await store.edit_schedule("hourly", Edit(trigger="every:60", next_at=60))
        assert edited == replace(HOURLY, trigger="every:60", next_at=60, edited=True)
        await store.put_schedules([HOURLY])
        assert await stored_one(store) == edited
        assert await store.delete_schedule("hourly")
        await store.put_schedules([HOURLY])
        assert await stored_one(store) == HOURLY

    async def test_what_comes_as_edited_replaces(self, store: Store) -> None:
        """A schedule that is added at run time wins over whatever is there, edited or not."""
        for number in range(2):
            added = replace(HOURLY, task=f"app.t{number}", next_at=number, edited=True)
            await store.put_schedules([added])
            assert await stored_one(store) == added
        await store.put_schedules([HOURLY])
        assert (await stored_one(store)).task == "app.t1"

    async def test_an_edit_changes_what_it_names(self, store: Store) -> None:
        """Field by field; the answer is the schedule as it is then."""
        await store.put_schedules([HOURLY])
        expected = HOURLY
        changes: tuple[dict[str, Any], ...] = (
            {"trigger": "cron:* * * * *"},
            {"next_at": 5},
            {"tz": "Europe/Berlin"},
            {"payload": b"[[2],{}]"},
            {"options": {"priority": 1}},
            {"overlap": Overlap.SKIP},
            {"catch_up": CatchUp.ALL},
            {"jitter": 3.0},
            {"paused": True},
            {"paused": False},
        )
        for change in changes:
            expected = replace(expected, edited=True, **change)
            assert await store.edit_schedule("hourly", Edit(**change)) == expected
            assert await stored_one(store) == expected

    async def test_a_pause_is_no_edit(self, store: Store) -> None:
        """Nor is an edit of nothing."""
        await store.put_schedules([HOURLY])
        assert await store.edit_schedule("hourly", Edit()) == HOURLY
        paused = await store.edit_schedule("hourly", Edit(paused=True))
        assert paused == replace(HOURLY, paused=True)

    async def test_the_end_of_a_pause_is_no_edit(self, store: Store, clock: ManualClock) -> None:
        """It moves the next tick, which the store's own clock decides."""
        await store.put_schedules([HOURLY])
        await store.edit_schedule("hourly", Edit(paused=True))
        assert await store.now() == clock.now()
        resumed = await store.edit_schedule("hourly", Edit(paused=False, next_at=await store.now()))
        assert resumed == replace(HOURLY, next_at=clock.now())
        await store.put_schedules([replace(HOURLY, jitter=1.0)])
        assert (await stored_one(store)).jitter == 1.0

    async def test_an_unknown_schedule_is_not_changed(self, store: Store) -> None:
        """Nor made."""
        assert await store.edit_schedule("no", Edit(paused=True)) is None
        assert not await store.delete_schedule("no")
        assert await store.schedules() == []

    async def test_a_deleted_schedule_leaves_its_jobs(self, store: Store) -> None:
        """They run as they would have."""
        await store.put_schedules([HOURLY])
        assert await fired(store, 1000, "a") == ["a"]
        assert await store.delete_schedule("hourly")
        assert not await store.delete_schedule("hourly")
        assert await store.schedules() == []
        assert [job.id for job in await take(store)] == ["a"]


class Firing:
    """What `fire` owes."""

    async def test_a_tick_enqueues_its_job_and_moves_on(
        self, store: Store, clock: ManualClock
    ) -> None:
        """The job says which schedule and tick it is for; the schedule, what fired last."""
        await store.put_schedules([HOURLY])
        [jobs] = await store.fire([fire(1000, "a")])
        assert jobs == [await read(store, "a")]
        [job] = jobs
        assert (job.schedule, job.tick, job.created_at) == ("hourly", 1000, clock.now())
        assert await stored_one(store) == replace(HOURLY, next_at=2000, last_at=1000, last_job="a")
        assert [job.id for job in await store.search(JobFilter(schedule="hourly"))] == ["a"]

    async def test_a_tick_fires_once(self, store: Store) -> None:
        """Whoever comes second is told so, also in the same batch; a later tick fires again."""
        await store.put_schedules([HOURLY])
        first, second = await store.fire([fire(1000, "a"), fire(1000, "b")])
        assert first == [await read(store, "a")]
        assert second is None
        assert await fired(store, 1000, "c") is None
        assert await fired(store, 3000, "d") is None
        assert await fired(store, 2000, "e") == ["e"]
        assert await store.get(["b", "c", "d"]) == [None] * 3

    async def test_of_racing_schedulers_one_fires(self, store: Store) -> None:
        """There is no leader, and no need for one."""
        await store.put_schedules([HOURLY])
        answers = await asyncio.gather(*(fired(store, 1000, f"j{n}") for n in range(20)))
        assert len([answer for answer in answers if answer]) == 1
        assert (await store.stats())[State.PENDING] == 1

    async def test_a_paused_or_unknown_schedule_does_not_fire(self, store: Store) -> None:
        """And does not move on: whoever resumes it decides what becomes of missed ticks."""
        await store.put_schedules([HOURLY])
        await store.edit_schedule("hourly", Edit(paused=True))
        before = await stored_one(store)
        assert await store.fire([fire(1000, "a"), fire(1000, "b", name="no")]) == [None, None]
        assert await stored_one(store) == before
        assert await store.get(["a", "b"]) == [None, None]
        await store.edit_schedule("hourly", Edit(paused=False))
        assert await fired(store, 1000, "a") == ["a"]

    async def test_each_fire_is_judged_by_itself(self, store: Store) -> None:
        """Schedules in one batch do not hold each other up."""
        other = replace(HOURLY, name="other", next_at=5)
        await store.put_schedules([HOURLY, other])
        answers = await store.fire(
            [fire(1, "a"), fire(5, "b", name="other"), fire(1000, "c"), fire(5, "d", name="other")]
        )
        ids = [None if jobs is None else [job.id for job in jobs] for jobs in answers]
        assert ids == [None, ["b"], ["c"], None]
        assert await store.fire([]) == []

    async def test_missed_ticks_are_caught_up_on(self, store: Store) -> None:
        """All jobs of a fire go in, in order; the newest tick is the one that fired last."""
        await store.put_schedules([HOURLY])
        assert await fired(store, 1000, "a", "b", "c") == ["a", "b", "c"]
        after = await stored_one(store)
        assert (after.next_at, after.last_at, after.last_job) == (2000, 1002, "c")
        assert [(job.id, job.tick) for job in await take(store, 5)] == [
            ("a", 1000),
            ("b", 1001),
            ("c", 1002),
        ]

    async def test_dropped_ticks_only_move_on(self, store: Store) -> None:
        """Nothing was enqueued, so nothing fired."""
        await store.put_schedules([HOURLY])
        assert await fired(store, 1000) == []
        assert await stored_one(store) == replace(HOURLY, next_at=2000)

    @pytest.mark.parametrize("overlap", Overlap)
    async def test_a_tick_while_an_earlier_job_is_not_over(
        self, store: Store, overlap: Overlap
    ) -> None:
        """Pending or running: SKIP drops it, ALLOW does not mind."""
        await store.put_schedules([replace(HOURLY, overlap=overlap)])
        assert await fired(store, 1000, "a") == ["a"]
        [job] = await take(store)
        assert await end(store, job, Move.RETRY)
        seen = [await fired(store, 2000, "b")]
        [job, *_] = await take(store)
        seen.append(await fired(store, 3000, "c"))
        dropped = overlap is Overlap.SKIP
        assert seen == ([[], []] if dropped else [["b"], ["c"]])
        after = await stored_one(store)
        assert after.next_at == 4000
        assert after.last_at == (1000 if dropped else 3000)
        assert await end(store, job, Move.COMPLETE)
        assert await fired(store, 4000, "d") == ["d"]

    async def test_of_missed_ticks_one_fires_if_they_may_not_overlap(self, store: Store) -> None:
        """The last of them."""
        await store.put_schedules([SKIPPING])
        assert await fired(store, 1000, "a", "b", "c") == ["c"]
        assert await store.get(["a", "b"]) == [None, None]
        assert (await stored_one(store)).last_at == 1002

    async def test_a_triggered_job_counts_as_one_of_the_schedule(self, store: Store) -> None:
        """It was started by hand, but would overlap all the same; one of another does not."""
        await store.put_schedules([SKIPPING])
        await put(store, "other", schedule="other", tick=1000)
        triggered = await run(store, "by-hand", schedule="hourly", priority=1)
        assert await fired(store, 1000, "a") == []
        assert await end(store, triggered, Move.FAIL)
        assert await fired(store, 2000, "b") == ["b"]

    async def test_a_job_that_is_there_already_is_the_answer(self, store: Store) -> None:
        """By its id or by its key, as with any enqueue."""
        await store.put_schedules([HOURLY])
        await put(store, "a", unique=UniqueKey("k"))
        asked = new("b", schedule="hourly", tick=1000, unique=UniqueKey("k"))
        [jobs] = await store.fire([Fire("hourly", 1000, 2000, (asked,))])
        assert jobs == [await read(store, "a")]
        assert (await stored_one(store)).last_job == "a"
        assert await fired(store, 2000, "a") == ["a"]

    async def test_a_refused_fire_changes_nothing(self, store: Store) -> None:
        """Neither its schedule nor another of the same call."""
        other = replace(HOURLY, name="other")
        await store.put_schedules([HOURLY, other])
        await put(store, "a", unique=UniqueKey("k"))
        rejecting = UniqueKey("k", on_conflict=OnConflict.REJECT)
        refused = Fire("other", 1000, 2000, (new("c", unique=rejecting),))
        with pytest.raises(DuplicateJob):
            await store.fire([fire(1000, "b"), refused])
        assert await store.schedules() == [HOURLY, other]
        assert await store.get(["b", "c"]) == [None, None]

    async def test_a_fire_wakes_workers(self, store: Store) -> None:
        """As an enqueue does."""
        await store.put_schedules([HOURLY])
        cursor = store.cursor(Channel.READY)
        assert await fired(store, 1000, "a")
        await soon(store.wait(Channel.READY, cursor, FAR))

    async def test_jobs_of_a_schedule_are_found(self, store: Store) -> None:
        """With those that were triggered, and without those of others."""
        await store.put_schedules([HOURLY])
        assert await fired(store, 1000, "a", "b")
        await put(store, "c", schedule="hourly")
        await put(store, "d", schedule="other")
        await put(store, "e")
        found: list[Job] = await store.search(JobFilter(schedule="hourly"))
        assert [(job.id, job.tick) for job in found] == [("c", None), ("b", 1001), ("a", 1000)]
