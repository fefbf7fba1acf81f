"""Jobs come out once and in order."""

import asyncio
from collections import Counter

import pytest

from offload.core.states import Move, State
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    OTHER,
    WORKER,
    end,
    ended,
    everything,
    new,
    put,
    read,
    run,
    take,
)

MANY = 1200
"""More than a driver is expected to promote in one claim."""


class Claiming:
    """What `claim` owes."""

    async def test_a_claimed_job_is_running(self, store: Store, clock: ManualClock) -> None:
        """It says who runs it since when, under the first lease, in its first attempt."""
        await put(store, "a")
        clock.advance(3)
        [job] = await take(store)
        assert job == await read(store, "a")
        assert (job.state, job.worker, job.started_at) == (State.RUNNING, WORKER, clock.now())
        assert (job.attempt, job.lease) == (1, 1)

    async def test_a_claimed_job_is_not_given_again(self, store: Store) -> None:
        """Neither to another worker nor to the same one."""
        await run(store, "a")
        assert await take(store, 5) == await take(store, 5, worker=OTHER) == []

    async def test_each_claim_raises_the_lease_and_counts_an_attempt(self, store: Store) -> None:
        """Whoever claimed before, and however the attempt before ended."""
        seen = []
        for worker in (WORKER, OTHER, WORKER):
            job = await run(store, "a", worker=worker)
            seen.append((job.worker, job.attempt, job.lease))
            assert await end(store, job, Move.RETRY)
        assert seen == [(WORKER, 1, 1), (OTHER, 2, 2), (WORKER, 3, 3)]

    async def test_order_is_priority_then_due_time_then_age(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Higher priority first; then what was due first; then what came first."""
        now = clock.now()
        await store.enqueue(
            [
                new("due-last", run_at=now + 2000),
                new("due-first", run_at=now + 1000),
                new("low", priority=-1),
                new("old"),
                new("urgent", priority=9, run_at=now + 2000),
                new("young"),
            ]
        )
        clock.advance(5)
        order = [job.id for job in await take(store, 10)]
        assert order == ["urgent", "old", "young", "due-first", "due-last", "low"]

    async def test_jobs_of_one_instant_leave_in_the_order_they_came(self, store: Store) -> None:
        """Within a batch and between batches, whatever their ids sort like."""
        await put(store, "z", "m", "a")
        await put(store, "y", "b")
        order = [job.id for _ in range(5) for job in await take(store)]
        assert order == ["z", "m", "a", "y", "b"]

    async def test_order_holds_across_queues(self, store: Store) -> None:
        """A worker of several queues takes the first jobs of all of them, and no more."""
        await store.enqueue([new("a", queue="q1"), new("b", queue="q2"), new("c", queue="q1")])
        await put(store, "d", queue="q2", priority=1)
        assert [job.id for job in await take(store, 3)] == ["d", "a", "b"]
        assert [job.id for job in await take(store, 3, queues=["q2", "q1"])] == ["c"]

    async def test_never_more_than_the_limit(self, store: Store) -> None:
        """No job is given that was not asked for."""
        await put(store, *"abcde")
        assert await take(store, 0) == []
        assert [job.id for job in await take(store, 2)] == ["a", "b"]
        assert [job.id for job in await take(store, 9)] == ["c", "d", "e"]

    @pytest.mark.parametrize(
        ("queues", "given"),
        [(["q1"], "a"), (["q2", "q1"], "ab"), ([], ""), (["q"], ""), (None, "abc")],
    )
    async def test_only_of_the_queues_asked_for(
        self, store: Store, queues: list[str] | None, given: str
    ) -> None:
        """None stands for all queues, an empty list for none."""
        for job_id, queue in zip("abc", ("q1", "q2", "q3"), strict=True):
            await put(store, job_id, queue=queue)
        assert [job.id for job in await take(store, 9, queues=queues)] == list(given)

    async def test_not_before_it_is_due(self, store: Store, clock: ManualClock) -> None:
        """Until then the claim says how long it will be."""
        await put(store, "a", delay=10.0)
        clock.advance(9.999)
        claim = await store.claim(WORKER, None, 5)
        assert claim.jobs == []
        assert claim.next_due == pytest.approx(0.001)
        clock.advance(0.001)
        claim = await store.claim(WORKER, None, 5)
        assert [job.id for job in claim.jobs] == ["a"]
        assert claim.next_due is None

    async def test_the_next_due_time_is_that_of_the_queues_asked_for(self, store: Store) -> None:
        """A worker does not wake for a job that it would not be given."""
        await put(store, "a", queue="q1", delay=10.0)
        await put(store, "b", queue="q2", delay=5.0, priority=-1)
        await put(store, "c", queue="q1", delay=20.0, priority=9)
        dues = [
            (await store.claim(WORKER, queues, 5)).next_due for queues in (["q1"], ["q3"], None)
        ]
        assert dues == [10.0, None, 5.0]

    async def test_an_instant_in_the_past_gives_no_place_ahead(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Such a job is due now, behind those that have been waiting."""
        await put(store, "a")
        clock.advance(1)
        await put(store, "b", run_at=5)
        assert [job.id for job in await take(store, 2)] == ["a", "b"]

    async def test_a_job_that_was_due_stays_so(self, store: Store, clock: ManualClock) -> None:
        """If somebody sets the clock back, what waited in the line does not wait for it again."""
        await put(store, "a", "b")
        await put(store, "c", delay=5.0)
        clock.advance(5)
        assert [job.id for job in await take(store)] == ["a"]
        clock.jump(-3600)
        await put(store, "d", delay=5.0)
        assert [job.id for job in await take(store, 5)] == ["b", "c"]

    async def test_an_expired_job_is_cancelled_and_not_given(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Its error says why; a job that has not expired is given as ever."""
        await put(store, "a", "b", expires=10.0)
        clock.advance(9.999)
        assert [job.id for job in await take(store)] == ["a"]
        clock.advance(0.001)
        assert await take(store, 5) == []
        expired = await read(store, "b")
        assert (expired.state, expired.error) == (State.CANCELLED, "expired")
        assert (expired.finished_at, expired.attempt) == (clock.now(), 0)
        assert (await read(store, "a")).state is State.RUNNING

    async def test_more_due_jobs_than_are_promoted_at_once_all_come(
        self, store: Store, clock: ManualClock
    ) -> None:
        """What one bounded promotion leaves behind, later claims bring."""
        await put(store, *(f"j{n}" for n in range(MANY)), delay=1.0)
        clock.advance(2)
        seen = Counter[str]()
        while jobs := await take(store, 500):
            seen.update(job.id for job in jobs)
        assert len(seen) == seen.total() == MANY

    async def test_more_expired_jobs_than_are_promoted_at_once_never_come(
        self, store: Store, clock: ManualClock
    ) -> None:
        """That a promotion is bounded is no reason to give an expired job."""
        await put(store, *(f"j{n}" for n in range(MANY)), expires=1.0)
        clock.advance(2)
        assert [await take(store, MANY) for _ in range(3)] == [[], [], []]
        assert (await store.stats())[State.CANCELLED] == MANY

    async def test_concurrent_claimers_never_share_a_job(self, store: Store) -> None:
        """Each job goes to one of them, none is left over, nobody gets more than asked for."""
        await put(store, *(f"j{n}" for n in range(60)))
        claims = await asyncio.gather(*(take(store, 4, worker=f"w{n}") for n in range(20)))
        seen = Counter(job.id for jobs in claims for job in jobs)
        assert len(seen) == seen.total() == 60
        assert max(map(len, claims)) <= 4
        for worker, jobs in enumerate(claims):
            assert {job.worker for job in jobs} <= {f"w{worker}"}

    @pytest.mark.parametrize("move", ENDS)
    async def test_a_job_that_has_ended_is_not_given(self, store: Store, move: Move) -> None:
        """Final is final."""
        await ended(store, "a", move)
        before = await everything(store, "a")
        assert await take(store, 5) == []
        assert await everything(store, "a") == before
