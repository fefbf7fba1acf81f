"""Jobs that wait for other jobs."""

import pytest

from offload.core.errors import DependencyError
from offload.core.job import Inputs, Job, OnParentFailure
from offload.core.records import Family
from offload.core.states import Move, State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.base import Channel, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    FAR,
    end,
    ended,
    everything,
    new,
    put,
    read,
    run,
    soon,
    take,
)

RUN = OnParentFailure.RUN
FAILURES = (Move.FAIL, Move.BURY, Move.CANCEL)
STATES = {
    Move.COMPLETE: State.COMPLETE,
    Move.FAIL: State.FAILED,
    Move.BURY: State.DEAD,
    Move.CANCEL: State.CANCELLED,
}


async def shown(store: Store, *job_ids: str) -> dict[str, tuple[State, str | None]]:
    """Return the state and the error of some jobs."""
    jobs = [await read(store, job_id) for job_id in job_ids]
    return {job.id: (job.state, job.error) for job in jobs}


def orphan(parent: str, state: State = State.CANCELLED) -> tuple[State, str]:
    """Return what is shown of a job that was cancelled because of this parent."""
    return State.CANCELLED, f"dependency {parent} {state}"


class Waiting:
    """When a job with parents is given."""

    async def test_a_job_waits_until_its_parent_is_complete(self, store: Store) -> None:
        """Then it is given like any other."""
        parent = await run(store, "a")
        [child] = await put(store, "b", depends_on=("a",))
        assert (child.state, child.blockers) == (State.PENDING, 1)
        assert await take(store) == []
        assert await end(store, parent, Move.COMPLETE)
        [taken] = await take(store)
        assert (taken.id, taken.blockers) == ("b", 0)

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    async def test_a_parent_that_waits_again_has_not_ended(self, store: Store, move: Move) -> None:
        """Its dependents wait on."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",))
        assert await end(store, parent, move)
        assert [job.id for job in await take(store, 5)] == ["a"]
        assert (await read(store, "b")).blockers == 1

    async def test_a_job_waits_for_all_of_its_parents(self, store: Store) -> None:
        """Each end takes one blocker away, which a watcher can see."""
        await put(store, *"abc")
        [child] = await put(store, "d", depends_on=("c", "a", "b"))
        seen = [child]
        for job in await take(store, 3):
            assert await take(store) == []
            assert await end(store, job, Move.COMPLETE)
            seen.append(await read(store, "d"))
        assert [job.blockers for job in seen] == [3, 2, 1, 0]
        versions = [job.version for job in seen]
        assert versions == sorted(set(versions))
        assert [job.id for job in await take(store)] == ["d"]

    async def test_parents_may_stand_before_it_in_the_same_batch(self, store: Store) -> None:
        """A chain goes in as one batch and comes out link by link."""
        links = [new("a"), new("b", depends_on=("a",)), new("c", depends_on=("b",))]
        assert [job.blockers for job in await store.enqueue(links)] == [0, 1, 1]
        for job_id in "abc":
            [job] = await take(store, 5)
            assert job.id == job_id
            assert await end(store, job, Move.COMPLETE)

    async def test_a_parent_that_is_complete_already_blocks_nothing(self, store: Store) -> None:
        """Beside one that is not, only that one counts."""
        await ended(store, "a", Move.COMPLETE)
        [child] = await put(store, "b", depends_on=("a",))
        assert child.blockers == 0
        await put(store, "c", delay=60.0)
        [other] = await put(store, "d", depends_on=("a", "c"))
        assert other.blockers == 1
        assert [job.id for job in await take(store, 5)] == ["b"]

    async def test_a_parent_that_is_named_twice_is_one(self, store: Store) -> None:
        """Its end takes away all that it blocked."""
        parent = await run(store, "a")
        [child] = await put(store, "b", depends_on=("a", "a"))
        assert child.blockers == 1
        assert await end(store, parent, Move.COMPLETE)
        assert [job.id for job in await take(store)] == ["b"]

    async def test_delay_counts_from_the_enqueue(self, store: Store, clock: ManualClock) -> None:
        """Whichever is later decides: the job's own due time, or its last parent's end."""
        parent = await run(store, "a")
        [early, late] = await store.enqueue(
            [
                new("early", depends_on=("a",), delay=10.0),
                new("late", depends_on=("a",), run_at=clock.now() + 60_000),
            ]
        )
        clock.advance(20)
        claim = await store.claim("worker-1", None, 5)
        assert (claim.jobs, claim.next_due) == ([], None)
        assert await end(store, parent, Move.COMPLETE)
        claim = await store.claim("worker-1", None, 5)
        assert [(job.id, job.run_at) for job in claim.jobs] == [("early", early.run_at)]
        assert claim.next_due == pytest.approx(40)
        clock.advance(40)
        assert [(job.id, job.run_at) for job in await take(store)] == [("late", late.run_at)]

    async def test_a_freed_job_has_its_own_place_in_the_line(
        self, store: Store, clock: ManualClock
    ) -> None:
        """By its priority and due time, not by when it was freed."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",))
        clock.advance(1)
        await put(store, "c")
        await put(store, "d", priority=1)
        assert await end(store, parent, Move.COMPLETE)
        assert [job.id for job in await take(store, 5)] == ["d", "b", "c"]

    async def test_blocked_jobs_hold_nobody_up(self, store: Store) -> None:
        """However many wait at the head of the line."""
        await put(store, "parent", delay=60.0)
        await put(store, *(f"j{n}" for n in range(250)), depends_on=("parent",), priority=9)
        await put(store, "other")
        assert [job.id for job in await take(store)] == ["other"]

    async def test_the_end_of_a_parent_is_news_to_workers(self, store: Store) -> None:
        """The channel READY moves when a job is freed."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",))
        cursor = store.cursor(Channel.READY)
        assert await end(store, parent, Move.COMPLETE)
        await soon(store.wait(Channel.READY, cursor, FAR))

    async def test_an_unknown_parent_is_refused(self, store: Store) -> None:
        """With all of its batch; one that comes later in the batch is not known yet."""
        before = await everything(store)
        for batch in (
            [new("x"), new("b", depends_on=("no",)), new("y")],
            [new("b", depends_on=("a",)), new("a")],
            [new("b", depends_on=("b",))],
        ):
            with pytest.raises(DependencyError):
                await store.enqueue(batch)
            assert await everything(store) == before

    async def test_a_purged_parent_is_unknown(self, store: Store, clock: ManualClock) -> None:
        """But a job that is stored already is returned, whatever has become of its parents."""
        await ended(store, "a", Move.COMPLETE)
        await put(store, "b", depends_on=("a",))
        clock.advance(11)
        assert (await store.prune(jobs_older_than=10)).jobs == 1
        with pytest.raises(DependencyError):
            await put(store, "c", depends_on=("a",))
        assert [job.id for job in await put(store, "b", depends_on=("a",))] == ["b"]

    async def test_a_parent_that_was_answered_with_another_stands_for_that(
        self, store: Store
    ) -> None:
        """So a chain whose first link is running already goes on behind it."""
        holder = await run(store, "a", unique=UniqueKey("k"))
        links = [new("b", unique=UniqueKey("k")), new("c", depends_on=("b",))]
        assert [job.id for job in await store.enqueue(links)] == ["a", "c"]
        assert (await store.family("c")).parents == ["a"]
        assert await take(store) == []
        assert await end(store, holder, Move.COMPLETE)
        assert [job.id for job in await take(store)] == ["c"]

    async def test_families_are_known_from_both_sides(self, store: Store) -> None:
        """Parents in the order asked for, dependents in that of their enqueuing, to the end."""
        await put(store, *"abc")
        await put(store, "e", "d", depends_on=("c", "a"))
        expected = {
            "a": Family([], ["e", "d"]),
            "b": Family(),
            "d": Family(["c", "a"], []),
            "no": Family(),
        }
        assert {job_id: await store.family(job_id) for job_id in expected} == expected
        for job in await take(store, 3):
            assert await end(store, job, Move.COMPLETE)
        assert {job_id: await store.family(job_id) for job_id in expected} == expected


class Orphans:
    """What becomes of jobs whose parents end without a result."""

    @pytest.mark.parametrize("move", FAILURES)
    async def test_a_job_is_cancelled_with_its_parent(
        self, store: Store, clock: ManualClock, move: Move
    ) -> None:
        """At once and for good; the error says whose end it was and how it ended."""
        parent = await run(store, "a")
        [child] = await put(store, "b", depends_on=("a",))
        clock.advance(3)
        assert await end(store, parent, move)
        after = await read(store, "b")
        assert (after.state, after.error) == orphan("a", STATES[move])
        assert (after.finished_at, after.attempt, after.blockers) == (clock.now(), 0, 0)
        assert after.version > child.version
        assert await store.errors("b") == []
        assert await take(store) == []

    @pytest.mark.parametrize("move", FAILURES)
    async def test_a_job_may_run_all_the_same(self, store: Store, move: Move) -> None:
        """If it was enqueued so; it waits for the end like any other."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",), on_parent_failure=RUN)
        assert await take(store) == []
        assert await end(store, parent, move)
        assert [(job.id, job.error) for job in await take(store)] == [("b", None)]

    @pytest.mark.parametrize("move", ENDS)
    @pytest.mark.parametrize("policy", OnParentFailure)
    async def test_a_parent_may_have_ended_before(
        self, store: Store, clock: ManualClock, move: Move, policy: OnParentFailure
    ) -> None:
        """What would have become of the job then becomes of it now."""
        await ended(store, "a", move)
        await put(store, "a2", delay=60.0)
        [child] = await put(store, "b", depends_on=("a2", "a"), on_parent_failure=policy)
        assert child == await read(store, "b")
        assert child.blockers == 1
        if move is Move.COMPLETE or policy is RUN:
            assert (child.state, child.error) == (State.PENDING, None)
        else:
            assert (child.state, child.error) == orphan("a", STATES[move])
            assert child.finished_at == clock.now()

    async def test_the_first_lost_parent_is_named(self, store: Store) -> None:
        """In the order asked for if several have ended, else by who ends first."""
        await put(store, "a", "b", "c")
        await put(store, "later", depends_on=("a", "b", "c"))
        assert await store.cancel("c")
        assert await store.cancel("a")
        await put(store, "now", depends_on=("b", "a", "c"))
        assert await shown(store, "later", "now") == {"later": orphan("c"), "now": orphan("a")}

    async def test_a_job_is_cancelled_before_its_other_parents_end(self, store: Store) -> None:
        """And their end does not change it any more."""
        await put(store, "a", "b")
        await put(store, "c", depends_on=("a", "b"))
        a, b = await take(store, 2)
        assert await end(store, a, Move.FAIL)
        over = await read(store, "c")
        assert (over.state, over.blockers) == (State.CANCELLED, 1)
        assert await end(store, b, Move.COMPLETE)
        assert await read(store, "c") == over

    async def test_a_cancel_goes_down_all_generations(self, store: Store) -> None:
        """Each is told of its own parent; who was not waiting for any of them runs."""
        await put(store, "a")
        for parent, child in ("ab", "bc", "cd"):
            await put(store, child, depends_on=(parent,))
        await put(store, "free")
        assert await store.cancel("a")
        assert await shown(store, *"bcd") == {
            "b": orphan("a"),
            "c": orphan("b"),
            "d": orphan("c"),
        }
        assert [job.id for job in await take(store, 5)] == ["free"]

    async def test_a_cancel_goes_down_both_sides_of_a_diamond(self, store: Store) -> None:
        """A generation after the other, so the shorter way names the parent."""
        parent = await run(store, "a")
        for child, parents in (("b", "a"), ("c", "a"), ("e", "b"), ("d", "ec")):
            await put(store, child, depends_on=tuple(parents))
        assert await end(store, parent, Move.BURY)
        assert await shown(store, *"bced") == {
            "b": orphan("a", State.DEAD),
            "c": orphan("a", State.DEAD),
            "e": orphan("b"),
            "d": orphan("c"),
        }

    async def test_a_cancel_stops_at_who_runs_all_the_same(self, store: Store) -> None:
        """Whose own dependents then wait for it."""
        await put(store, "a")
        await put(store, "b", depends_on=("a",))
        await put(store, "c", depends_on=("b",), on_parent_failure=RUN)
        await put(store, "d", depends_on=("c",))
        assert await store.cancel("a")
        assert await shown(store, "b", "d") == {"b": orphan("a"), "d": (State.PENDING, None)}
        [job] = await take(store, 5)
        assert job.id == "c"
        assert await end(store, job, Move.COMPLETE)
        assert [job.id for job in await take(store, 5)] == ["d"]

    async def test_a_long_line_falls(self, store: Store) -> None:
        """Three hundred generations, and a parent of three hundred."""
        names = [f"j{n}" for n in range(300)]
        await put(store, "a")
        pairs = zip(["a", *names], names, strict=False)
        await store.enqueue([new(child, depends_on=(parent,)) for parent, child in pairs])
        await store.enqueue([new(f"x{name}", depends_on=("a",)) for name in names])
        assert await store.cancel("a")
        counts = await store.stats()
        assert (counts[State.PENDING], counts[State.CANCELLED]) == (0, 601)

    async def test_an_expired_parent_has_no_result(self, store: Store, clock: ManualClock) -> None:
        """Its dependents are told in the claim that finds it."""
        await put(store, "a", expires=1.0)
        await put(store, "b", depends_on=("a",))
        await put(store, "c", depends_on=("a",), on_parent_failure=RUN)
        clock.advance(2)
        assert [job.id for job in await take(store, 5)] == ["c"]
        assert await shown(store, "b") == {"b": orphan("a")}

    async def test_a_blocked_job_expires(self, store: Store, clock: ManualClock) -> None:
        """Like any other that waits; its dependents go with it, its parent does not care."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",), expires=1.0)
        await put(store, "c", depends_on=("b",))
        clock.advance(2)
        assert await take(store) == []
        over = await shown(store, "b", "c")
        assert over == {"b": (State.CANCELLED, "expired"), "c": orphan("b")}
        assert await end(store, parent, Move.COMPLETE)
        assert await shown(store, "b", "c") == over

    async def test_a_blocked_job_is_cancelled(self, store: Store) -> None:
        """By hand, with all that wait for it."""
        await put(store, "a")
        await put(store, "b", depends_on=("a",))
        await put(store, "c", depends_on=("b",))
        assert await store.cancel("b")
        assert (await read(store, "b")).state is State.CANCELLED
        assert await shown(store, "c") == {"c": orphan("b")}
        assert [job.id for job in await take(store, 5)] == ["a"]

    async def test_a_replaced_parent_has_no_result(self, store: Store) -> None:
        """Who waited for it does not wait for the new holder of its key."""
        await put(store, "a", unique=UniqueKey("k"))
        await put(store, "b", depends_on=("a",))
        await put(store, "c", depends_on=("a",), on_parent_failure=RUN)
        await put(store, "d", unique=UniqueKey("k", on_conflict=OnConflict.REPLACE))
        assert await shown(store, "b") == {"b": orphan("a")}
        assert sorted(job.id for job in await take(store, 5)) == ["c", "d"]

    async def test_who_replaces_its_own_parent_is_cancelled(self, store: Store) -> None:
        """The holder ends first, and then it has ended without a result."""
        await put(store, "a", unique=UniqueKey("k"))
        replacing = UniqueKey("k", on_conflict=OnConflict.REPLACE)
        await put(store, "b", unique=replacing, depends_on=("a",))
        assert await shown(store, "b") == {"b": orphan("a")}

    async def test_a_parent_that_is_asked_to_stop_has_not_ended(self, store: Store) -> None:
        """Only its end decides: it may still come with a result."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",))
        assert await store.cancel("a", running=True)
        assert await shown(store, "b") == {"b": (State.PENDING, None)}
        assert await end(store, parent, Move.RETRY)
        assert await shown(store, "b") == {"b": orphan("a")}

    async def test_a_refused_end_cancels_nobody(self, store: Store) -> None:
        """Whoever has lost the lease has no word on the dependents either."""
        stale = await run(store, "a")
        await put(store, "b", depends_on=("a",))
        assert await end(store, stale, Move.RETRY)
        assert not await end(store, stale, Move.FAIL)
        assert await shown(store, "b") == {"b": (State.PENDING, None)}

    async def test_a_cascade_is_news_to_watchers(self, store: Store) -> None:
        """Who waits for the last of the line is woken."""
        await put(store, "a")
        await put(store, "b", depends_on=("a",))
        cursor = store.cursor(Channel.CHANGED)
        assert await store.cancel("a")
        await soon(store.wait(Channel.CHANGED, cursor, FAR))


class Feeding:
    """What a job gets of its parents' results."""

    async def fed(self, store: Store, inputs: Inputs, payload: bytes, *moves: Move) -> Job:
        """Return a job after its parents, p0, p1 …, have ended like this, the last one first."""
        names = [f"p{n}" for n in range(len(moves))]
        await put(store, *names)
        await put(
            store, "c", payload=payload, depends_on=names, inputs=inputs, on_parent_failure=RUN
        )
        taken = await take(store, len(moves))
        for job, move in reversed(list(zip(taken, moves, strict=True))):
            assert (await read(store, "c")).payload == payload
            options = {"result": job.id[1:].encode()} if move is Move.COMPLETE else {}
            assert await end(store, job, move, **options)
        return await read(store, "c")

    @pytest.mark.parametrize(
        ("inputs", "before", "after"),
        [
            (Inputs.NONE, b"[[9],{}]", b"[[9],{}]"),
            (Inputs.FIRST, b"[[],{}]", b"[[0],{}]"),
            (Inputs.FIRST, b'[[9],{"a":1}]', b'[[0,9],{"a":1}]'),
            (Inputs.LIST, b"[[],{}]", b"[[[0,1,2]],{}]"),
            (Inputs.LIST, b"[[[],9],{}]", b"[[[0,1,2],[],9],{}]"),
        ],
    )
    async def test_results_come_first_and_in_order(
        self, store: Store, inputs: Inputs, before: bytes, after: bytes
    ) -> None:
        """In the order of `depends_on`, whoever ended first; the rest of the payload follows."""
        child = await self.fed(store, inputs, before, *[Move.COMPLETE] * 3)
        assert child.payload == after
        assert await take(store) == [await read(store, "c")]

    @pytest.mark.parametrize("move", FAILURES)
    async def test_a_parent_without_a_result_gives_null(self, store: Store, move: Move) -> None:
        """At its place in the list, or alone."""
        child = await self.fed(store, Inputs.LIST, b"[[],{}]", Move.COMPLETE, move, Move.COMPLETE)
        assert child.payload == b"[[[0,null,2]],{}]"
        await put(store, "d", depends_on=("p1",), on_parent_failure=RUN, inputs=Inputs.FIRST)
        assert (await read(store, "d")).payload == b"[[null],{}]"

    async def test_results_that_are_there_already_are_put_in_at_once(self, store: Store) -> None:
        """The answer of the enqueue shows them."""
        await ended(store, "a", Move.COMPLETE)
        [child] = await put(store, "b", depends_on=("a", "a"), inputs=Inputs.LIST)
        assert child.payload == b'[[["done","done"]],{}]'
        assert child == await read(store, "b")

    async def test_a_cancelled_job_gets_nothing(self, store: Store) -> None:
        """Its payload is what it was enqueued with, whether its parent ends later or did before."""
        parent = await run(store, "a")
        await put(store, "b", depends_on=("a",), inputs=Inputs.FIRST)
        assert await end(store, parent, Move.FAIL)
        await put(store, "c", depends_on=("a",), inputs=Inputs.FIRST)
        assert [(await read(store, name)).payload for name in "bc"] == [b"[[],{}]"] * 2

    async def test_results_are_put_in_once(self, store: Store) -> None:
        """A retry gets the same payload, and not the results twice."""
        child = await self.fed(store, Inputs.FIRST, b"[[],{}]", Move.COMPLETE)
        [first] = await take(store)
        assert await end(store, first, Move.RETRY)
        [second] = await take(store)
        assert first.payload == second.payload == child.payload == b"[[0],{}]"
