"""A unique key lets one job in at a time."""

import asyncio

import pytest

from offload.core.errors import DuplicateJob
from offload.core.job import Job
from offload.core.records import Finish
from offload.core.states import Move, State
from offload.core.unique import OnConflict, Scope, UniqueKey
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    end,
    ended,
    everything,
    new,
    put,
    read,
    run,
    take,
)

K = UniqueKey("k")


class Unique:
    """What `enqueue` owes to jobs with a unique key."""

    async def test_a_pending_job_holds_its_key(self, store: Store) -> None:
        """The loser is answered with the holder and is stored nowhere."""
        [holder] = await put(store, "a", unique=K)
        assert await put(store, "b", unique=K) == [holder]
        assert await store.get(["b"]) == [None]

    async def test_a_running_job_holds_its_key(self, store: Store) -> None:
        """The answer shows that it runs."""
        running = await run(store, "a", unique=K)
        assert await put(store, "b", unique=K) == [running]
        assert await take(store) == []

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    async def test_a_job_that_waits_again_holds_its_key(self, store: Store, move: Move) -> None:
        """Neither a retry nor a release opens a gap."""
        waiting = await ended(store, "a", move, unique=K)
        assert await put(store, "b", unique=K) == [waiting]

    @pytest.mark.parametrize("move", ENDS)
    async def test_an_ended_job_frees_its_key(self, store: Store, move: Move) -> None:
        """The next job is stored and holds it, the ended one stays as it was."""
        old = await ended(store, "a", move, unique=K)
        [holder] = await put(store, "b", unique=K)
        assert holder.id == "b"
        assert await put(store, "c", unique=K) == [holder]
        assert await read(store, "a") == old

    async def test_a_cancelled_job_frees_its_key(self, store: Store) -> None:
        """A job that never ran does so, too."""
        await put(store, "a", unique=K)
        assert await store.cancel("a")
        assert [job.id for job in await put(store, "b", unique=K)] == ["b"]

    async def test_an_expired_job_frees_its_key(self, store: Store, clock: ManualClock) -> None:
        """At the latest when the next claim has found it."""
        await put(store, "a", unique=K, expires=1.0)
        clock.advance(2)
        assert await take(store) == []
        assert [job.id for job in await put(store, "b", unique=K)] == ["b"]

    async def test_a_batch_resolves_to_its_own_first_holder(self, store: Store) -> None:
        """Duplicates inside one batch are found like those of two batches."""
        jobs = [new("a", unique=K), new("b", unique=UniqueKey("l")), new("c", unique=K)]
        answers = await store.enqueue([*jobs, new("d"), new("e", unique=UniqueKey("l"))])
        assert [job.id for job in answers] == ["a", "b", "a", "d", "b"]
        assert (await store.stats())[State.PENDING] == 3

    async def test_keys_are_of_the_whole_store(self, store: Store) -> None:
        """Another task or queue does not make it another key; None is none, and "" is one."""
        await put(store, "a", unique=K)
        [other] = await put(store, "b", unique=K, queue="other", task="other")
        assert other.id == "a"
        assert [job.id for job in await put(store, "c", "d")] == ["c", "d"]
        assert [job.id for job in await put(store, "e", "f", unique=UniqueKey(""))] == ["e", "e"]

    async def test_the_id_comes_before_the_key(self, store: Store) -> None:
        """A repeated enqueue finds its own job, though its key has a new holder by now."""
        first = await ended(store, "a", Move.COMPLETE, unique=K)
        await put(store, "b", unique=K)
        assert await put(store, "a", unique=K) == [first]

    async def test_racers_for_a_key_all_get_the_one_job(self, store: Store) -> None:
        """Sixty-four enqueues at once store one job."""
        racers = (put(store, f"j{n}", unique=K) for n in range(64))
        winners = {job.id for [job] in await asyncio.gather(*racers)}
        assert len(winners) == 1
        assert (await store.stats())[State.PENDING] == 1

    async def test_a_repeated_job_does_not_take_the_key_back(self, store: Store) -> None:
        """A dead letter is retried although its key has a new holder by now."""
        await ended(store, "a", Move.BURY, unique=K)
        await put(store, "b", unique=K)
        repeated = (await store.retry_dead({"a": "c"}))["a"]
        assert (repeated.id, repeated.unique_key) == ("c", None)
        assert await put(store, "d", unique=K) == [await read(store, "b")]

    async def test_a_refused_end_does_not_free_the_key(self, store: Store) -> None:
        """Only the holder of the lease can let go of it."""
        stale = await run(store, "a", unique=K)
        assert await end(store, stale, Move.RELEASE)
        assert not await end(store, stale, Move.COMPLETE)
        assert [job.id for job in await put(store, "b", unique=K)] == ["a"]


STAGES = ("waiting", "running", Move.RETRY, Move.RELEASE, Move.COMPLETE, "cancelled")
"""What may have become of a job that was enqueued with a key."""

HELD = {
    Scope.PENDING: STAGES[:1],
    Scope.RUNNING: STAGES[:4],
    Scope.WINDOW: STAGES,
}
"""At which stages a job holds its key."""

PENDING = ("waiting", Move.RETRY, Move.RELEASE)


def key(scope: Scope, on_conflict: OnConflict = OnConflict.RETURN) -> UniqueKey:
    """Return the key "k", with a window of a minute if it needs one."""
    return UniqueKey("k", scope, on_conflict, 60.0 if scope is Scope.WINDOW else None)


async def staged(store: Store, stage: str, unique: UniqueKey) -> Job:
    """Return the job "a", which has this key, at a stage of its life."""
    if stage in ("waiting", "cancelled"):
        await put(store, "a", unique=unique)
        if stage == "cancelled":
            assert await store.cancel("a")
    else:
        job = await run(store, "a", unique=unique)
        if stage != "running":
            assert await end(store, job, Move(stage))
    return await read(store, "a")


each_stage = pytest.mark.parametrize(
    ("scope", "stage"), [(scope, stage) for scope in Scope for stage in STAGES]
)


class Scopes:
    """For how long a key is held, and what becomes of whoever asks for a held one."""

    @each_stage
    async def test_who_holds_a_key_is_returned(
        self, store: Store, scope: Scope, stage: str
    ) -> None:
        """As the job is now; if the key is free, the new job is stored and holds it."""
        old = await staged(store, stage, key(scope))
        [job] = await put(store, "b", unique=key(scope))
        held = stage in HELD[scope]
        assert job == (old if held else await read(store, "b"))
        assert await read(store, "a") == old
        assert [each.id for each in await put(store, "c", unique=key(scope))] == [job.id]

    @each_stage
    async def test_a_held_key_can_be_refused(self, store: Store, scope: Scope, stage: str) -> None:
        """The error names the holder, and nothing of the batch is stored."""
        old = await staged(store, stage, key(scope))
        asked = [new("x"), new("b", unique=key(scope, OnConflict.REJECT)), new("y")]
        if stage in HELD[scope]:
            before = await everything(store, "a")
            with pytest.raises(DuplicateJob) as refused:
                await store.enqueue(asked)
            assert (refused.value.key, refused.value.job_id) == ("k", "a")
            assert await store.get(["x", "b", "y"]) == [None] * 3
            assert await everything(store, "a") == before
        else:
            assert [job.id for job in await store.enqueue(asked)] == ["x", "b", "y"]
            assert await read(store, "a") == old

    @each_stage
    async def test_a_waiting_holder_can_be_replaced(
        self, store: Store, clock: ManualClock, scope: Scope, stage: str
    ) -> None:
        """It is cancelled and the new job holds the key; any other holder is returned."""
        old = await staged(store, stage, key(scope))
        clock.advance(1)
        [job] = await put(store, "b", unique=key(scope, OnConflict.REPLACE))
        held, pending = stage in HELD[scope], stage in PENDING
        assert job.id == ("a" if held and not pending else "b")
        after = await read(store, "a")
        if held and pending:
            assert (after.state, after.finished_at) == (State.CANCELLED, clock.now())
            assert after.error
            assert after.version > old.version
        else:
            assert after == old
        assert [each.id for each in await put(store, "c", unique=key(scope))] == [job.id]

    @pytest.mark.parametrize("scope", Scope)
    async def test_a_replaced_job_is_never_given(self, store: Store, scope: Scope) -> None:
        """Of three that replace each other only the last runs."""
        for job_id in "abc":
            await put(store, job_id, unique=key(scope, OnConflict.REPLACE))
        assert [job.id for job in await take(store, 5)] == ["c"]

    @pytest.mark.parametrize("scope", Scope)
    async def test_conflicts_inside_one_batch(self, store: Store, scope: Scope) -> None:
        """Are those of two batches; each answer is a job as the whole batch left it."""
        rejected = new("b", unique=key(scope, OnConflict.REJECT))
        with pytest.raises(DuplicateJob, match="held by job a"):
            await store.enqueue([new("a", unique=key(scope)), rejected])
        assert await store.get(["a", "b"]) == [None, None]
        last = new("d", unique=key(scope, OnConflict.REPLACE))
        answers = await store.enqueue([new("c", unique=key(scope)), last])
        assert [(job.id, job.state) for job in answers] == [
            ("c", State.CANCELLED),
            ("d", State.PENDING),
        ]
        assert answers == await store.get(["c", "d"])

    @pytest.mark.parametrize("on_conflict", OnConflict)
    @pytest.mark.parametrize("scope", Scope)
    async def test_a_job_does_not_conflict_with_itself(
        self, store: Store, scope: Scope, on_conflict: OnConflict
    ) -> None:
        """A repeated enqueue, in the same batch or later, finds the job that it made."""
        asked = new("a", unique=key(scope, on_conflict))
        first, again = await store.enqueue([asked, asked])
        assert first == again
        assert await store.enqueue([asked]) == [first]
        assert first.state is State.PENDING
        assert first.unique_key == "k"

    async def test_each_job_brings_its_own_conflict(self, store: Store) -> None:
        """How the holder was enqueued does not matter to who comes next."""
        await put(store, "a", unique=key(Scope.RUNNING, OnConflict.REJECT))
        assert [job.id for job in await put(store, "b", unique=K)] == ["a"]

    async def test_one_may_wait_while_one_runs(self, store: Store) -> None:
        """With the scope PENDING, and no more than one; each claim lets the next one in."""
        unique = key(Scope.PENDING)
        await put(store, "a", unique=unique)
        for earlier, later in (("a", "b"), ("b", "c")):
            assert [job.id for job in await take(store)] == [earlier]
            assert [job.id for job in await put(store, later, "z", unique=unique)] == [later] * 2

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    async def test_a_key_given_up_is_not_taken_back(self, store: Store, move: Move) -> None:
        """A job that waits again beside the next holder runs, and its end frees nothing."""
        unique = key(Scope.PENDING)
        first = await run(store, "a", unique=unique)
        await put(store, "b", unique=unique)
        assert await end(store, first, move)
        assert [job.id for job in await put(store, "c", unique=unique)] == ["b"]
        [again, _] = sorted(await take(store, 5), key=lambda job: job.id)
        assert again.id == "a"
        [holder] = await put(store, "c", unique=unique)
        assert await end(store, again, Move.COMPLETE)
        assert await put(store, "d", unique=unique) == [holder]

    async def test_a_window_lasts_its_seconds(self, store: Store, clock: ManualClock) -> None:
        """From the enqueue on, whatever becomes of the job; then the next has its own."""
        window = UniqueKey("k", Scope.WINDOW, window=60.0)
        job = await run(store, "a", unique=window)
        clock.advance(30)
        assert await end(store, job, Move.COMPLETE)
        clock.advance(29)
        assert [job.id for job in await put(store, "b", unique=window)] == ["a"]
        clock.advance(1)
        assert [job.id for job in await put(store, "b", unique=window)] == ["b"]
        clock.advance(59)
        assert [job.id for job in await put(store, "c", unique=window)] == ["b"]

    async def test_a_window_may_close_before_the_job_ends(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Then a second job of that key waits, or runs, beside the first."""
        window = UniqueKey("k", Scope.WINDOW, window=60.0)
        first = await run(store, "a", unique=window)
        clock.advance(60)
        second = await run(store, "b", unique=window)
        assert await store.finish([Finish("a", 1, Move.COMPLETE, result=b"1")]) == [True]
        assert await put(store, "c", unique=window) == [second]
        assert first.state is State.RUNNING

    async def test_a_job_is_kept_for_its_window(self, store: Store, clock: ManualClock) -> None:
        """Retention does not shorten it, for who would be the holder that is returned?"""
        window = UniqueKey("k", Scope.WINDOW, window=60.0)
        done = await ended(store, "a", Move.COMPLETE, unique=window, result_ttl=1.0)
        clock.advance(59)
        assert (await store.prune(jobs_older_than=0)).jobs == 0
        assert await put(store, "b", unique=window) == [done]
        clock.advance(1)
        assert (await store.prune(jobs_older_than=0)).jobs == 1

    async def test_a_repeated_job_has_no_key(self, store: Store) -> None:
        """A replayed job neither waits for nor takes the key of the one that it repeats."""
        await ended(store, "a", Move.COMPLETE, unique=K)
        await put(store, "b", unique=K)
        assert (await store.replay({"a": "c"}))["a"].unique_key is None
        assert [job.id for job in await put(store, "d", unique=K)] == ["b"]

    async def test_an_expired_waiting_job_frees_its_key(
        self, store: Store, clock: ManualClock
    ) -> None:
        """With the scope PENDING like with RUNNING, at the latest with the next claim."""
        await put(store, "a", unique=key(Scope.PENDING), expires=1.0)
        clock.advance(1)
        assert await take(store) == []
        assert [job.id for job in await put(store, "b", unique=key(Scope.PENDING))] == ["b"]

    async def test_racers_that_replace_leave_one(self, store: Store) -> None:
        """All are stored, and all but one of them are cancelled."""
        unique = key(Scope.RUNNING, OnConflict.REPLACE)
        await asyncio.gather(*(put(store, f"j{n}", unique=unique) for n in range(32)))
        counts = await store.stats()
        assert (counts[State.PENDING], counts[State.CANCELLED]) == (1, 31)
