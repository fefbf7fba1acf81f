"""What can be read is what is there, in the order that was promised."""

from dataclasses import replace
from typing import Any

import pytest

from offload.core.job import Job
from offload.core.records import Report
from offload.core.states import Move, State
from offload.store.base import JobFilter, Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    MOVES,
    end,
    ended,
    new,
    put,
    read,
    run,
    take,
)


async def found(store: Store, **wanted: Any) -> list[str]:
    """Return the ids that a search gives."""
    return [job.id for job in await store.search(replace(JobFilter(), **wanted))]


class Reading:
    """What `get`, `search`, `stats`, `errors` and `dead_letters` owe."""

    async def test_get_keeps_the_order_asked_for(self, store: Store) -> None:
        """With None for what is not there, also when an id is asked for twice."""
        await put(store, "a", "b", "c")
        jobs = await store.get(["c", "no", "a", "c"])
        assert [job and job.id for job in jobs] == ["c", None, "a", "c"]
        assert await store.get([]) == []

    async def test_get_of_many_jobs(self, store: Store) -> None:
        """More than a driver may be able to name in one statement."""
        await put(store, *(f"j{n}" for n in range(1500)))
        jobs = await store.get([f"j{n}" for n in reversed(range(1500))])
        assert [job and job.id for job in jobs] == [f"j{n}" for n in reversed(range(1500))]

    async def test_search_gives_the_newest_first(self, store: Store, clock: ManualClock) -> None:
        """Whatever their ids sort like and whatever has become of them."""
        await put(store, "c", "a")
        clock.advance(1)
        await put(store, "b")
        clock.advance(1)
        await run(store, "d", priority=1)
        assert await found(store) == ["d", "b", "a", "c"]

    async def test_search_pages_meet_each_job_once(self, store: Store) -> None:
        """Each page goes on behind the last id of the one before it."""
        await put(store, *(f"j{n}" for n in range(7)))
        before, pages = None, []
        while page := await found(store, before=before, limit=3):
            pages.append(page)
            before = page[-1]
        assert pages == [["j6", "j5", "j4"], ["j3", "j2", "j1"], ["j0"]]

    async def test_search_pages_are_not_shifted_by_new_jobs(self, store: Store) -> None:
        """What comes in between two pages is newer than both."""
        await put(store, "a", "b", "c")
        assert await found(store, limit=2) == ["c", "b"]
        await put(store, "d", "e")
        assert await found(store, limit=2, before="b") == ["a"]

    async def test_a_page_goes_on_though_its_last_job_is_gone(
        self, store: Store, clock: ManualClock
    ) -> None:
        """From where it would have stood by its id."""
        await put(store, *"abde", delay=60.0)
        assert await store.cancel("d")
        clock.advance(10)
        assert (await store.prune(jobs_older_than=1)).jobs == 1
        assert await found(store, before="d") == ["b", "a"]
        assert await found(store, before="A") == []

    async def test_a_page_is_bounded_unless_said_otherwise(self, store: Store) -> None:
        """Twenty jobs are a page."""
        await put(store, *(f"j{n}" for n in range(25)))
        assert len(await found(store)) == 20
        assert len(await found(store, limit=100)) == 25

    async def test_search_filters(self, store: Store) -> None:
        """By state, task, queue and tag, each alone and all together, between pages too."""
        await store.enqueue(
            [
                new("a", task="t1", queue="q1", tags=("x", "y")),
                new("b", task="t2", queue="q1", tags=("x",)),
                new("c", task="t1", queue="q2", tags=("xy",)),
                new("d", task="t1", queue="q1", tags=("y", "x")),
            ]
        )
        assert await store.cancel("b")
        assert await found(store, task="t1") == ["d", "c", "a"]
        assert await found(store, queue="q1") == ["d", "b", "a"]
        assert await found(store, tag="x") == ["d", "b", "a"]
        assert await found(store, tag="%") == []
        assert await found(store, states=(State.CANCELLED,)) == ["b"]
        assert await found(store, states=(State.PENDING, State.CANCELLED), limit=9) == list("dcba")
        assert await found(store, states=(State.DEAD,)) == []
        assert await found(
            store, states=(State.PENDING,), task="t1", queue="q1", tag="x", limit=1
        ) == ["d"]
        assert await found(
            store, states=(State.PENDING,), task="t1", queue="q1", tag="x", before="d"
        ) == ["a"]

    async def test_search_by_time(self, store: Store, clock: ManualClock) -> None:
        """From an instant on, up to before another, by when a job was enqueued."""
        start = clock.now()
        for job_id in "abc":
            await put(store, job_id, delay=60.0)
            clock.advance(1)
        assert await found(store, created_after=start + 1000) == ["c", "b"]
        assert await found(store, created_after=start + 1001) == ["c"]
        assert await found(store, created_before=start + 1000) == ["a"]
        assert await found(store, created_before=start + 1001) == ["b", "a"]
        assert await found(store, created_after=start, created_before=start + 2000, limit=1) == [
            "b"
        ]
        assert await found(store, created_after=start + 3000) == []

    async def test_search_gives_whole_jobs(self, store: Store) -> None:
        """As `get` does."""
        await ended(store, "a", Move.COMPLETE, tags=("x",), metadata={"n": 1})
        assert await store.search(JobFilter()) == [await read(store, "a")]

    async def test_stats_have_every_state(self, store: Store) -> None:
        """Also those in which there is no job, or no job of that queue."""
        assert dict(await store.stats()) == dict.fromkeys(State, 0)
        assert dict(await store.stats("no")) == dict.fromkeys(State, 0)

    async def test_stats_count_each_job_where_it_stands(self, store: Store) -> None:
        """In its one state, in the whole store and by queue."""
        for move in ENDS:
            await ended(store, move, move, queue="q1")
        await run(store, "a", queue="q2")
        await put(store, "b", "c", queue="q2")
        await put(store, "d", queue="q1", delay=60.0)
        ends = dict.fromkeys((State.COMPLETE, State.FAILED, State.DEAD, State.CANCELLED), 1)
        assert await store.stats() == {**ends, State.RUNNING: 1, State.PENDING: 3}
        assert await store.stats("q1") == {**ends, State.RUNNING: 0, State.PENDING: 1}
        waiting = {State.RUNNING: 1, State.PENDING: 2}
        assert await store.stats("q2") == {**dict.fromkeys(State, 0), **waiting}

    async def test_errors_are_those_of_the_job_oldest_first(self, store: Store) -> None:
        """Each has a number of its own."""
        for _ in range(3):
            await end(store, await run(store, "a"), Move.RETRY)
        await ended(store, "b", Move.FAIL, priority=1)
        errors = await store.errors("a")
        assert [(error.job_id, error.attempt) for error in errors] == [("a", 1), ("a", 2), ("a", 3)]
        assert len({error.id for error in (*errors, *await store.errors("b"))}) == 4
        assert await store.errors("no") == []

    async def test_dead_letters_are_paged_newest_first(
        self, store: Store, clock: ManualClock
    ) -> None:
        """By when they died, not by when they were enqueued."""
        await put(store, *"abcde")
        jobs = await take(store, 5)
        for job in (jobs[2], jobs[0], jobs[4], jobs[1], jobs[3]):
            assert await end(store, job, Move.BURY)
            clock.advance(1)
        pages = [await store.dead_letters(2, offset) for offset in (0, 2, 4, 6)]
        assert [[letter.id for letter in page] for page in pages] == [
            ["d", "b"],
            ["e", "a"],
            ["c"],
            [],
        ]


class Versions:
    """What a watcher may build on: `Job.version` rises with every change it can see."""

    @pytest.mark.parametrize("move", MOVES)
    async def test_every_step_of_a_life_raises_the_version(self, store: Store, move: Move) -> None:
        """Claim, report, request to stop and end."""
        [job] = await put(store, "a")
        seen = [job]
        [job] = await take(store)
        seen.append(job)
        await store.report([Report("a", job.lease, 10)])
        seen.append(await read(store, "a"))
        await store.cancel("a", running=True)
        seen.append(await read(store, "a"))
        await end(store, job, move)
        seen.append(await read(store, "a"))
        self.check(seen)

    async def test_the_end_of_a_waiting_job_raises_the_version(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Whether it was cancelled or has expired."""
        cancelled = await put(store, "a")
        await store.cancel("a")
        self.check([*cancelled, await read(store, "a")])
        expired = await put(store, "b", expires=1.0)
        clock.advance(2)
        await take(store)
        self.check([*expired, await read(store, "b")])

    async def test_what_is_refused_does_not_raise_the_version(self, store: Store) -> None:
        """A watcher is not woken for nothing."""
        job = await ended(store, "a", Move.COMPLETE)
        await store.report([Report("a", job.lease, 10)])
        await store.cancel("a", running=True)
        await end(store, job, Move.FAIL)
        await put(store, "a")
        assert await read(store, "a") == job

    def check(self, seen: list[Job]) -> None:
        """Each sight of a job has a higher version than the one before."""
        versions = [job.version for job in seen]
        assert versions == sorted(set(versions))
