"""A unique key lets one job in at a time."""

import asyncio

import pytest

from offload.core.states import Move, State
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import ENDS, end, ended, new, put, read, run, take


class Unique:
    """What `enqueue` owes to jobs with a unique key."""

    async def test_a_pending_job_holds_its_key(self, store: Store) -> None:
        """The loser is answered with the holder and is stored nowhere."""
        [holder] = await put(store, "a", unique_key="k")
        assert await put(store, "b", unique_key="k") == [holder]
        assert await store.get(["b"]) == [None]

    async def test_a_running_job_holds_its_key(self, store: Store) -> None:
        """The answer shows that it runs."""
        running = await run(store, "a", unique_key="k")
        assert await put(store, "b", unique_key="k") == [running]
        assert await take(store) == []

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    async def test_a_job_that_waits_again_holds_its_key(self, store: Store, move: Move) -> None:
        """Neither a retry nor a release opens a gap."""
        waiting = await ended(store, "a", move, unique_key="k")
        assert await put(store, "b", unique_key="k") == [waiting]

    @pytest.mark.parametrize("move", ENDS)
    async def test_an_ended_job_frees_its_key(self, store: Store, move: Move) -> None:
        """The next job is stored and holds it, the ended one stays as it was."""
        old = await ended(store, "a", move, unique_key="k")
        [holder] = await put(store, "b", unique_key="k")
        assert holder.id == "b"
        assert await put(store, "c", unique_key="k") == [holder]
        assert await read(store, "a") == old

    async def test_a_cancelled_job_frees_its_key(self, store: Store) -> None:
        """A job that never ran does so, too."""
        await put(store, "a", unique_key="k")
        assert await store.cancel("a")
        assert [job.id for job in await put(store, "b", unique_key="k")] == ["b"]

    async def test_an_expired_job_frees_its_key(self, store: Store, clock: ManualClock) -> None:
        """At the latest when the next claim has found it."""
        await put(store, "a", unique_key="k", expires=1.0)
        clock.advance(2)
        assert await take(store) == []
        assert [job.id for job in await put(store, "b", unique_key="k")] == ["b"]

    async def test_a_batch_resolves_to_its_own_first_holder(self, store: Store) -> None:
        """Duplicates inside one batch are found like those of two batches."""
        jobs = [new("a", unique_key="k"), new("b", unique_key="l"), new("c", unique_key="k")]
        answers = await store.enqueue([*jobs, new("d"), new("e", unique_key="l")])
        assert [job.id for job in answers] == ["a", "b", "a", "d", "b"]
        assert (await store.stats())[State.PENDING] == 3

    async def test_keys_are_of_the_whole_store(self, store: Store) -> None:
        """Another task or queue does not make it another key; None is none, and "" is one."""
        await put(store, "a", unique_key="k")
        [other] = await put(store, "b", unique_key="k", queue="other", task="other")
        assert other.id == "a"
        assert [job.id for job in await put(store, "c", "d")] == ["c", "d"]
        assert [job.id for job in await put(store, "e", "f", unique_key="")] == ["e", "e"]

    async def test_the_id_comes_before_the_key(self, store: Store) -> None:
        """A repeated enqueue finds its own job, though its key has a new holder by now."""
        first = await ended(store, "a", Move.COMPLETE, unique_key="k")
        await put(store, "b", unique_key="k")
        assert await put(store, "a", unique_key="k") == [first]

    async def test_racers_for_a_key_all_get_the_one_job(self, store: Store) -> None:
        """Sixty-four enqueues at once store one job."""
        racers = (put(store, f"j{n}", unique_key="k") for n in range(64))
        winners = {job.id for [job] in await asyncio.gather(*racers)}
        assert len(winners) == 1
        assert (await store.stats())[State.PENDING] == 1

    async def test_a_repeated_job_does_not_take_the_key_back(self, store: Store) -> None:
        """A dead letter is retried although its key has a new holder by now."""
        await ended(store, "a", Move.BURY, unique_key="k")
        await put(store, "b", unique_key="k")
        repeated = await store.retry_dead("a", "c")
        assert repeated is not None
        assert (repeated.id, repeated.unique_key) == ("c", None)
        assert await put(store, "d", unique_key="k") == [await read(store, "b")]

    async def test_a_refused_end_does_not_free_the_key(self, store: Store) -> None:
        """Only the holder of the lease can let go of it."""
        stale = await run(store, "a", unique_key="k")
        assert await end(store, stale, Move.RELEASE)
        assert not await end(store, stale, Move.COMPLETE)
        assert [job.id for job in await put(store, "b", unique_key="k")] == ["a"]
