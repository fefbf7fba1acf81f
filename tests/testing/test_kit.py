"""The kit for tests of programs: what it runs, where and when."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from offload import (
    Abort,
    ArgumentError,
    ConfigurationError,
    DuplicateJob,
    JobCancelled,
    JobDead,
    JobEvent,
    JobFailed,
    JobPurged,
    OffloadError,
    Queue,
    TaskNotRegistered,
    Unique,
    chain,
    chord,
    current_job,
)
from offload.fastapi import QueueRouter, lifespan
from offload.testing import Harness

DONE: list[Any] = []
"""What the functions did, in their order."""


@dataclass
class Point:
    """A value that only travels if it is encoded and decoded by its type."""

    x: int


queue = Queue(db_path="never-opened/jobs.db", workers=2, result_ttl=3600)


@queue.task
def note(word: str, times: int = 1) -> str:
    DONE.append(word)
    return word * times


@queue.task
async def anote(word: str) -> str:
    await asyncio.sleep(0)
    DONE.append(asyncio.get_running_loop())
    return word


@queue.task
def flip(point: Point) -> Point:
    return Point(-point.x)


@queue.task(max_retries=2, retry_backoff=100, max_retry_delay=1000)
def fail() -> None:
    DONE.append(current_job.retry_count)
    raise ValueError("never works")


@queue.task(max_retries=0)
def fail_once() -> None:
    raise ValueError("does not work")


@queue.task
def add(numbers: list[int]) -> int:
    return sum(numbers)


@queue.task
def double(number: int) -> int:
    DONE.append(number)
    return 2 * number


@queue.task
def tell() -> None:
    current_job.log("a line")
    current_job.publish({"part": 1})
    current_job.update_progress(50, "half")


@queue.task
def spawn(count: int) -> str | None:
    if count == 0:
        return None
    child = spawn.delay(count - 1)
    child.refresh()
    return child.status


@queue.task
async def aspawn() -> str:
    child = await anote.adelay("child")
    return await child.aresult()


@queue.task
async def block() -> str:
    return note.delay("from a coroutine").status


@queue.task(rate_limit="1/m")
def slow(word: str) -> None:
    DONE.append(word)


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    DONE.clear()


@pytest.fixture
def kit() -> Iterator[Harness]:
    with Harness(queue) as kit:
        yield kit


@pytest.fixture
def eager() -> Iterator[Harness]:
    with Harness(queue, eager=True) as kit:
        yield kit


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("offload")}


# --- the block ---------------------------------------------------------------------------


def test_the_queue_is_as_before_after_the_block(tmp_path: Path) -> None:
    real = Queue(db_path=str(tmp_path / "jobs.db"))
    real.task(name="note")(note.function)
    kept = real.enqueue("note", "kept")
    store = real.store
    with pytest.raises(ZeroDivisionError), Harness(real) as kit:
        inside = real.enqueue("note", "inside")
        assert real.get_job(kept.id) is None
        assert kit.drain()[0].id == inside.id
        raise ZeroDivisionError
    assert real.store is store
    assert [job.id for job in real.list_jobs()] == [kept.id]
    assert kept.refresh().status == "pending"
    with pytest.raises(JobPurged):
        inside.refresh()
    real.close()


def test_nothing_of_the_real_queue_is_opened_and_no_thread_is_left() -> None:
    before = threads()
    with Harness(queue, eager=True):
        anote.delay("a")
        note.delay("b")
    assert not Path("never-opened").exists()
    assert threads() - {"offload-task"} == before  # that one ends by itself


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
        with pytest.raises(TimeoutError, match="not finished"):
            note.delay("b").result()


# --- inside a running loop ---------------------------------------------------------------


async def test_coroutines_run_on_the_loop_that_awaits() -> None:
    async with Harness(queue) as kit:
        job = await anote.adelay("a")
        [ended] = await kit.adrain()
        assert await job.aresult() == await ended.aresult() == "a"
        await kit.arun(await anote.adelay("b"))
        assert DONE == [asyncio.get_running_loop()] * 2


async def test_plain_calls_work_on_a_loop_and_run_coroutines_elsewhere() -> None:
    with Harness(queue) as kit:
        job = anote.delay("a")
        kit.drain()
        assert job.result() == "a"
        assert queue.stats()["completed"] == 1
        assert DONE != [asyncio.get_running_loop()]


@pytest.mark.parametrize("task", [note, anote])
async def test_eager_jobs_run_inside_a_running_loop(task: Any) -> None:
    async with Harness(queue, eager=True):
        assert task.delay("a").status == "complete"
        assert (await task.adelay("b")).status == "complete"
        assert [job.status for job in task.map([("c",), ("d",)])] == ["complete"] * 2
        assert task.delay("e").result() == "e"


async def test_requests_at_the_same_moment_each_find_their_job_done() -> None:
    async with Harness(queue, eager=True):
        jobs = await asyncio.gather(*(note.adelay(str(n)) for n in range(20)))
        assert {job.status for job in jobs} == {"complete"}


def application() -> FastAPI:
    app = FastAPI(lifespan=lifespan(queue, worker=True))
    app.include_router(QueueRouter(queue), prefix="/tasks")

    @app.post("/blocking")
    async def blocking(word: str) -> dict[str, str]:
        return {"id": note.delay(word).id}

    @app.post("/awaiting")
    async def awaiting(word: str) -> dict[str, str]:
        return {"id": (await anote.adelay(word)).id}

    return app


@pytest.mark.parametrize("path", ["/blocking", "/awaiting"])
@pytest.mark.parametrize("eager", [True, False])
async def test_an_async_endpoint_on_the_loop_of_the_test(path: str, *, eager: bool) -> None:
    transport = httpx.ASGITransport(application())
    async with (
        Harness(queue, eager=eager) as kit,
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        answer = await client.post(path, params={"word": "a"})
        if not eager:
            await kit.adrain()
        result = await client.get(f"/tasks/jobs/{answer.json()['id']}/result")
        assert result.json()["result"] == "a"


def test_a_program_with_a_worker_of_its_own_waits_for_the_test(kit: Harness) -> None:
    with TestClient(application()) as client:
        job_id = client.post("/blocking", params={"word": "a"}).json()["id"]
        assert client.get(f"/tasks/jobs/{job_id}/result?timeout=0.1").json()["status"] == "pending"
        [job] = kit.drain()
        assert client.get(f"/tasks/jobs/{job_id}/result").json()["result"] == job.result()
    assert len(kit.enqueued()) == 1  # still there when the program has closed the queue


# --- eager -------------------------------------------------------------------------------


def test_whatever_enqueues_runs_it_before_it_returns(eager: Harness) -> None:
    assert note.delay("a").result() == "a"
    assert note.apply_async(("b",), {"times": 2}, priority=5).result() == "bb"
    assert [job.result() for job in note.map([("c",), ("d",)])] == ["c", "d"]
    assert queue.enqueue_many(note.name, [("e",)])[0].result() == "e"
    assert chord([double.s(1), double.s(2)], add.s()).delay().result() == 6
    assert note.apply_async(("later",), delay=1).status == "pending"
    eager.eager = False
    assert note.delay("held").status == "pending"


def test_current_job_works(eager: Harness) -> None:
    job = tell.delay()
    assert [part.value for part in job.parts()] == [{"part": 1}]
    assert [log.line.message for log in job.logs()] == ["a line"]
    assert (job.message, eager.enqueued()[0].status) == ("half", "complete")


def test_an_error_is_stored_and_comes_with_the_result(eager: Harness) -> None:
    job = fail_once.delay()
    assert job.status == "dead"
    with pytest.raises(JobDead, match="does not work"):
        job.result()
    assert [error.failure.type for error in job.errors()] == ["ValueError"]
    again = queue.get_job(queue.retry_dead(job.id))
    assert again is not None
    assert again.status == "dead"
    assert job.replay().status == "dead"
    assert len(eager.enqueued(fail_once)) == 3


def test_jobs_that_enqueue_jobs_run_them_within(eager: Harness) -> None:
    assert spawn.delay(3).result() == "complete"
    assert aspawn.delay().result() == "child"
    assert block.delay().result() == "complete"
    assert len(eager.enqueued(spawn)) == 4


# --- time --------------------------------------------------------------------------------


def test_retries_come_with_time_and_not_before(kit: Harness) -> None:
    job = fail.delay()
    assert kit.drain() == []
    assert (job.refresh().status, DONE) == ("pending", [0])
    kit.advance(49)  # half of 100 s at least
    assert (kit.drain(), DONE) == ([], [0])
    kit.advance(51)
    assert (kit.drain(), DONE) == ([], [0, 1])
    kit.advance(timedelta(seconds=200))
    assert [ended.status for ended in kit.drain()] == ["dead"]
    assert DONE == [0, 1, 2]


def test_eager_retries_run_at_their_times_on_the_way(eager: Harness) -> None:
    began = eager.now
    job = fail.delay()
    eager.advance(timedelta(hours=1))
    assert (job.refresh().status, DONE) == ("dead", [0, 1, 2])
    assert job.finished_at is not None
    passed = job.finished_at / 1000 - began.timestamp()
    assert 150 <= passed <= 300
    assert eager.now == began + timedelta(hours=1)


def test_delays_limits_and_expiry(kit: Harness) -> None:
    note.apply_async(("delayed",), delay=60)
    expired = note.apply_async(("expired",), delay=100, expires=10)
    slow.map([("one",), ("two",)])
    kit.drain()
    assert DONE == ["one"]
    kit.travel_to(kit.now + timedelta(seconds=60))
    assert expired.refresh().status == "cancelled"
    kit.drain()
    assert DONE == ["one", "two", "delayed"]
    with pytest.raises(JobCancelled):
        expired.result()


def test_results_go_when_their_time_is_over(kit: Harness) -> None:
    short, long = note.apply_async(("a",), result_ttl=10), note.delay("b")
    kit.drain()
    kit.advance(11)
    assert queue.get_job(short.id) is None
    assert long.refresh().result() == "b"
    kit.advance(3600)
    assert queue.get_job(long.id) is None


def test_unique_keys(kit: Harness) -> None:
    first = note.apply_async(("a",), unique_key="k")
    assert note.apply_async(("a",), unique_key="k").id == first.id
    window = Unique(within=60, on_conflict="reject")
    note.apply_async(("b",), unique=window)
    kit.advance(59)
    with pytest.raises(DuplicateJob):
        note.apply_async(("b",), unique=window)
    kit.advance(2)
    note.apply_async(("b",), unique=window)
    assert len(kit.drain()) == 3


def test_locks_run_out() -> None:
    with Harness(queue) as kit:
        with queue.lock("one", ttl=60, extend=False), pytest.raises(TimeoutError):
            queue.lock("one", timeout=0).__enter__()
        held = queue.lock("two", ttl=60, extend=False)
        held.__enter__()
        kit.advance(61)
        with queue.lock("two", timeout=0):
            pass


def test_time_goes_forward_only(kit: Harness) -> None:
    with pytest.raises(ConfigurationError, match="back"):
        kit.advance(-1)
    with pytest.raises(ConfigurationError, match="back"):
        kit.travel_to(datetime(2000, 1, 1, tzinfo=UTC))
    with pytest.raises(ConfigurationError, match="time zone"):
        kit.travel_to(datetime(2100, 1, 1))  # noqa: DTZ001 - it is refused


@pytest.mark.parametrize("eager", [True, False])
def test_a_week_of_ticks(*, eager: bool) -> None:
    own = Queue("memory://")
    fired: list[datetime | None] = []

    @own.periodic(every=3600, name="hourly")
    @own.periodic(cron="0 9 * * *", name="daily")
    @own.task
    def tick() -> None:
        fired.append(current_job.tick)

    monday = datetime(2024, 1, 1, 0, 30, tzinfo=UTC)
    began = time.monotonic()
    with Harness(own, eager=eager, now=monday) as kit:
        kit.advance(timedelta(weeks=1))
        kit.drain()
        jobs = kit.enqueued(tick)
    assert len(jobs) == len(fired) == 7 * 25
    assert fired == sorted(fired, key=str)
    assert all(job.created_at == job.tick for job in jobs)
    print("WEEK", eager, time.monotonic() - began)
    own.close()
