"""The kit takes a queue's place, and runs its jobs when it is told to."""

import asyncio
import threading
from pathlib import Path

import pytest

from offload import (
    ArgumentError,
    JobDead,
    JobEvent,
    JobPurged,
    OffloadError,
    Queue,
    chain,
    chord,
)
from offload.testing import Harness
from tests.testing.program import (
    DONE,
    Point,
    add,
    anote,
    double,
    fail_once,
    flip,
    note,
    queue,
    spawn,
)


def threads() -> list[str]:
    names = sorted(thread.name for thread in threading.enumerate())
    # Those of plain functions end by themselves.
    return [name for name in names if name.startswith("offload") and name != "offload-task"]


# --- the block ---------------------------------------------------------------------------


def test_the_queue_is_as_before_after_the_block(tmp_path: Path) -> None:
    real = Queue(db_path=str(tmp_path / "jobs.db"))
    real.task(name="note")(note.function)
    kept = real.enqueue("note", "kept")
    store = real.store
    with Harness(real) as kit:
        inside = real.enqueue("note", "inside")
        assert real.get_job(kept.id) is None
        assert kit.drain()[0].id == inside.id
    assert real.store is store
    assert [job.id for job in real.list_jobs()] == [kept.id]
    assert kept.refresh().status == "pending"
    with pytest.raises(JobPurged):
        inside.refresh()
    real.close()


def test_the_queue_is_as_before_after_an_error_in_the_block() -> None:
    store, before = queue.store, threads()
    with pytest.raises(ZeroDivisionError), Harness(queue, eager=True):
        note.delay(str(1 // 0))
    assert queue.store is store
    assert threads() == before


def test_nothing_of_the_real_queue_is_opened_and_no_thread_is_left() -> None:
    before = threads()
    with Harness(queue, eager=True):
        anote.delay("a")
        note.delay("b")
    assert not Path("never-opened").exists()
    assert threads() == before


def test_two_blocks_one_after_the_other_know_nothing_of_each_other() -> None:
    for _ in range(2):
        with Harness(queue) as kit:
            note.apply_async(("a",), unique_key="once")
            kit.advance(10)
            kit.drain()
            assert len(kit.enqueued()) == 1


def test_blocks_of_two_queues_do_not_meet() -> None:
    other = Queue("memory://")
    with Harness(queue) as kit, Harness(other) as second:
        note.delay("a")
        second.advance(100)
        assert second.drain() == []
        assert len(kit.drain()) == 1
        assert kit.now < second.now
    other.close()


# --- draining ----------------------------------------------------------------------------


def test_drain_runs_what_is_due_and_what_comes_of_it(kit: Harness) -> None:
    first = spawn.delay(2)
    later = note.apply_async(("later",), delay=10)
    ended = kit.drain()
    assert [job.status for job in ended] == ["complete"] * 3
    assert ended[0].id == first.id
    assert first.result() == "pending"
    assert later.refresh().status == "pending"
    assert kit.drain() == []


def test_jobs_run_in_the_order_of_a_worker(kit: Harness) -> None:
    for word, priority in (("c", 0), ("d", 0), ("a", 9), ("b", 5)):
        note.apply_async((word,), priority=priority)
    kit.drain()
    assert DONE == ["a", "b", "c", "d"]


def test_no_job_is_taken_before_it_can_start() -> None:
    own = Queue("memory://")
    own.task(name="look")(lambda: own.stats()["running"])
    with Harness(own) as kit:
        jobs = own.enqueue_many("look", [()] * 30)
        kit.drain()
        assert {job.result() for job in jobs} == {1}
    own.close()


def test_drain_stops_after_as_many_runs(kit: Harness) -> None:
    note.map([("a",), ("b",), ("c",)])
    assert len(kit.drain(limit=2)) == 2
    assert DONE == ["a", "b"]
    assert len(kit.drain()) == 1


def test_one_job_is_run_alone_even_before_its_time(kit: Harness) -> None:
    note.delay("before")
    job = note.apply_async(("now",), delay=60)
    assert kit.run(job) is job
    assert (job.status, job.result(), DONE) == ("complete", "now", ["now"])


def test_a_job_that_cannot_run_is_not_run(kit: Harness) -> None:
    job = chain(note.s("a"), note.s()).delay()
    with pytest.raises(OffloadError, match=r"waits for other jobs \(1\)"):
        kit.run(job)
    done = kit.run(job.parent)
    with pytest.raises(OffloadError, match="complete> cannot run now"):
        kit.run(done)
    assert DONE == ["a"]


def test_chains_and_chords_are_drained_in_order(kit: Harness) -> None:
    job = chain(chord([double.s(1), double.s(2)], add.s()), double.s()).delay()
    assert [ended.task_name.rpartition(".")[2] for ended in kit.drain()] == [
        "double", "double", "add", "double",
    ]  # fmt: skip
    assert (job.result(), DONE) == (12, [1, 2, 6])


def test_values_travel_as_they_do_in_real_life(kit: Harness) -> None:
    job = flip.delay(Point(1))
    kit.drain()
    assert job.result() == Point(-1)
    with pytest.raises(ArgumentError):
        flip.delay("no point")  # type: ignore[arg-type]


def test_functions_wait_for_each_other_if_several_may_run() -> None:
    own = Queue("memory://")
    both = threading.Barrier(2, timeout=30)

    @own.task
    def meet() -> int:
        return both.wait()

    with Harness(own, concurrency=2) as kit:
        jobs = meet.map([(), ()])
        kit.drain()
        assert sorted(job.result() for job in jobs) == [0, 1]
    own.close()


def test_hooks_have_been_called_when_drain_returns() -> None:
    own = Queue("memory://")
    heard: list[str] = []

    @own.on_success
    def heard_success(event: JobEvent) -> None:
        heard.append(event.job_id)

    @own.on_failure
    async def heard_failure(event: JobEvent) -> None:
        heard.append(event.job_id)

    own.task(name="note")(note.function)
    own.task(name="fail", max_retries=0)(fail_once.function)
    with Harness(own) as kit:
        jobs = [own.enqueue("note", "a"), own.enqueue("fail")]
        kit.drain()
        assert heard == [job.id for job in jobs]
    own.close()


def test_timeouts_are_of_real_time() -> None:
    own = Queue("memory://")

    @own.task(timeout=0.01, max_retries=0)
    async def hang() -> None:
        await asyncio.Event().wait()

    with Harness(own) as kit:
        job = hang.delay()
        kit.drain()
        with pytest.raises(JobDead, match="timeout"):
            job.result()
    own.close()


def test_who_waits_for_a_job_that_nobody_runs_is_told(
    kit: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = note.delay("a")
    with pytest.raises(TimeoutError):
        job.result(timeout=0)
    with Harness(queue) as impatient:
        monkeypatch.setattr(impatient._client, "_patience", 0.01)  # noqa: SLF001 - or wait for 5 s
        with pytest.raises(TimeoutError, match="still pending"):
            note.delay("b").result()
