"""Only the newest lease may say anything about a job."""

import asyncio
from dataclasses import replace

import pytest

from offload.core.job import Job
from offload.core.records import Finish, Report
from offload.core.states import Move, State
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    MOVES,
    OTHER,
    beat,
    end,
    ended,
    ending,
    everything,
    lapsed,
    put,
    read,
    run,
    take,
)


async def stolen(store: Store) -> tuple[Job, Job]:
    """Return one job as its old holder and as its new holder knows it."""
    old = await run(store, "a")
    assert await end(store, old, Move.RETRY, crashed=True)
    [fresh] = await take(store, worker=OTHER)
    assert fresh.lease > old.lease
    return old, fresh


class Fencing:
    """What `finish` and `report` owe to the lease."""

    @pytest.mark.parametrize("move", MOVES)
    async def test_an_old_lease_is_refused_once_there_is_a_newer_one(
        self, store: Store, move: Move
    ) -> None:
        """It changes nothing at all, and the new holder's end is accepted after it."""
        old, fresh = await stolen(store)
        before = await everything(store, "a")
        assert not await end(store, old, move)
        assert await everything(store, "a") == before
        assert await end(store, fresh, Move.COMPLETE)

    @pytest.mark.parametrize("move", MOVES)
    async def test_an_old_lease_is_refused_while_the_job_waits(
        self, store: Store, move: Move
    ) -> None:
        """A job that nobody runs has no holder who could report."""
        old = await run(store, "a")
        assert await end(store, old, Move.RELEASE)
        before = await everything(store, "a")
        assert not await end(store, old, move)
        assert await everything(store, "a") == before

    @pytest.mark.parametrize("first", ENDS)
    @pytest.mark.parametrize("second", MOVES)
    async def test_a_second_end_is_refused(self, store: Store, first: Move, second: Move) -> None:
        """What has ended once stays as it ended, though the lease is the newest."""
        job = await run(store, "a")
        assert await end(store, job, first)
        before = await everything(store, "a")
        assert not await end(store, job, second, result=None if second in ENDS else b"2")
        assert await everything(store, "a") == before

    async def test_a_second_end_in_the_same_batch_is_refused(self, store: Store) -> None:
        """The first of the batch counts."""
        job = await run(store, "a")
        both = [ending(job, Move.COMPLETE, result=b"1"), ending(job, Move.BURY)]
        assert await store.finish(both) == [True, False]
        assert (await read(store, "a")).result == b"1"
        assert await store.dead_letters(5, 0) == []
        assert await store.errors("a") == []

    async def test_one_of_many_concurrent_ends_is_accepted(self, store: Store) -> None:
        """A worker and a janitor that race have one winner, and both are told."""
        job = await run(store, "a")
        moves = [MOVES[n % len(MOVES)] for n in range(24)]
        accepted = await asyncio.gather(*(end(store, job, move) for move in moves))
        assert accepted.count(True) == 1
        assert (await read(store, "a")).state is not State.RUNNING

    async def test_a_lease_that_was_never_given_is_refused(self, store: Store) -> None:
        """Being higher does not make it the newest."""
        job = await run(store, "a")
        for lease in (job.lease + 1, job.lease - 1, -1):
            assert not await end(store, replace(job, lease=lease), Move.COMPLETE)
        assert await read(store, "a") == job

    async def test_a_job_that_was_never_claimed_cannot_end(self, store: Store) -> None:
        """Its lease is 0, which is nobody's."""
        [job] = await put(store, "a")
        assert not await end(store, job, Move.COMPLETE)
        assert await read(store, "a") == job

    async def test_the_end_of_an_unknown_job_is_refused(self, store: Store) -> None:
        """Nor does it leave anything behind."""
        assert await store.finish([Finish("no", 1, Move.COMPLETE, result=b"1")]) == [False]
        assert await store.get(["no"]) == [None]
        assert await store.finish([]) == []

    async def test_the_refused_do_not_affect_their_neighbours(self, store: Store) -> None:
        """Each ending of a batch is judged by itself."""
        old, fresh = await stolen(store)
        await put(store, "b", "c")
        b, c = await take(store, 2)
        batch = [
            ending(old, Move.BURY),
            ending(b, Move.COMPLETE),
            Finish("no", 1, Move.FAIL),
            ending(c, Move.FAIL),
            ending(b, Move.FAIL),
            ending(fresh, Move.COMPLETE),
        ]
        assert await store.finish(batch) == [False, True, False, True, False, True]
        states = [(await read(store, job_id)).state for job_id in "abc"]
        assert states == [State.COMPLETE, State.COMPLETE, State.FAILED]

    async def test_the_lease_decides_never_its_age(self, store: Store, clock: ManualClock) -> None:
        """A worker that was silent too long, and was even retired, may still report in time."""
        job = await run(store, "a")
        await beat(store, lease=30)
        clock.advance(1000)
        await store.retire("worker-1")
        assert await lapsed(store) == {"a"}
        assert await store.report([Report("a", job.lease, 50)]) == [True]
        assert await end(store, job, Move.COMPLETE)

    async def test_the_holder_of_a_lapsed_and_ended_job_is_refused(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Once somebody else has ended the lapsed attempt, its old holder has lost."""
        await run(store, "a")
        await beat(store, lease=30)
        clock.advance(31)
        [lapse] = await store.lapsed(5)
        assert await end(store, lapse.job, Move.RETRY, crashed=True)
        assert not await end(store, lapse.job, Move.COMPLETE)
        assert (await read(store, "a")).state is State.PENDING
        assert await beat(store) == {}

    async def test_a_report_is_stored_under_the_newest_lease(self, store: Store) -> None:
        """The last one counts."""
        job = await run(store, "a")
        reports = [Report("a", job.lease, 10), Report("a", job.lease, 40)]
        assert await store.report(reports) == [True, True]
        assert (await read(store, "a")).progress == 40
        assert await store.report([]) == []

    async def test_a_report_under_an_old_lease_is_refused(self, store: Store) -> None:
        """It changes nothing; that of the new holder beside it is accepted."""
        old, fresh = await stolen(store)
        reports = [
            Report("a", old.lease, 10),
            Report("a", fresh.lease, 20),
            Report("a", fresh.lease + 1, 30),
            Report("no", 1, 40),
        ]
        assert await store.report(reports) == [False, True, False, False]
        assert (await read(store, "a")).progress == 20

    @pytest.mark.parametrize("move", MOVES)
    async def test_a_report_after_the_end_is_refused(self, store: Store, move: Move) -> None:
        """A job that is not running has no news."""
        job = await ended(store, "a", move)
        assert await store.report([Report("a", job.lease, 5)]) == [False]
        assert await read(store, "a") == job
