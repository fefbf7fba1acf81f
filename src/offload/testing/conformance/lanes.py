"""Limits that jobs share, and queues that stand still."""

import asyncio

import pytest

from offload.core.job import Job
from offload.core.lane import Lane
from offload.core.states import Move, State
from offload.store.base import Channel, QueueRow, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    FAR,
    MOVES,
    OTHER,
    WORKER,
    beat,
    end,
    lapsed,
    new,
    put,
    run,
    soon,
    take,
)

ONE = Lane("one", max_running=1)
ONE_OF_L = Lane("l", max_running=1)
SLOW = Lane("slow", interval=10.0)


def ids(jobs: list[Job]) -> list[str]:
    """Return the ids of some jobs."""
    return [job.id for job in jobs]


class Places:
    """What `max_running` means."""

    async def test_no_more_run_than_there_are_places(self, store: Store) -> None:
        """In one claim or in several, by one worker or by several, in whatever queues."""
        two = Lane("two", max_running=2)
        await put(store, "a", "b", lane=two)
        await put(store, "c", lane=two, queue="other")
        assert ids(await take(store, 5)) == ["a", "b"]
        assert await take(store, 5, worker=OTHER) == []
        assert await take(store, 5, queues=["other"]) == []

    @pytest.mark.parametrize("move", MOVES)
    async def test_whoever_stops_running_makes_room(self, store: Store, move: Move) -> None:
        """However it stops; workers are told, for nothing else may happen."""
        job = await run(store, "a", lane=ONE)
        await put(store, "b", lane=ONE, priority=1)
        assert await take(store) == []
        cursor = store.cursor(Channel.READY)
        assert await end(store, job, move, delay=60.0 if move is Move.RETRY else 0.0)
        await soon(store.wait(Channel.READY, cursor, FAR))
        assert ids(await take(store, 5)) == ["b"]

    async def test_a_lost_job_keeps_its_place_until_it_is_ended(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Nobody knows whether it still runs before its lease is over."""
        await run(store, "a", lane=ONE)
        await beat(store, lease=30)
        await put(store, "b", lane=ONE)
        clock.advance(31)
        assert await lapsed(store) == {"a"}
        assert await take(store) == []
        [lapse] = await store.lapsed(1)
        assert await end(store, lapse.job, Move.BURY, crashed=True)
        assert ids(await take(store)) == ["b"]

    async def test_a_full_lane_holds_nobody_else_up(self, store: Store) -> None:
        """However many of it wait at the head of the line."""
        await run(store, "a", lane=ONE)
        await put(store, *(f"j{n}" for n in range(250)), lane=ONE, priority=9)
        await put(store, "other", lane=Lane("two", max_running=1))
        await put(store, "free")
        assert ids(await take(store, 5)) == ["other", "free"]
        assert (await store.stats())[State.PENDING] == 250

    async def test_order_holds_between_lanes(self, store: Store) -> None:
        """Priority decides, then due time and age, as if there were no lanes."""
        two = Lane("two", max_running=2)
        await store.enqueue(
            [
                new("a", lane=ONE, priority=1),
                new("b", lane=two),
                new("c", priority=5),
                new("d", lane=two, priority=9),
                new("e", lane=ONE, priority=4),
                new("f"),
                new("g", lane=two, priority=2),
            ]
        )
        assert ids(await take(store, 3)) == ["d", "c", "e"]
        assert ids(await take(store, 5)) == ["g", "f"]

    async def test_the_limits_of_the_newest_job_hold(self, store: Store) -> None:
        """For all of the lane; a job that says nothing of them changes nothing."""
        await put(store, *"abcd", lane=Lane("l", max_running=1))
        assert ids(await take(store, 5)) == ["a"]
        await put(store, "e", lane=Lane("l", max_running=3))
        assert ids(await take(store, 5)) == ["b", "c"]
        await put(store, "f", lane=Lane("l"))
        assert await take(store, 5) == []
        await put(store, "g", lane=Lane("l", interval=0.001))
        assert ids(await take(store, 5)) == []
        await put(store, "h", lane=Lane("l", max_running=5))
        assert ids(await take(store, 5)) == ["d", "e"]

    async def test_a_job_that_is_not_stored_sets_no_limits(self, store: Store) -> None:
        """A repeated enqueue is no newer job."""
        await put(store, "a", "b", "c", lane=Lane("l", max_running=2))
        await put(store, "a", lane=Lane("l", max_running=1))
        assert ids(await take(store, 5)) == ["a", "b"]

    async def test_a_job_that_comes_twice_in_a_batch_is_no_newer(self, store: Store) -> None:
        """Its limits are as old as its first place in the batch."""
        first, second = new("a", lane=Lane("l", max_running=2)), new("b", lane=ONE_OF_L)
        await store.enqueue([first, second, first])
        assert ids(await take(store, 5)) == ["a"]

    async def test_a_lane_without_limits_is_open(self, store: Store) -> None:
        """Its name alone closes nothing."""
        await put(store, *"abc", lane=Lane("l"))
        assert ids(await take(store, 5)) == ["a", "b", "c"]

    async def test_a_repeated_job_is_of_the_same_lane(self, store: Store) -> None:
        """A replay does not go past the limits."""
        job = await run(store, "a", lane=ONE)
        assert await end(store, job, Move.COMPLETE)
        await run(store, "b", lane=ONE)
        await store.replay({"a": "c"})
        assert await take(store, 5) == []

    async def test_racing_claims_never_overfill_a_lane(self, store: Store) -> None:
        """Of many claims at once as many get a job as there are places."""
        await put(store, *(f"j{n}" for n in range(30)), lane=Lane("l", max_running=3))
        claims = await asyncio.gather(*(take(store, 2, worker=f"w{n}") for n in range(20)))
        assert sum(map(len, claims)) == 3


class Intervals:
    """What `interval` means."""

    async def test_an_interval_lies_between_two_starts(
        self, store: Store, clock: ManualClock
    ) -> None:
        """One claim takes one job at most, and says when it is worth asking again."""
        await put(store, *"abc", lane=SLOW)
        claim = await store.claim(WORKER, None, 5)
        assert ids(claim.jobs) == ["a"]
        assert claim.next_due == pytest.approx(10)
        clock.advance(9.999)
        claim = await store.claim(OTHER, None, 5)
        assert claim.jobs == []
        assert claim.next_due == pytest.approx(0.001)
        clock.advance(0.001)
        claim = await store.claim(OTHER, None, 5)
        assert ids(claim.jobs) == ["b"]
        assert claim.next_due == pytest.approx(10)
        clock.advance(100)
        claim = await store.claim(OTHER, None, 5)
        assert (ids(claim.jobs), claim.next_due) == (["c"], None)

    @pytest.mark.parametrize("move", MOVES)
    async def test_each_start_counts(self, store: Store, clock: ManualClock, move: Move) -> None:
        """Whatever became of it: also of a job that was given back or waits again."""
        job = await run(store, "a", lane=SLOW)
        await put(store, "b", lane=SLOW, priority=1)
        assert await end(store, job, move)
        assert await take(store, 5) == []
        clock.advance(10)
        assert ids(await take(store, 5)) == ["b"]
        assert await take(store, 5) == []

    async def test_an_end_does_not_open_it(self, store: Store, clock: ManualClock) -> None:
        """With both limits both must be kept."""
        both = Lane("both", interval=10.0, max_running=1)
        job = await run(store, "a", lane=both)
        await put(store, "b", lane=both)
        clock.advance(20)
        claim = await store.claim(WORKER, None, 5)
        assert (claim.jobs, claim.next_due) == ([], None)
        assert await end(store, job, Move.COMPLETE)
        [job] = await take(store)
        await put(store, "c", lane=both)
        assert await end(store, job, Move.COMPLETE)
        claim = await store.claim(WORKER, None, 5)
        assert claim.jobs == []
        assert claim.next_due == pytest.approx(10)

    async def test_lanes_do_not_know_each_other(self, store: Store, clock: ManualClock) -> None:
        """Each opens at its own time, and the first tells when to ask again."""
        await put(store, "a", "b", lane=SLOW)
        await put(store, "c", "d", lane=Lane("slower", interval=60.0))
        claim = await store.claim(WORKER, None, 5)
        assert ids(claim.jobs) == ["a", "c"]
        assert claim.next_due == pytest.approx(10)
        clock.advance(10)
        claim = await store.claim(WORKER, None, 5)
        assert ids(claim.jobs) == ["b"]
        assert claim.next_due == pytest.approx(50)

    async def test_what_becomes_due_first_is_told(self, store: Store) -> None:
        """The lane, or a job that waits for its own time."""
        await put(store, "a", "b", lane=SLOW)
        await put(store, "c", delay=5.0)
        assert (await store.claim(WORKER, None, 5)).next_due == pytest.approx(5)

    async def test_a_lane_nobody_waits_for_is_not_told_of(self, store: Store) -> None:
        """A worker does not wake for a job that it would not be given."""
        await put(store, "a", "b", lane=SLOW, queue="q1")
        assert ids(await take(store)) == ["a"]
        dues = [(await store.claim(WORKER, [queue], 5)).next_due for queue in ("q1", "q2")]
        assert dues == [pytest.approx(10), None]

    async def test_a_closed_lane_holds_nobody_else_up(self, store: Store) -> None:
        """However many of it wait at the head of the line."""
        await put(store, *(f"j{n}" for n in range(251)), lane=SLOW, priority=9)
        await put(store, "free")
        assert ids(await take(store, 5)) == ["j0", "free"]

    async def test_a_clock_that_is_set_back_closes_no_lane(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Else it would stand still until that hour comes again."""
        await put(store, "a", "b", "c", lane=SLOW)
        assert ids(await take(store)) == ["a"]
        clock.jump(-3600)
        await put(store, "d", lane=SLOW, priority=1)
        assert ids(await take(store)) == ["d"]
        assert await take(store) == []

    async def test_the_newest_interval_holds(self, store: Store, clock: ManualClock) -> None:
        """From the last start on, under whichever interval that was."""
        await put(store, "a", "b", lane=SLOW)
        await take(store)
        clock.advance(3)
        await put(store, "c", lane=Lane("slow", interval=2.0))
        assert ids(await take(store, 5)) == ["b"]

    async def test_no_second_sees_more_than_its_share(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Three a second are three, although a third is no round number of milliseconds."""
        await put(store, *(f"j{n}" for n in range(20)), lane=Lane("l", interval=1 / 3))
        starts: list[int] = []
        for _ in range(2000):
            starts += [clock.now()] * len(await take(store, 5))
            clock.advance(0.001)
        assert len(starts) == 6
        assert starts[3] - starts[0] >= 1000


class Pausing:
    """What `set_paused` and `queues` owe."""

    async def test_a_paused_queue_gives_nothing(self, store: Store) -> None:
        """Asked for by name or with all others; these go on."""
        await put(store, "a", queue="q1", priority=9)
        await put(store, "b", queue="q2")
        assert await store.set_paused("q1", paused=True)
        assert await take(store, 5, queues=["q1"]) == []
        assert ids(await take(store, 5)) == ["b"]
        assert await store.set_paused("q1", paused=False)
        assert ids(await take(store, 5)) == ["a"]

    async def test_whether_it_changed_anything_is_told(self, store: Store) -> None:
        """Of two who pause one did it; a queue without jobs is paused all the same."""
        assert not await store.set_paused("q", paused=False)
        answers = [await store.set_paused("q", paused=paused) for paused in (True, True, False)]
        assert answers == [True, False, True]
        assert not await store.set_paused("q", paused=False)

    async def test_running_jobs_go_on(self, store: Store) -> None:
        """They report, end and are retried; only that nobody claims them again."""
        job = await run(store, "a", queue="q")
        await store.set_paused("q", paused=True)
        assert await beat(store) == {"a": False}
        assert await end(store, job, Move.RETRY)
        assert await take(store) == []
        await store.set_paused("q", paused=False)
        assert ids(await take(store)) == ["a"]

    async def test_jobs_come_in_and_expire_as_ever(self, store: Store, clock: ManualClock) -> None:
        """Only claims stand still."""
        await store.set_paused("q", paused=True)
        await put(store, "a", queue="q", expires=1.0)
        await put(store, "b", queue="q", delay=1.0)
        clock.advance(2)
        claim = await store.claim(WORKER, None, 5)
        assert (claim.jobs, claim.next_due) == ([], None)
        assert await store.stats("q") == {
            **dict.fromkeys(State, 0),
            State.PENDING: 1,
            State.CANCELLED: 1,
        }

    async def test_nobody_is_told_of_what_becomes_due_there(self, store: Store) -> None:
        """It would not be given then."""
        await put(store, "a", queue="q", delay=5.0)
        await put(store, "b", delay=9.0)
        await store.set_paused("q", paused=True)
        assert (await store.claim(WORKER, None, 5)).next_due == pytest.approx(9)

    async def test_a_resumed_queue_wakes_workers(self, store: Store) -> None:
        """They need not find out by looking."""
        await put(store, "a", queue="q")
        await store.set_paused("q", paused=True)
        cursor = store.cursor(Channel.READY)
        await store.set_paused("q", paused=False)
        await soon(store.wait(Channel.READY, cursor, FAR))

    async def test_a_paused_queue_takes_no_place_of_a_lane(self, store: Store) -> None:
        """Nor does it hold up the others of that lane."""
        await put(store, *(f"j{n}" for n in range(250)), lane=ONE, queue="q", priority=9)
        await put(store, "a", "b", lane=ONE)
        await store.set_paused("q", paused=True)
        [job] = await take(store, 5)
        assert job.id == "a"
        assert await end(store, job, Move.COMPLETE)
        await store.set_paused("q", paused=False)
        assert ids(await take(store, 5)) == ["j0"]

    async def test_queues_are_listed_by_name(self, store: Store) -> None:
        """Those in which something waits or runs, and those that are paused."""
        assert await store.queues() == []
        job = await run(store, "a", queue="over")
        assert await end(store, job, Move.COMPLETE)
        await put(store, "b", "c", "d", queue="z")
        await put(store, "e", queue="m", delay=60.0)
        await take(store, 2)
        await store.set_paused("z", paused=True)
        await store.set_paused("empty", paused=True)
        assert await store.queues() == [
            QueueRow("empty", paused=True, pending=0, running=0),
            QueueRow("m", paused=False, pending=1, running=0),
            QueueRow("z", paused=True, pending=1, running=2),
        ]
