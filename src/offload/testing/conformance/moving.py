"""Jobs leave one store and are the same in the next."""

from dataclasses import replace
from typing import Any

import pytest

from offload.core.job import Inputs, OnParentFailure
from offload.core.lane import Lane
from offload.core.parcel import Parcel
from offload.core.records import DeadLetter, LogLine, Report
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State
from offload.core.unique import Scope, UniqueKey
from offload.store.base import Moving, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    beside_job,
    end,
    ended,
    everything,
    put,
    read,
    run,
    take,
)


def moving(store: Store) -> Moving:
    """Return the store as one that can give its jobs away."""
    assert isinstance(store, Moving)
    return store


async def away(store: Store) -> list[Parcel]:
    """Pack all jobs and forget them, the youngest first."""
    parcels = await moving(store).pack(0, 1000)
    gone = {parcel.job.id: parcel.job.version for parcel in reversed(parcels)}
    assert all(await moving(store).forget(gone))
    return parcels


async def back(store: Store, parcels: list[Parcel]) -> list[bool]:
    """Unpack jobs."""
    return await moving(store).unpack(parcels)


class Packing:
    """What `pack`, `unpack` and `forget` owe."""

    @pytest.mark.parametrize("move", ENDS)
    async def test_a_job_that_has_ended_arrives_as_it_was(self, store: Store, move: Move) -> None:
        """With its errors, logs, parts, metrics and repeats; only their ids are the store's own."""
        asked = {"queue": "q", "retry": RetryPolicy(5, 2.0, 60.0, (1.0,)), "tags": ("t",)}
        options: dict[str, Any] = {**asked, "payload": b"[[1],{}]", "metadata": {"n": 1}}
        job = await run(store, "a", **options)
        said = Report(job.id, job.lease, 50, "half", b"{}", (LogLine("info", "hi", {"x": 1}),))
        assert await store.report([replace(said, parts=(b"1", b"2"))]) == [True]
        assert await end(store, job, move, ran=1.5, memory=7)
        assert await store.replay({"a": "b"})
        before = await read(store, "a"), _without_ids(await beside_job(store, "a"))
        parcels = await away(store)
        assert await store.get(["a", "b"]) == [None, None]
        assert await back(store, parcels) == [True, True]
        assert (await read(store, "a"), _without_ids(await beside_job(store, "a"))) == before

    async def test_nothing_is_left_behind(self, store: Store) -> None:
        """Who forgets a job forgets all that was kept of it."""
        empty = await everything(store, "a", "b")
        await put(store, "a", lane=Lane("l", max_running=1))
        await put(store, "b", depends_on=("a",))
        await away(store)
        assert await everything(store, "a", "b") == empty

    async def test_a_pending_job_goes_on_where_it_was(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Its attempts, its lease and its due time are those that it had."""
        await ended(store, "a", Move.RETRY, priority=3, timeout=9.0, result_ttl=60.0, expires=500.0)
        await put(store, "b", delay=60.0)
        before = await store.get(["a", "b"])
        assert await back(store, await away(store)) == [True, True]
        assert await store.get(["a", "b"]) == before
        [job] = await take(store, 5)
        assert (job.id, job.attempt, job.lease) == ("a", 2, 2)
        clock.advance(61)
        assert [job.id for job in await take(store, 5)] == ["b"]

    async def test_the_line_stays_the_line(self, store: Store) -> None:
        """Who came first is still first, and pages keep that order."""
        await put(store, "c", "a", "b")
        first = await moving(store).pack(0, 2)
        rest = await moving(store).pack(first[-1].place, 2)
        assert [parcel.job.id for parcel in [*first, *rest]] == ["c", "a", "b"]
        assert await moving(store).pack(rest[-1].place, 2) == []
        await away(store)
        await back(store, [*first, *rest])
        assert [job.id for job in await take(store, 5)] == ["c", "a", "b"]

    async def test_what_runs_stays(self, store: Store) -> None:
        """Its worker may report."""
        job = await run(store, "a")
        assert await moving(store).pack(0, 5) == []
        assert await moving(store).forget({"a": job.version}) == [False]
        assert await end(store, job, Move.COMPLETE)

    async def test_what_has_changed_stays(self, store: Store) -> None:
        """Who forgets it has not seen it as it is."""
        await put(store, "a")
        [parcel] = await moving(store).pack(0, 5)
        await store.cancel("a")
        assert await moving(store).forget({"a": parcel.job.version, "no": 1}) == [False, False]
        assert (await read(store, "a")).state is State.CANCELLED

    async def test_what_is_here_stays_as_it_is(self, store: Store) -> None:
        """A parcel that comes twice is one job, however far that is."""
        await put(store, "a")
        parcels = await moving(store).pack(0, 5)
        [job] = await take(store)
        await end(store, job, Move.COMPLETE, ran=1.0)
        before = await everything(store, "a")
        assert await back(store, parcels) == [False]
        assert await everything(store, "a") == before

    async def test_of_one_batch_a_part_may_be_here(self, store: Store) -> None:
        """The others come in."""
        await put(store, "a", "b")
        parcels = await away(store)
        assert await back(store, parcels[:1]) == [True]
        assert await back(store, parcels) == [False, True]


class Families:
    """Jobs that wait for others move with them."""

    async def test_a_parent_goes_after_its_dependents(self, store: Store) -> None:
        """Otherwise they would wait for ever."""
        await put(store, "a")
        await put(store, "b", depends_on=("a",))
        there = {parcel.job.id: parcel.job.version for parcel in await moving(store).pack(0, 5)}
        assert await moving(store).forget({"a": there["a"]}) == [False]
        assert await moving(store).forget({"b": there["b"], "a": there["a"]}) == [True, True]

    @pytest.mark.parametrize("inputs", Inputs)
    async def test_a_blocked_job_waits_on(self, store: Store, inputs: Inputs) -> None:
        """It is fed when its parents end, there as here."""
        await put(store, "a", "z")
        await put(store, "b", depends_on=("a", "z"), inputs=inputs, payload=b"[[0],{}]")
        before = await read(store, "b")
        await back(store, await away(store))
        assert replace(await read(store, "b"), version=before.version) == before
        assert (await store.family("b")).parents == ["a", "z"]
        for job in await take(store, 5):
            assert await end(store, job, Move.COMPLETE, result=b"7")
        [child] = await take(store, 5)
        fed = {
            Inputs.NONE: b"[[0],{}]",
            Inputs.FIRST: b"[[7,0],{}]",
            Inputs.LIST: b"[[[7,7],0],{}]",
        }
        assert child.payload == fed[inputs]

    async def test_what_came_of_a_parent_meanwhile_counts(self, store: Store) -> None:
        """It may have moved first, and ended."""
        await put(store, "a")
        await put(store, "b", depends_on=("a",), inputs=Inputs.FIRST)
        await put(store, "c", depends_on=("a",), on_parent_failure=OnParentFailure.RUN)
        first, *rest = await away(store)
        await back(store, [first])
        [job] = await take(store)
        assert await end(store, job, Move.FAIL)
        await back(store, rest)
        assert (await read(store, "b")).state is State.CANCELLED
        assert [job.id for job in await take(store, 5)] == ["c"]

    async def test_a_parent_that_is_nowhere_is_no_parent(self, store: Store) -> None:
        """Nobody waits for what can never come."""
        await put(store, "a")
        await put(store, "b", depends_on=("a",))
        _, child = await away(store)
        await back(store, [child])
        assert [job.id for job in await take(store, 5)] == ["b"]
        assert (await store.family("b")).parents == []


class Rights:
    """What a job holds, it holds there too."""

    @pytest.mark.parametrize(
        "unique",
        [
            UniqueKey("k"),
            UniqueKey("k", Scope.PENDING),
            UniqueKey("k", Scope.WINDOW, window=100.0),
        ],
    )
    async def test_a_key_stays_held(
        self, store: Store, clock: ManualClock, unique: UniqueKey
    ) -> None:
        """As long as it would have been."""
        await put(store, "a", unique=unique)
        clock.advance(5)
        await back(store, await away(store))
        assert [job.id for job in await put(store, "b", unique=unique)] == ["a"]
        clock.advance(95)
        await ended(store, "first", Move.COMPLETE, priority=9)
        [job] = await take(store)
        assert await end(store, job, Move.COMPLETE)
        assert [job.id for job in await put(store, "c", unique=unique)] == ["c"]

    async def test_a_key_that_was_given_up_stays_free(self, store: Store) -> None:
        """It is still to be seen which one that was."""
        await ended(store, "a", Move.COMPLETE, unique=UniqueKey("k"))
        await back(store, await away(store))
        assert (await read(store, "a")).unique_key == "k"
        assert [job.id for job in await put(store, "b", unique=UniqueKey("k"))] == ["b"]

    async def test_who_holds_a_key_keeps_it(self, store: Store) -> None:
        """The job that moves comes in without: nothing is lost."""
        await put(store, "a", unique=UniqueKey("k"))
        parcels = await away(store)
        await put(store, "b", unique=UniqueKey("k"))
        assert await back(store, parcels) == [True]
        assert [job.id for job in await take(store, 5)] == ["b", "a"]
        assert [job.id for job in await put(store, "c", unique=UniqueKey("k"))] == ["b"]

    async def test_a_lane_keeps_its_limits(self, store: Store, clock: ManualClock) -> None:
        """And the time since its last start."""
        lane = Lane("l", interval=100.0, max_running=1)
        await ended(store, "a", Move.COMPLETE, lane=lane)
        await put(store, "b", lane=Lane("l"))
        clock.advance(50)
        await back(store, await away(store))
        assert await take(store, 5) == []
        clock.advance(51)
        assert [job.id for job in await take(store, 5)] == ["b"]


class Letters:
    """Dead letters move by themselves."""

    async def test_a_letter_arrives_as_it_was(self, store: Store) -> None:
        """It can be retried, though its job is gone."""
        await ended(store, "a", Move.BURY, metadata={"n": 1}, tags=("t",), payload=b"[[1],{}]")
        await ended(store, "b", Move.BURY)
        letters = await store.dead_letters(5, 0)
        await away(store)
        await moving(store).drop_letters(["a", "no"])
        assert [letter.id for letter in await store.dead_letters(5, 0)] == ["b"]
        oldest_first: list[DeadLetter] = letters[::-1]
        await moving(store).drop_letters(["b"])
        await moving(store).put_letters(oldest_first)
        await moving(store).put_letters(oldest_first)
        assert await store.dead_letters(5, 0) == letters
        assert (await store.retry_dead({"a": "c"}))["a"].metadata == {"n": 1}
        assert [job.id for job in await take(store, 5)] == ["c"]


def _without_ids(kept: tuple[list[object], ...]) -> list[list[object]]:
    # Frozen dataclasses of several kinds; those that have an id have it first.
    return [
        [replace(row, id=0) if hasattr(row, "id") else row for row in rows]  # type: ignore[type-var]
        for rows in kept
    ]
