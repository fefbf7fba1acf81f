"""What is over can be done again, by a fresh job that says whom it repeats."""

import asyncio

import pytest

from offload.core.job import Inputs, repeated, stored
from offload.core.lane import Lane
from offload.core.records import Repeat
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    end,
    ended,
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
        fresh = (await store.retry_dead({"a": "b"}))["a"]
        assert fresh == await read(store, "b") == stored(repeated(dead, "b"), clock.now())
        assert (fresh.origin, fresh.attempt, fresh.crashes) == ("a", 0, 0)
        assert [(job.id, job.attempt) for job in await take(store, 5)] == [("b", 1)]

    async def test_the_letter_goes_and_the_dead_job_stays(self, store: Store) -> None:
        """Final is final: the job that died is still to be seen as it died."""
        dead = await ended(store, "a", Move.BURY)
        await ended(store, "b", Move.BURY)
        assert await store.retry_dead({"a": "c"})
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["b"]
        assert await read(store, "a") == dead

    async def test_a_letter_is_retried_once(self, store: Store) -> None:
        """Whoever comes second is told that there is none, and no second job is made."""
        await ended(store, "a", Move.BURY)
        assert await store.retry_dead({"a": "b"})
        assert await store.retry_dead({"a": "c"}) == {}
        assert await store.get(["c"]) == [None]

    async def test_of_concurrent_retries_one_gets_the_job(self, store: Store) -> None:
        """Two clicks on the button make one job."""
        await ended(store, "a", Move.BURY)
        tries = [store.retry_dead({"a": f"b{n}"}) for n in range(10)]
        fresh = [job for answer in await asyncio.gather(*tries) for job in answer.values()]
        assert len(fresh) == (await store.stats())[State.PENDING] == 1

    async def test_only_a_dead_letter_can_be_retried(self, store: Store) -> None:
        """Neither an unknown id nor a job that ended otherwise is one."""
        for move in ENDS:
            if move is not Move.BURY:
                await ended(store, move, move)
        for dead_id in ("no", *ENDS):
            assert await store.retry_dead({dead_id: "new"}) == {}
        assert await store.get(["new"]) == [None]

    async def test_a_retried_job_may_die_again(self, store: Store) -> None:
        """Its letter is its own; lineage goes from one to the next."""
        await ended(store, "a", Move.BURY)
        for dead_id, new_id in (("a", "b"), ("b", "c")):
            assert await store.retry_dead({dead_id: new_id})
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
        fresh = (await store.retry_dead({"a": "c"}))["a"]
        assert fresh.payload == b"2"

    async def test_many_are_retried_at_once(self, store: Store, clock: ManualClock) -> None:
        """Each under the id that was asked for; what is no letter is left out."""
        for job_id in "abc":
            await ended(store, job_id, Move.BURY, payload=job_id.encode())
        fresh = await store.retry_dead({"c": "c2", "no": "no2", "a": "a2"})
        assert {dead_id: job.id for dead_id, job in fresh.items()} == {"c": "c2", "a": "a2"}
        assert [await read(store, job_id) for job_id in ("c2", "a2")] == list(fresh.values())
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["b"]
        assert [job.id for job in await take(store, 5)] == ["c2", "a2"]
        assert await store.repeats("a") == [Repeat("a", "a2", clock.now())]
        assert await store.retry_dead({}) == {}
        assert await store.repeats("no") == []


class Replaying:
    """What `replay` owes."""

    @pytest.mark.parametrize("move", ENDS)
    async def test_a_job_that_has_ended_is_repeated(
        self, store: Store, clock: ManualClock, move: Move
    ) -> None:
        """However it ended; it stays as it is, and so does its letter."""
        over = await ended(
            store, "a", move, queue="q", payload=b"[[1],{}]", lane=Lane("l", max_running=1)
        )
        letters = await store.dead_letters(5, 0)
        clock.advance(5)
        fresh = await store.replay({"a": "b"})
        assert fresh == {"a": stored(repeated(over, "b"), clock.now())}
        assert await store.get(["a", "b"]) == [over, fresh["a"]]
        assert (fresh["a"].origin, fresh["a"].lane) == ("a", "l")
        assert await store.dead_letters(5, 0) == letters
        assert [job.id for job in await take(store, 5)] == ["b"]

    async def test_a_job_that_was_cancelled_while_pending_is_repeated(self, store: Store) -> None:
        """It has ended, too."""
        await put(store, "a")
        await store.cancel("a")
        assert (await store.replay({"a": "b"}))["a"].state is State.PENDING

    async def test_a_live_job_is_not_repeated(self, store: Store) -> None:
        """Nor is an unknown one; both are left out, and nothing has changed."""
        await put(store, "waiting", delay=60.0)
        await ended(store, "again", Move.RETRY, priority=1)
        await run(store, "running", priority=2)
        before = await everything(store, "waiting", "again", "running")
        ids = {job_id: f"{job_id}-2" for job_id in ("waiting", "again", "running", "no")}
        assert await store.replay(ids) == {}
        assert await everything(store, "waiting", "again", "running") == before

    async def test_many_are_repeated_at_once(self, store: Store) -> None:
        """In the order asked for; who cannot be is left out."""
        for job_id in "abc":
            await ended(store, job_id, Move.COMPLETE)
        await put(store, "live", priority=-1)
        fresh = await store.replay({"c": "c2", "live": "x", "a": "a2", "no": "y"})
        assert [(job_id, job.id) for job_id, job in fresh.items()] == [("c", "c2"), ("a", "a2")]
        assert [job.id for job in await take(store, 2)] == ["c2", "a2"]
        assert await store.get(["x", "y"]) == [None, None]

    async def test_each_repetition_is_on_record(self, store: Store, clock: ManualClock) -> None:
        """Oldest first, replays and retries alike, under the job that was repeated."""
        await ended(store, "a", Move.BURY)
        expected = []
        for new_id, again in (("b", store.replay), ("c", store.retry_dead), ("d", store.replay)):
            clock.advance(1)
            assert await again({"a": new_id})
            expected.append(Repeat("a", new_id, clock.now()))
        assert await store.repeats("a") == expected
        assert await store.repeats("b") == []

    async def test_a_repetition_that_is_asked_for_twice_is_one(self, store: Store) -> None:
        """A caller whose first call was answered by silence asks under the same id."""
        await ended(store, "a", Move.COMPLETE)
        first = await store.replay({"a": "b"})
        assert await store.replay({"a": "b"}) == first
        assert len(await store.repeats("a")) == (await store.stats())[State.PENDING] == 1

    async def test_a_repetition_has_no_parents(self, store: Store) -> None:
        """It gets what the one that it repeats got of them, and waits for nobody."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",), inputs=Inputs.FIRST)
        assert await end(store, parent, Move.COMPLETE, result=b"7")
        [child] = await take(store)
        assert await end(store, child, Move.FAIL)
        fresh = (await store.replay({"b": "c"}))["b"]
        assert (fresh.payload, fresh.blockers) == (b"[[7],{}]", 0)
        assert (await store.family("c")).parents == []
