"""What is old goes, all of it and nothing else; what is dead can be tried again."""

import asyncio

import pytest

from offload.core.job import repeated, stored
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State
from offload.store.base import Pruned, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    end,
    ended,
    ending,
    everything,
    put,
    read,
    run,
    take,
)


class RetryingDead:
    """What `retry_dead` owes."""

    async def test_a_dead_letter_becomes_a_fresh_job(
        self, store: Store, clock: ManualClock
    ) -> None:
        """It names its origin, has its full budget again, and is due at once."""
        dead = await ended(
            store,
            "a",
            Move.BURY,
            queue="q",
            payload=b"[[1],{}]",
            priority=3,
            retry=RetryPolicy(5, 2.0, 60.0),
            timeout=9.0,
            result_ttl=60.0,
            metadata={"n": 1},
            tags=("t",),
        )
        clock.advance(5)
        fresh = await store.retry_dead("a", "b")
        assert fresh == await read(store, "b") == stored(repeated(dead, "b"), clock.now())
        assert (fresh.origin, fresh.attempt, fresh.crashes) == ("a", 0, 0)
        assert [(job.id, job.attempt) for job in await take(store, 5)] == [("b", 1)]

    async def test_the_letter_goes_and_the_dead_job_stays(self, store: Store) -> None:
        """Final is final: the job that died is still to be seen as it died."""
        dead = await ended(store, "a", Move.BURY)
        await ended(store, "b", Move.BURY)
        assert await store.retry_dead("a", "c")
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["b"]
        assert await read(store, "a") == dead

    async def test_a_letter_is_retried_once(self, store: Store) -> None:
        """Whoever comes second is told that there is none, and no second job is made."""
        await ended(store, "a", Move.BURY)
        assert await store.retry_dead("a", "b")
        assert await store.retry_dead("a", "c") is None
        assert await store.get(["c"]) == [None]

    async def test_of_concurrent_retries_one_gets_the_job(self, store: Store) -> None:
        """Two clicks on the button make one job."""
        await ended(store, "a", Move.BURY)
        tries = [store.retry_dead("a", f"b{n}") for n in range(10)]
        fresh = [job for job in await asyncio.gather(*tries) if job is not None]
        assert len(fresh) == (await store.stats())[State.PENDING] == 1

    async def test_only_a_dead_letter_can_be_retried(self, store: Store) -> None:
        """Neither an unknown id nor a job that ended otherwise is one."""
        for move in ENDS:
            if move is not Move.BURY:
                await ended(store, move, move)
        for dead_id in ("no", *ENDS):
            assert await store.retry_dead(dead_id, "new") is None
        assert await store.get(["new"]) == [None]

    async def test_a_retried_job_may_die_again(self, store: Store) -> None:
        """Its letter is its own; lineage goes from one to the next."""
        await ended(store, "a", Move.BURY)
        for dead_id, new_id in (("a", "b"), ("b", "c")):
            assert await store.retry_dead(dead_id, new_id)
            [job] = await take(store)
            assert (job.id, job.origin) == (new_id, dead_id)
            assert await end(store, job, Move.BURY)
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["c"]

    async def test_a_purged_id_may_be_used_again_and_die_again(
        self, store: Store, clock: ManualClock
    ) -> None:
        """A letter outlives its job, but it does not keep the next one of that id from ending."""
        await ended(store, "a", Move.BURY, payload=b"1")
        await ended(store, "b", Move.BURY)
        clock.advance(10)
        await store.prune(jobs_older_than=1)
        dead = await ended(store, "a", Move.BURY, payload=b"2")
        assert (await store.dead_letters(1, 0))[0].job == dead
        fresh = await store.retry_dead("a", "c")
        assert fresh is not None
        assert fresh.payload == b"2"


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
        assert await store.prune(jobs_older_than=10) == Pruned(jobs=1, errors=2)
        assert await store.errors("a") == []
        assert len(await store.errors("b")) == 1
        assert [letter.job for letter in await store.dead_letters(5, 0)] == [dead]
        fresh = await store.retry_dead("a", "c")
        assert fresh is not None
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
        assert await store.prune(errors_older_than=10) == Pruned(errors=1)
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
        removed = [await store.prune(errors_older_than=10, limit=3) for _ in range(3)]
        assert [each.errors for each in removed] == [3, 2, 0]
        removed = [await store.prune(jobs_older_than=10, limit=4) for _ in range(3)]
        assert [each.jobs for each in removed] == [4, 1, 0]

    async def test_each_kind_has_its_own_age(self, store: Store, clock: ManualClock) -> None:
        """One call may ask for all three."""
        await ended(store, "a", Move.BURY)
        clock.advance(11)
        await ended(store, "b", Move.RETRY)
        clock.advance(2)
        assert await store.prune(
            jobs_older_than=10, dead_older_than=20, errors_older_than=1
        ) == Pruned(jobs=1, errors=2)
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["a"]
