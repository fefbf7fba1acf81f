"""What is too rare, or too slow, to be seen in a whole worker."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from offload import Queue, StoreUnavailable, current_job
from offload.core.decide import Raised, Returned
from offload.core.job import Job, NewJob
from offload.core.records import Failure, Finish, Held
from offload.core.retry import RetryPolicy
from offload.core.states import State
from offload.store.base import Beat, Store
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from offload.worker.completer import Completer
from offload.worker.janitor import MOST, Janitor, take_over
from offload.worker.pace import Pace
from offload.worker.progress import Progress
from offload.worker.runs import Runs
from offload.worker.steward import Steward
from tests.worker.staging import Stage, working

BEAT = Beat("me", lease=30.0)


@pytest.fixture
async def stores(tmp_path: Path, clock: ManualClock) -> AsyncIterator[list[SQLiteStore]]:
    """Two stores on one file, as two processes would have them."""
    stores = [SQLiteStore(tmp_path / "jobs.db", clock=clock) for _ in range(2)]
    for store in stores:
        await store.open()
    yield stores
    for store in stores:
        await store.close()


async def claimed(store: Store, *ids: str, worker: str = "other", retries: int = 3) -> list[Any]:
    """Have these jobs held by a worker."""
    jobs = [NewJob(job_id, "task", retry=RetryPolicy(max_retries=retries)) for job_id in ids]
    await store.enqueue(jobs)
    return (await store.claim(worker, None, len(ids))).jobs


async def test_two_janitors_take_a_job_over_once(
    stores: list[SQLiteStore], clock: ManualClock
) -> None:
    ids = [f"j{n}" for n in range(250)]  # more than one look brings
    await claimed(stores[0], *ids)
    await stores[0].heartbeat(Beat("other", lease=30.0))
    await asyncio.gather(*(take_over(store) for store in stores))
    assert (await stores[0].stats())[State.RUNNING] == 250
    clock.advance(31)
    await asyncio.gather(*(take_over(store) for store in stores * 2))
    for job_id, job in zip(ids, await stores[1].get(ids), strict=True):
        assert job is not None
        assert (job.state, job.attempt, job.crashes) == (State.PENDING, 1, 0)
        assert len(await stores[1].errors(job_id)) == 1


async def test_a_lapsed_job_without_retries_dies_with_its_reason(
    stores: list[SQLiteStore], clock: ManualClock
) -> None:
    await claimed(stores[0], "a", retries=0)
    await stores[0].heartbeat(Beat("other", lease=30.0))
    clock.advance(31)
    await asyncio.gather(*(take_over(store) for store in stores))
    [letter] = await stores[0].dead_letters(10, 0)
    assert letter.job.error == "WorkerLost: worker other was silent for 31 s"


async def test_three_lapses_are_poison(stores: list[SQLiteStore], clock: ManualClock) -> None:
    await stores[0].enqueue([NewJob("a", "task", retry=RetryPolicy(max_retries=50))])
    for _ in range(3):
        assert len((await stores[0].claim("other", None, 1)).jobs) == 1
        await take_over(stores[1], crashed=True)
        clock.advance(3600)
    [letter] = await stores[0].dead_letters(10, 0)
    assert letter.job.error is not None
    assert letter.job.error.startswith("PoisonJob: its process died 3 times")


class TestLateness:
    """Who was late himself may take others for late."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The process's own clock."""
        now = [time.monotonic()]
        monkeypatch.setattr("offload.worker.steward.time.monotonic", lambda: now[0])
        return now

    @pytest.fixture
    async def steward(self, stores: list[SQLiteStore], now: list[float]) -> Steward:
        assert now
        steward = Steward(stores[0], BEAT, 5.0, Runs(), {})
        await beat(steward)
        return steward

    async def test_a_process_in_time_may_judge_after_its_first_lease(
        self, steward: Steward, now: list[float]
    ) -> None:
        """Before, it cannot know whether others were kept from beating."""
        for number in range(20):
            now[0] += 5
            assert steward.may_judge == (number >= 5)
            await beat(steward)
        assert steward.may_judge

    async def test_after_a_pause_it_judges_nobody_for_a_lease(
        self, steward: Steward, now: list[float]
    ) -> None:
        now[0] += 100
        await beat(steward)
        assert not steward.may_judge
        for _ in range(5):
            now[0] += 5
            await beat(steward)
            assert not steward.may_judge
        now[0] += 6
        await beat(steward)
        assert steward.may_judge

    async def test_nor_before_it_has_beaten_again(self, steward: Steward, now: list[float]) -> None:
        """After a pause the janitor may well have its turn first."""
        now[0] += 100
        assert not steward.may_judge

    async def test_a_janitor_that_may_not_judge_takes_nothing_over(
        self, stores: list[SQLiteStore]
    ) -> None:
        await claimed(stores[0], "a")
        for may, state in ((False, State.RUNNING), (True, State.PENDING)):
            janitor = Janitor(stores[0], partial(bool, may), None)
            janitor.stopping.set()
            await janitor.step()
            [job] = await stores[0].get(["a"])
            assert job is not None
            assert job.state is state

    async def test_a_janitor_that_may_judge_no_longer_does_not_look_again(
        self, stores: list[SQLiteStore]
    ) -> None:
        """Its first look's ends may have waited until everybody seemed to be silent."""
        await claimed(stores[0], *(f"j{n}" for n in range(MOST + 1)))
        answers = iter([True, False])
        janitor = Janitor(stores[0], lambda: next(answers), None)
        janitor.stopping.set()
        await janitor.step()
        assert (await stores[0].stats())[State.RUNNING] == 1


async def beat(steward: Steward) -> None:
    """Do one step of a steward, which would else rest until the next beat."""
    steward.stopping.set()
    await steward.step()


async def test_a_claim_whose_answer_was_lost_is_given_back(stores: list[SQLiteStore]) -> None:
    """The store says that we hold it, and we know of nothing: twice, to be sure."""
    await claimed(stores[0], "a", worker="me")
    steward = Steward(stores[0], BEAT, 5.0, Runs(), {})
    await beat(steward)
    [job] = await stores[0].get(["a"])
    assert job is not None
    assert job.state is State.RUNNING
    await beat(steward)
    [job] = await stores[0].get(["a"])
    assert job is not None
    assert (job.state, job.attempt, job.crashes) == (State.PENDING, 0, 0)


@pytest.mark.parametrize("failures", [1, 3])
async def test_an_outcome_outlives_a_store_that_is_away(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr("offload.worker.service.REST", 0.001)
    real = queue.store.finish
    asked: list[int] = []

    async def finish(finishes: list[Finish]) -> list[bool]:
        asked.append(len(finishes))
        if len(asked) <= failures:
            raise StoreUnavailable("for now")
        return await real(finishes)

    monkeypatch.setattr(queue.store, "finish", finish)
    ran: list[str] = []

    @queue.task
    def run(value: int) -> int:
        ran.append(current_job.id)
        return value

    async with working(queue):
        jobs = await run.amap([(n,) for n in range(10)])
        assert [await job.aresult(timeout=30) for job in jobs] == list(range(10))
    assert sorted(ran) == sorted(job.id for job in jobs)
    assert len(asked) > failures


async def test_a_first_beat_waits_for_a_store_that_has_just_gone_away(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when it was opened."""
    monkeypatch.setattr("offload.worker.steward.REST", 0.001)
    real = queue.store.heartbeat
    failures = iter([StoreUnavailable("for now")] * 3)

    async def heartbeat(beat: Beat) -> list[Held]:
        for failure in failures:
            raise failure
        return await real(beat)

    monkeypatch.setattr(queue.store, "heartbeat", heartbeat)

    @queue.task
    def run() -> str:
        return "done"

    async with working(queue):
        assert await (await run.adelay()).aresult(timeout=30) == "done"


async def test_an_outcome_is_stored_before_the_worker_goes(
    app: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store comes back after the worker was asked to stop, within the grace."""
    monkeypatch.setattr("offload.worker.service.REST", 0.001)
    real = app.queue.store.finish
    away = [True]

    async def finish(finishes: list[Finish]) -> list[bool]:
        if away[0]:
            raise StoreUnavailable("for now")
        return list(await real(finishes))

    monkeypatch.setattr(app.queue.store, "finish", finish)
    async with working(app.queue, grace=30) as work:
        job = await app.in_thread.adelay("gate")
        await stage.started()
        stage.open_gate()
        work.stop.set()
        away[0] = False
    assert await job.aresult(timeout=0) == "lease 1"


def completer_of(store: Store, applied: list[str]) -> Completer:
    """Return one that notes which ends counted."""

    def stored(ends: Iterable[tuple[Job, Finish]]) -> None:
        applied.extend(job.id for job, _ in ends)

    return Completer(store, Runs(), Pace(), Progress(store), stored)


async def test_what_the_store_refuses_is_dropped_and_counted(stores: list[SQLiteStore]) -> None:
    [a, b] = await claimed(stores[0], "a", "b")
    applied: list[str] = []
    completer = completer_of(stores[0], applied)
    completer.ended(a, Returned(b"1"))
    completer.ended(a, Returned(b"2"))
    completer.ended(b, Raised(Failure("ValueError", "boom"), retryable=False))
    await completer.step()
    assert completer.refused == 1
    assert applied == ["a", "b"]
    stored = await stores[0].get(["a", "b"])
    assert [(job.state, job.result) for job in stored if job] == [
        (State.COMPLETE, b"1"),
        (State.FAILED, None),
    ]


async def test_a_cancel_that_the_worker_has_not_heard_of_wins_over_a_retry(
    stores: list[SQLiteStore],
) -> None:
    [job] = await claimed(stores[0], "a")
    completer = completer_of(stores[0], [])
    assert await stores[1].cancel("a", running=True)
    completer.ended(job, Raised(Failure("ValueError", "boom")))
    await completer.step()
    [stored] = await stores[0].get(["a"])
    assert stored is not None
    assert stored.state is State.CANCELLED
