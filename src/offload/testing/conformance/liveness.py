"""Who is silent for its lease loses its jobs, by a clock that nobody can set."""

import pytest

from offload.core.states import Move, State
from offload.store.base import FORGET_WORKERS, Beat, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    MOVES,
    OTHER,
    WORKER,
    beat,
    end,
    ended,
    lapsed,
    put,
    read,
    run,
    take,
)

HOUR = 3600.0


class Liveness:
    """What `heartbeat`, `lapsed`, `retire` and `workers` owe."""

    async def test_a_beat_returns_what_the_worker_holds(self, store: Store) -> None:
        """All of it, under its leases, and nothing of anybody else."""
        await ended(store, "a", Move.RETRY)
        [again] = await take(store)
        mine = await run(store, "b")
        await run(store, "c", worker=OTHER)
        await put(store, "d")
        held = await store.heartbeat(Beat(WORKER, 30))
        assert {(each.job_id, each.lease) for each in held} == {("a", again.lease), ("b", 1)}
        assert mine.lease == 1
        assert not any(each.cancel_requested for each in held)
        assert await beat(store, "worker-3") == {}

    @pytest.mark.parametrize("move", MOVES)
    async def test_a_beat_does_not_return_what_is_no_longer_held(
        self, store: Store, move: Move
    ) -> None:
        """However the attempt ended, and also when another worker runs it by now."""
        await ended(store, "a", move)
        assert await beat(store) == {}
        await take(store, worker=OTHER)
        assert await beat(store) == {}

    async def test_a_beat_says_which_jobs_are_asked_to_stop(self, store: Store) -> None:
        """And which are not; a beat does not use the question up."""
        await run(store, "a")
        await run(store, "b")
        assert await store.cancel("a", running=True)
        assert await beat(store) == await beat(store) == {"a": True, "b": False}

    async def test_a_silent_worker_loses_its_jobs(self, store: Store, clock: ManualClock) -> None:
        """After its lease and not before; each lapse says why."""
        job = await run(store, "a")
        await beat(store, lease=30)
        clock.advance(29)
        assert await store.lapsed(5) == []
        clock.advance(2)
        [lapse] = await store.lapsed(5)
        assert lapse.job == job
        assert WORKER in lapse.reason

    async def test_each_beat_holds_for_a_whole_lease(
        self, store: Store, clock: ManualClock
    ) -> None:
        """A job that runs for twenty leases is never taken from a worker that beats."""
        await run(store, "a")
        for _ in range(60):
            await beat(store, lease=30)
            clock.advance(10)
            assert await lapsed(store) == set()

    async def test_a_lease_is_not_judged_by_the_wall_clock(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Whether somebody sets it an hour forward or back."""
        await run(store, "a")
        await beat(store, lease=30)
        for hours in (1, -2, 1):
            clock.jump(hours * HOUR)
            assert await lapsed(store) == set()
        clock.jump(-HOUR)
        clock.advance(31)
        assert await lapsed(store) == {"a"}

    async def test_no_worker_survives_a_reboot(self, store: Store, clock: ManualClock) -> None:
        """Its jobs lapse at once; it is forgotten when it holds nothing any more."""
        job = await run(store, "a")
        await beat(store, lease=HOUR)
        clock.reboot()
        assert await lapsed(store) == {"a"}
        assert [row.alive for row in await store.workers()] == [False]
        await store.prune()
        assert len(await store.workers()) == 1
        assert await end(store, job, Move.RETRY, crashed=True)
        await store.prune()
        assert await store.workers() == []

    async def test_each_worker_has_its_own_lease(self, store: Store, clock: ManualClock) -> None:
        """The last beat says how long it is."""
        await run(store, "a")
        await run(store, "b", worker=OTHER)
        await beat(store, WORKER, lease=10)
        await beat(store, OTHER, lease=100)
        clock.advance(11)
        assert await lapsed(store) == {"a"}
        await beat(store, WORKER, lease=1000)
        await beat(store, OTHER, lease=1)
        clock.advance(11)
        assert await lapsed(store) == {"b"}

    async def test_a_late_beat_takes_the_jobs_back(self, store: Store, clock: ManualClock) -> None:
        """As long as nobody has ended them, nothing is lost."""
        await run(store, "a")
        await beat(store, lease=30)
        clock.advance(31)
        assert await lapsed(store) == {"a"}
        assert await beat(store, lease=30) == {"a": False}
        assert await lapsed(store) == set()

    async def test_the_jobs_of_an_unknown_worker_have_lapsed(self, store: Store) -> None:
        """Nobody will ever report on them."""
        job = await run(store, "a")
        [lapse] = await store.lapsed(5)
        assert lapse.job == job
        assert lapse.reason

    async def test_what_a_retired_worker_holds_lapses_at_once(self, store: Store) -> None:
        """Without waiting for its lease; other workers keep theirs."""
        await run(store, "a")
        await run(store, "b", worker=OTHER)
        await beat(store, WORKER)
        await beat(store, OTHER)
        assert await lapsed(store) == set()
        await store.retire(WORKER)
        assert await lapsed(store) == {"a"}
        await store.retire(WORKER)
        await store.retire("nobody")
        assert await lapsed(store) == {"a"}

    async def test_only_running_jobs_lapse(self, store: Store, clock: ManualClock) -> None:
        """Neither what waits nor what has ended has a holder to be missed."""
        for move in MOVES:
            await ended(store, move, move, priority=9)
            if move in {Move.RETRY, Move.RELEASE}:
                await store.cancel(move)
        await put(store, "waiting")
        clock.advance(HOUR)
        assert await lapsed(store) == set()

    async def test_looking_for_lapses_changes_nothing(self, store: Store) -> None:
        """It may be done by all workers at once; who ends the job first has it."""
        job = await run(store, "a")
        first, second = await store.lapsed(5), await store.lapsed(5)
        assert [lapse.job for lapse in first] == [lapse.job for lapse in second] == [job]
        assert await read(store, "a") == job
        ends = [await end(store, lapse.job, Move.RETRY) for lapse in (*first, *second)]
        assert ends == [True, False]
        assert await lapsed(store) == set()

    async def test_never_more_lapses_than_the_limit(self, store: Store) -> None:
        """What is left comes with a later call, once these have been dealt with."""
        await put(store, *"abcde")
        await take(store, 5)
        seen = []
        for count in (2, 2, 1, 0):
            lapses = await store.lapsed(2)
            assert len(lapses) == count
            for lapse in lapses:
                assert await end(store, lapse.job, Move.CANCEL)
                seen.append(lapse.job.id)
        assert sorted(seen) == list("abcde")

    async def test_a_lapse_shows_the_job_as_it_is(self, store: Store) -> None:
        """With what is needed to decide: its attempt, its lease, whether it was to stop."""
        await run(store, "a")
        await store.cancel("a", running=True)
        [lapse] = await store.lapsed(5)
        assert lapse.job == await read(store, "a")
        assert lapse.job.cancel_requested
        assert lapse.job.state is State.RUNNING

    async def test_workers_are_listed_from_their_first_beat_on(
        self, store: Store, clock: ManualClock
    ) -> None:
        """With what they said, since when they are there and when they last beat."""
        assert await store.workers() == []
        first = Beat(WORKER, 30, host="here", pid=7, queues=("q1", "q2"), concurrency=4)
        await store.heartbeat(first)
        started = clock.now()
        clock.advance(8)
        await store.heartbeat(first)
        await beat(store, OTHER)
        clock.advance(3)
        rows = {row.id: row for row in await store.workers()}
        assert rows.keys() == {WORKER, OTHER}
        row = rows[WORKER]
        assert (row.host, row.pid, row.queues, row.concurrency) == ("here", 7, ("q1", "q2"), 4)
        assert (row.started_at, row.alive) == (started, True)
        assert row.age == pytest.approx(3)
        assert rows[OTHER].queues is None

    async def test_a_silent_worker_is_listed_as_not_alive(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Until it beats again; one that was retired is listed no more."""
        await beat(store, lease=30)
        clock.advance(31)
        assert [row.alive for row in await store.workers()] == [False]
        await beat(store, lease=30)
        assert [row.alive for row in await store.workers()] == [True]
        await store.retire(WORKER)
        assert await store.workers() == []

    async def test_a_worker_that_is_long_dead_is_forgotten(
        self, store: Store, clock: ManualClock
    ) -> None:
        """By a prune, an hour after its lease; not while it holds a job, which has to lapse."""
        job = await run(store, "a")
        await beat(store, lease=30)
        await beat(store, OTHER, lease=30)
        clock.advance(FORGET_WORKERS + 29)
        await store.prune()
        assert {row.id for row in await store.workers()} == {WORKER, OTHER}
        clock.advance(2)
        await store.prune()
        assert [row.id for row in await store.workers()] == [WORKER]
        assert await end(store, job, Move.COMPLETE)
        await store.prune()
        assert await store.workers() == []
