"""Jobs go in once, whole, and as they were asked for."""

import asyncio

from offload.core.job import stored
from offload.core.lane import Lane
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State
from offload.core.unique import UniqueKey
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import end, new, put, read, run, take


class Enqueueing:
    """What `open`, `close` and `enqueue` owe."""

    async def test_opening_twice_is_once(self, store: Store) -> None:
        """A second open keeps what is there and works on."""
        await put(store, "a")
        await store.open()
        assert [job.id for job in await take(store)] == ["a"]

    async def test_closing_twice_is_once(self, store: Store) -> None:
        """Nothing is left to do for a second close."""
        await store.close()
        await store.close()

    async def test_a_job_is_kept_as_it_was_asked_for(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Every field comes back, in every way to read it, and counters start at nought."""
        full = new(
            "a",
            task='app."odd"; ünï\n% name',
            queue="it's; a 'queue'",
            payload=bytes(range(256)),
            priority=-7,
            delay=1.5,
            retry=RetryPolicy(7, 0.25, 12.5, (0.5, 60.0)),
            timeout=2.5,
            expires=60.0,
            result_ttl=3.5,
            unique=UniqueKey("k'\"%"),
            metadata={"user": {"id": 1, "tags": ["x", None, True, 1.5]}, "ü": ""},
            tags=("b", "a", "b%"),
            origin="older",
            lane=Lane("a lane", interval=0.5, max_running=3),
            schedule="sched",
            tick=clock.now() - 1,
        )
        [answer] = await store.enqueue([full])
        assert answer == stored(full, clock.now())
        assert await read(store, "a") == answer
        clock.advance(2)
        [claimed] = await take(store)
        assert (claimed.payload, claimed.metadata, claimed.tags, claimed.retry) == (
            full.payload,
            full.metadata,
            full.tags,
            full.retry,
        )

    async def test_a_job_that_asks_for_nothing_is_due_at_once(
        self, store: Store, clock: ManualClock
    ) -> None:
        """What was left out gets the defaults."""
        [job] = await put(store, "a")
        assert job == stored(new("a"), clock.now())
        assert (job.state, job.attempt, job.lease, job.run_at) == (
            State.PENDING,
            0,
            0,
            clock.now(),
        )

    async def test_the_answer_is_the_job_as_it_is_stored(self, store: Store) -> None:
        """Metadata is JSON from the start, not only when it is read again."""
        [answer] = await put(store, "a", metadata={"pair": (1, 2)})
        assert answer.metadata == {"pair": [1, 2]}
        assert await read(store, "a") == answer

    async def test_answers_come_in_order(self, store: Store) -> None:
        """Each answer stands where its request stood, also between repeated ones."""
        await put(store, "b", "d")
        assert [job.id for job in await put(store, "a", "b", "c", "d", "e")] == list("abcde")
        assert await store.enqueue([]) == []

    async def test_a_repeated_enqueue_gives_one_job(self, store: Store) -> None:
        """The job that is there stays and is the answer, whatever else the repetition says."""
        [first] = await put(store, "a", payload=b"1")
        assert await put(store, "a", payload=b"2") == [first]
        assert (await store.stats())[State.PENDING] == 1

    async def test_a_repetition_inside_one_batch_gives_one_job(self, store: Store) -> None:
        """The first request of the batch wins."""
        one, two = await store.enqueue([new("a", payload=b"1"), new("a", payload=b"2")])
        assert one == two
        assert (await read(store, "a")).payload == b"1"

    async def test_a_late_repetition_answers_with_the_job_as_it_is_now(self, store: Store) -> None:
        """A running or finished job is not started over."""
        running = await run(store, "a")
        assert await put(store, "a") == [running]
        assert await end(store, running, Move.COMPLETE)
        [job] = await put(store, "a")
        assert job == await read(store, "a")
        assert job.state is State.COMPLETE

    async def test_concurrent_repetitions_give_one_job(self, store: Store) -> None:
        """A caller that was left in doubt may ask again while the first call still runs."""
        answers = await asyncio.gather(*(put(store, "a", payload=b"%d" % n) for n in range(20)))
        assert len({job.payload for [job] in answers}) == 1
        assert (await store.stats())[State.PENDING] == 1

    async def test_a_batch_is_stored_whole_or_not_at_all(self, store: Store) -> None:
        """One job that cannot be stored takes its batch with it, and no other batch."""
        good, bad = await asyncio.gather(
            put(store, "x", "y"),
            store.enqueue([new("a"), new("b", metadata={"no": object()}), new("c")]),
            return_exceptions=True,
        )
        assert isinstance(bad, TypeError | ValueError)
        assert not isinstance(good, BaseException)
        assert await store.get(["a", "b", "c"]) == [None, None, None]
        assert None not in await store.get(["x", "y"])

    async def test_a_stored_job_is_a_snapshot(self, store: Store) -> None:
        """What the caller does to its own values later does not reach the job."""
        metadata = {"n": 1}
        await put(store, "a", metadata=metadata)
        metadata["n"] = 2
        assert (await read(store, "a")).metadata == {"n": 1}

    async def test_concurrent_enqueues_are_all_stored(self, store: Store) -> None:
        """None is lost between many callers."""
        await asyncio.gather(*(put(store, f"a{n}", f"b{n}") for n in range(50)))
        assert (await store.stats())[State.PENDING] == 100
