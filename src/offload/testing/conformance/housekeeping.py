"""What is old goes, all of it and nothing else."""

import pytest

from offload.core.job import Inputs, OnParentFailure
from offload.core.lane import Lane
from offload.core.records import Family, LogLine, Report
from offload.core.states import Move, State
from offload.store.base import Pruned, RecordFilter, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    beside_job,
    end,
    ended,
    ending,
    everything,
    put,
    read,
    run,
    take,
)


class Housekeeping:
    """What `prune` owes."""

    async def test_none_removes_nothing(self, store: Store, clock: ManualClock) -> None:
        """However old everything is."""
        for move in ENDS:
            await ended(store, move, move)
        clock.advance(10**6)
        before = await everything(store, *ENDS)
        assert await store.prune() == Pruned()
        assert await everything(store, *ENDS) == before

    @pytest.mark.parametrize("move", ENDS)
    async def test_a_job_goes_once_its_end_is_old(
        self, store: Store, clock: ManualClock, move: Move
    ) -> None:
        """However it ended; its age counts from the end, not from the enqueue."""
        job = await run(store, "a")
        clock.advance(1000)
        assert await end(store, job, move)
        clock.advance(9)
        assert (await store.prune(jobs_older_than=10)).jobs == 0
        clock.advance(2)
        assert (await store.prune(jobs_older_than=10)).jobs == 1
        assert await store.get(["a"]) == [None]
        assert sum((await store.stats()).values()) == 0

    async def test_a_job_that_has_not_ended_stays(self, store: Store, clock: ManualClock) -> None:
        """Pending, running or waiting for a retry, and whatever its result_ttl."""
        await run(store, "a", result_ttl=1.0)
        await ended(store, "b", Move.RETRY, result_ttl=1.0)
        await store.enqueue([])
        clock.advance(10**6)
        before = await everything(store, "a", "b")
        assert await store.prune(jobs_older_than=0) == Pruned()
        assert await everything(store, "a", "b") == before

    async def test_a_job_cancelled_while_pending_goes(
        self, store: Store, clock: ManualClock
    ) -> None:
        """It ended when it was cancelled."""
        await put(store, "a")
        clock.advance(1000)
        await store.cancel("a")
        clock.advance(5)
        assert (await store.prune(jobs_older_than=10)).jobs == 0
        clock.advance(6)
        assert (await store.prune(jobs_older_than=10)).jobs == 1

    async def test_its_own_result_ttl_comes_first(self, store: Store, clock: ManualClock) -> None:
        """It removes sooner, and keeps longer, than the age that was asked for."""
        await ended(store, "short", Move.COMPLETE, result_ttl=5.0)
        await ended(store, "long", Move.COMPLETE, result_ttl=500.0)
        await ended(store, "plain", Move.COMPLETE)
        clock.advance(50)
        assert (await store.prune(jobs_older_than=100)).jobs == 1
        assert await store.get(["short"]) == [None]
        clock.advance(100)
        assert (await store.prune(jobs_older_than=100)).jobs == 1
        assert [job and job.id for job in await store.get(["long", "plain"])] == ["long", None]

    async def test_its_own_result_ttl_is_always_obeyed(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Also when no age was asked for."""
        await ended(store, "a", Move.COMPLETE, result_ttl=5.0)
        await ended(store, "b", Move.COMPLETE)
        clock.advance(6)
        assert await store.prune() == Pruned(jobs=1)
        assert [job and job.id for job in await store.get(["a", "b"])] == [None, "b"]

    async def test_errors_go_with_their_job_and_dead_letters_do_not(
        self, store: Store, clock: ManualClock
    ) -> None:
        """A letter can still be read and retried when its job is long gone."""
        await ended(store, "a", Move.RETRY)
        [job] = await take(store)
        assert await end(store, job, Move.BURY)
        dead = await read(store, "a")
        await ended(store, "b", Move.RETRY)
        clock.advance(11)
        assert await store.prune(jobs_older_than=10) == Pruned(jobs=1, records=2)
        assert await store.errors("a") == []
        assert len(await store.errors("b")) == 1
        assert [letter.job for letter in await store.dead_letters(5, 0)] == [dead]
        fresh = (await store.retry_dead({"a": "c"}))["a"]
        assert (fresh.origin, fresh.payload) == ("a", dead.payload)

    async def test_dead_letters_go_by_their_own_age(self, store: Store, clock: ManualClock) -> None:
        """Their job and its errors stay."""
        await ended(store, "a", Move.BURY)
        clock.advance(9)
        await ended(store, "b", Move.BURY)
        clock.advance(2)
        assert await store.prune(dead_older_than=10) == Pruned(dead_letters=1)
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["b"]
        assert (await read(store, "a")).state is State.DEAD
        assert len(await store.errors("a")) == 1

    async def test_errors_go_by_their_own_age(self, store: Store, clock: ManualClock) -> None:
        """Also those of a job that is still to run; younger ones stay."""
        await ended(store, "a", Move.RETRY)
        clock.advance(9)
        [job] = await take(store)
        assert await end(store, job, Move.RETRY)
        clock.advance(2)
        assert await store.prune(records_older_than=10) == Pruned(records=1)
        assert [error.attempt for error in await store.errors("a")] == [2]
        assert (await read(store, "a")).state is State.PENDING

    async def test_one_call_removes_no_more_than_its_limit(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Of each kind; calling again removes the rest."""
        await put(store, *"abcde")
        assert all(await store.finish([ending(job, Move.BURY) for job in await take(store, 5)]))
        clock.advance(11)
        removed = [await store.prune(dead_older_than=10, limit=2) for _ in range(4)]
        assert [each.dead_letters for each in removed] == [2, 2, 1, 0]
        removed = [await store.prune(records_older_than=10, limit=3) for _ in range(3)]
        assert [each.records for each in removed] == [3, 2, 0]
        removed = [await store.prune(jobs_older_than=10, limit=4) for _ in range(3)]
        assert [each.jobs for each in removed] == [4, 1, 0]

    async def test_each_kind_has_its_own_age(self, store: Store, clock: ManualClock) -> None:
        """One call may ask for all three."""
        await ended(store, "a", Move.BURY)
        clock.advance(11)
        await ended(store, "b", Move.RETRY)
        clock.advance(2)
        assert await store.prune(
            jobs_older_than=10, dead_older_than=20, records_older_than=1
        ) == Pruned(jobs=1, records=2)
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["a"]

    async def test_everything_beside_a_job_goes_with_it(
        self, store: Store, clock: ManualClock
    ) -> None:
        """And nothing of its neighbours; errors, logs and metrics are counted."""
        for job_id in "ab":
            job = await run(store, job_id)
            news = Report(job_id, 1, logs=(LogLine("info", "hi"),) * 2, parts=(b"1", b"2"))
            assert await store.report([news]) == [True]
            assert await end(store, job, Move.FAIL, ran=1.0)
        await store.replay({"a": "a2", "b": "b2"})
        kept = await beside_job(store, "b")
        clock.advance(11)
        await put(store, "c", depends_on=("b",), on_parent_failure=OnParentFailure.RUN)
        [_, b] = await store.get(["a", "b"])
        assert await store.prune(jobs_older_than=10, limit=1) == Pruned(jobs=1, records=4)
        assert await store.get(["a", "b"]) == [None, b]
        assert await beside_job(store, "a") == ([], [], [], [], [], [], [])
        assert await beside_job(store, "b") == (*kept[:-1], ["c"])

    async def test_dependencies_go_with_either_side(self, store: Store, clock: ManualClock) -> None:
        """Who takes the id of a purged job later has no family."""
        parent = await run(store, "a")
        await put(store, "b", "c", depends_on=("a",))
        assert await end(store, parent, Move.COMPLETE)
        clock.advance(11)
        for job in await take(store, 2):
            assert await end(store, job, Move.COMPLETE)
        assert (await store.prune(jobs_older_than=10)).jobs == 1
        assert await store.family("b") == Family()
        await put(store, "a")
        assert await store.family("a") == Family()
        await put(store, "d", depends_on=("b",))
        clock.advance(11)
        await store.cancel("d")
        assert (await store.prune(jobs_older_than=10)).jobs == 2
        assert await store.family("d") == Family()

    async def test_a_job_stays_while_one_that_waits_for_it_is_blocked(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Its result may still be needed, whatever its result_ttl."""
        await put(store, "a", "b", result_ttl=1.0)
        await put(store, "c", depends_on=("a", "b"), inputs=Inputs.LIST)
        a, b = await take(store, 2)
        assert await end(store, a, Move.COMPLETE, result=b"1")
        clock.advance(100)
        assert await store.prune(jobs_older_than=0) == Pruned()
        assert await end(store, b, Move.COMPLETE, result=b"2")
        assert (await read(store, "c")).payload == b"[[[1,2]],{}]"
        assert await store.prune() == Pruned(jobs=1)

    async def test_records_go_by_their_own_age(self, store: Store, clock: ManualClock) -> None:
        """Of each kind, also those of a job that still runs; younger ones stay."""
        for _ in range(2):
            job = await run(store, "a")
            assert await store.report([Report("a", job.lease, logs=(LogLine("info", "hi"),))])
            assert await end(store, job, Move.RETRY, ran=1.0)
            clock.advance(10)
        assert await store.prune(records_older_than=15) == Pruned(records=3)
        of_job = RecordFilter(job_id="a")
        assert [error.attempt for error in await store.errors("a")] == [2]
        assert [log.attempt for log in await store.logs(of_job)] == [2]
        assert [metric.attempt for metric in await store.metrics(of_job)] == [2]

    async def test_parts_go_only_with_their_job(self, store: Store, clock: ManualClock) -> None:
        """They are its result so far, not a record of how it went."""
        job = await run(store, "a")
        await store.report([Report("a", job.lease, parts=(b"1",))])
        clock.advance(11)
        assert await store.prune(records_older_than=10) == Pruned()
        assert len(await store.parts("a", 0, 10)) == 1

    async def test_a_letter_outlives_all_of_its_job(self, store: Store, clock: ManualClock) -> None:
        """It is read and retried with what it was asked for, and the repeat is on record."""
        await ended(store, "a", Move.BURY, lane=Lane("l"), tags=("t",), schedule="s", tick=1)
        clock.advance(11)
        await store.prune(jobs_older_than=10)
        fresh = (await store.retry_dead({"a": "b"}))["a"]
        assert (fresh.lane, fresh.tags, fresh.origin) == ("l", ("t",), "a")
        assert [repeat.job_id for repeat in await store.repeats("a")] == ["b"]

    async def test_what_repeats_a_job_that_is_gone_takes_the_record_along(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Nobody else would ever remove it; one whose job is there stays with that."""
        await ended(store, "a", Move.BURY)
        await ended(store, "b", Move.BURY, result_ttl=1000.0)
        clock.advance(11)
        assert (await store.prune(jobs_older_than=10)).jobs == 1
        assert await store.retry_dead({"a": "a2", "b": "b2"})
        for job in await take(store, 2):
            assert await end(store, job, Move.COMPLETE)
        clock.advance(11)
        assert (await store.prune(jobs_older_than=10)).jobs == 1
        assert await store.get(["a", "a2"]) == [None, None]
        assert await store.repeats("a") == []
        assert [repeat.job_id for repeat in await store.repeats("b")] == ["b2"]
