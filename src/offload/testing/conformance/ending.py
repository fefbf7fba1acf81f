"""How jobs end, or wait again."""

import pytest

from offload.core.records import AttemptError, Failure
from offload.core.states import Move, State
from offload.store.base import Store
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import (
    ENDS,
    MOVES,
    beat,
    end,
    ended,
    ending,
    everything,
    put,
    read,
    run,
    take,
)

BOOM = Failure("Boom", "it broke", "Traceback: it broke")


def told(errors: list[AttemptError]) -> list[tuple[int, Failure, int]]:
    """Return all of an error record but its number."""
    return [(error.attempt, error.failure, error.failed_at) for error in errors]


class Ending:
    """What `finish` does when it is accepted."""

    async def test_complete_keeps_the_result(self, store: Store, clock: ManualClock) -> None:
        """Byte for byte, with full progress, no holder and no error."""
        job = await run(store, "a")
        clock.advance(2)
        result = bytes(range(256)) * 100
        assert await end(store, job, Move.COMPLETE, result=result)
        done = await read(store, "a")
        assert (done.state, done.result, done.progress) == (State.COMPLETE, result, 100)
        assert (done.worker, done.error, done.finished_at) == (None, None, clock.now())

    async def test_an_empty_result_is_a_result(self, store: Store) -> None:
        """No bytes are not the same as none."""
        job = await run(store, "a")
        assert await end(store, job, Move.COMPLETE, result=b"")
        assert (await read(store, "a")).result == b""

    async def test_success_clears_the_error_but_not_its_record(self, store: Store) -> None:
        """A job that worked in the end shows no error; how it failed before can be read."""
        await ended(store, "a", Move.RETRY)
        assert (await read(store, "a")).error == "Boom: it broke"
        [job] = await take(store)
        assert await end(store, job, Move.COMPLETE)
        assert (await read(store, "a")).error is None
        assert [error.attempt for error in await store.errors("a")] == [1]

    async def test_a_retry_waits_exactly_its_delay(self, store: Store, clock: ManualClock) -> None:
        """By the store's clock, from the moment it is stored."""
        job = await run(store, "a")
        clock.advance(5)
        assert await end(store, job, Move.RETRY, delay=2.5)
        waiting = await read(store, "a")
        assert (waiting.state, waiting.run_at) == (State.PENDING, clock.now() + 2500)
        assert (waiting.worker, waiting.finished_at, waiting.attempt) == (None, None, 1)
        clock.advance(2.499)
        assert await take(store) == []
        clock.advance(0.001)
        assert [(job.attempt, job.lease) for job in await take(store)] == [(2, 2)]

    async def test_a_retry_without_delay_can_be_claimed_at_once(self, store: Store) -> None:
        """Its place in the line is that of a job that has just become due."""
        await ended(store, "a", Move.RETRY)
        assert [job.id for job in await take(store)] == ["a"]

    async def test_a_release_gives_the_attempt_back(self, store: Store, clock: ManualClock) -> None:
        """Nothing is held against the job, and the lease still rises."""
        job = await run(store, "a")
        clock.advance(5)
        assert await end(store, job, Move.RELEASE)
        released = await read(store, "a")
        assert (released.state, released.attempt) == (State.PENDING, 0)
        assert (released.run_at, released.worker) == (job.run_at, None)
        assert (released.error, released.crashes) == (None, 0)
        assert await store.errors("a") == []
        assert [(job.attempt, job.lease) for job in await take(store)] == [(1, 2)]

    async def test_a_released_job_keeps_its_place_in_the_line(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Jobs that became due after it do not overtake it."""
        job = await run(store, "a")
        clock.advance(1)
        await put(store, "b")
        clock.advance(1)
        assert await end(store, job, Move.RELEASE)
        assert [job.id for job in await take(store, 2)] == ["a", "b"]

    async def test_a_released_job_may_wait(self, store: Store, clock: ManualClock) -> None:
        """A delay moves its due time, as a snooze does, and still uses no attempt."""
        job = await run(store, "a")
        clock.advance(5)
        assert await end(store, job, Move.RELEASE, delay=2.5)
        waiting = await read(store, "a")
        assert (waiting.run_at, waiting.attempt) == (clock.now() + 2500, 0)
        assert waiting.error is None
        clock.advance(2.499)
        assert await take(store) == []
        clock.advance(0.001)
        assert [(job.attempt, job.lease) for job in await take(store)] == [(1, 2)]

    @pytest.mark.parametrize("move", [Move.RETRY, Move.RELEASE])
    async def test_a_job_that_was_asked_to_stop_does_not_wait_again(
        self, store: Store, clock: ManualClock, move: Move
    ) -> None:
        """What would make it pending cancels it."""
        job = await run(store, "a")
        await store.cancel("a", running=True)
        clock.advance(1)
        assert await end(store, job, move, delay=5.0)
        over = await read(store, "a")
        assert (over.state, over.finished_at) == (State.CANCELLED, clock.now())
        assert over.error
        assert await take(store) == []

    @pytest.mark.parametrize(
        ("move", "state"), [(Move.FAIL, State.FAILED), (Move.BURY, State.DEAD)]
    )
    async def test_an_error_ends_the_job(
        self, store: Store, clock: ManualClock, move: Move, state: State
    ) -> None:
        """The job shows the error's last line; the record beside it has all of it."""
        job = await run(store, "a")
        clock.advance(1)
        assert await end(store, job, move)
        over = await read(store, "a")
        assert (over.state, over.error) == (state, "Boom: it broke")
        assert (over.result, over.worker, over.finished_at) == (None, None, clock.now())
        assert told(await store.errors("a")) == [(1, BOOM, clock.now())]

    async def test_each_failed_attempt_is_kept(self, store: Store, clock: ManualClock) -> None:
        """Oldest first, and the job shows the last."""
        kept = []
        for attempt in (1, 2, 3):
            job = await run(store, "a")
            clock.advance(1)
            failure = Failure("Boom", f"number {attempt}", "Traceback: …")
            assert await end(store, job, Move.RETRY, failure=failure)
            kept.append((attempt, failure, clock.now()))
        assert told(await store.errors("a")) == kept
        assert (await read(store, "a")).error == "Boom: number 3"

    async def test_a_buried_job_leaves_one_dead_letter(
        self, store: Store, clock: ManualClock
    ) -> None:
        """It holds the job as it died; no other end writes one."""
        for move in MOVES:
            if move is not Move.BURY:
                await ended(store, f"{move}", move, priority=-1)
                await store.cancel(f"{move}")
        dead = await ended(store, "a", Move.BURY, payload=b"[[1],{}]", metadata={"n": 1})
        [letter] = await store.dead_letters(5, 0)
        assert (letter.id, letter.job, letter.failed_at) == ("a", dead, clock.now())

    async def test_an_end_by_cancel_is_no_error(self, store: Store, clock: ManualClock) -> None:
        """The reason shows, but there is no failed attempt to record."""
        job = await run(store, "a")
        clock.advance(1)
        assert await end(store, job, Move.CANCEL, failure=Failure("Cancelled", "asked to stop"))
        over = await read(store, "a")
        assert (over.state, over.error) == (State.CANCELLED, "asked to stop")
        assert (over.worker, over.finished_at) == (None, clock.now())
        assert await store.errors("a") == []

    async def test_crashes_are_counted_only_when_said_so(self, store: Store) -> None:
        """An attempt that raised is not one whose process died."""
        for crashed, count in ((True, 1), (False, 1), (True, 2)):
            job = await run(store, "a")
            assert await end(store, job, Move.RETRY, crashed=crashed)
            assert (await read(store, "a")).crashes == count
        [job] = await take(store)
        assert await end(store, job, Move.BURY, crashed=True)
        assert (await read(store, "a")).crashes == 3

    async def test_an_error_that_is_no_proper_text_ends_the_job(self, store: Store) -> None:
        """As when Python tells a file name that is not UTF-8; nobody could try it again."""
        job = await run(store, "a")
        odd = Failure("OSError", "no such file: '\udcff\x00'", "Traceback: \udcff")
        assert await end(store, job, Move.FAIL, failure=odd)
        assert "no such file" in str((await read(store, "a")).error)

    async def test_a_large_batch_ends_in_one_call(self, store: Store) -> None:
        """Each with its own result."""
        await put(store, *(f"j{n}" for n in range(300)))
        jobs = await take(store, 300)
        batch = [ending(job, Move.COMPLETE, result=job.id.encode()) for job in jobs]
        assert await store.finish(batch) == [True] * 300
        results = [job.result for job in await store.get([job.id for job in jobs]) if job]
        assert results == [job.id.encode() for job in jobs]


class Cancelling:
    """What `cancel` owes."""

    async def test_a_pending_job_is_cancelled(self, store: Store, clock: ManualClock) -> None:
        """At once and for good; a second call did not do it."""
        await put(store, "a")
        clock.advance(1)
        assert await store.cancel("a")
        cancelled = await read(store, "a")
        assert (cancelled.state, cancelled.finished_at) == (State.CANCELLED, clock.now())
        assert cancelled.error
        assert not await store.cancel("a")
        assert await take(store) == []
        assert await read(store, "a") == cancelled

    async def test_a_job_that_is_not_yet_due_is_cancelled(
        self, store: Store, clock: ManualClock
    ) -> None:
        """A scheduled job and one that waits for its retry are pending like any other."""
        await put(store, "a", delay=10.0)
        await end(store, await run(store, "b"), Move.RETRY, delay=10.0)
        assert await store.cancel("a")
        assert await store.cancel("b")
        clock.advance(20)
        assert await take(store, 5) == []

    async def test_a_running_job_is_left_alone_unless_asked_for(self, store: Store) -> None:
        """False, and nothing has changed."""
        job = await run(store, "a")
        assert not await store.cancel("a")
        assert await read(store, "a") == job

    async def test_a_running_job_is_asked_to_stop(self, store: Store) -> None:
        """It runs on; its worker is told with the next beat and decides how it ends."""
        job = await run(store, "a")
        assert await store.cancel("a", running=True)
        asked = await read(store, "a")
        assert (asked.state, asked.cancel_requested) == (State.RUNNING, True)
        assert await beat(store) == {"a": True}
        assert await end(store, job, Move.CANCEL)
        assert (await read(store, "a")).state is State.CANCELLED

    async def test_only_a_running_job_is_asked_to_stop(self, store: Store) -> None:
        """A pending one is not what the caller meant."""
        [job] = await put(store, "a")
        assert not await store.cancel("a", running=True)
        assert await read(store, "a") == job

    @pytest.mark.parametrize("running", [False, True])
    @pytest.mark.parametrize("move", ENDS)
    async def test_an_ended_job_cannot_be_cancelled(
        self, store: Store, move: Move, *, running: bool
    ) -> None:
        """A caller that comes too late is told so, and nothing has changed."""
        await ended(store, "a", move)
        before = await everything(store, "a")
        assert not await store.cancel("a", running=running)
        assert await everything(store, "a") == before

    @pytest.mark.parametrize("running", [False, True])
    async def test_an_unknown_job_cannot_be_cancelled(self, store: Store, *, running: bool) -> None:
        """False, not an error."""
        assert not await store.cancel("no", running=running)
