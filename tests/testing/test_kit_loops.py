"""The kit inside a running loop, under a web program, and eager."""

import asyncio
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from offload import (
    JobDead,
    Queue,
    chord,
)
from offload.fastapi import QueueRouter, lifespan
from offload.testing import Harness
from tests.testing.program import (
    DONE,
    add,
    anote,
    aspawn,
    block,
    double,
    fail_once,
    note,
    queue,
    spawn,
    tell,
)

# --- inside a running loop ---------------------------------------------------------------


async def test_coroutines_run_on_the_loop_that_awaits() -> None:
    async with Harness(queue) as kit:
        job = await anote.adelay("a")
        [ended] = await kit.adrain()
        assert await job.aresult() == await ended.aresult() == "a"
        await kit.arun(await anote.adelay("b"))
        assert [asyncio.get_running_loop()] * 2 == DONE


async def test_plain_calls_work_on_a_loop_and_run_coroutines_elsewhere() -> None:
    with Harness(queue) as kit:
        job = anote.delay("a")
        kit.drain()
        assert job.result() == "a"
        assert queue.stats()["completed"] == 1
        assert [asyncio.get_running_loop()] != DONE


async def test_who_gives_a_drain_up_stops_what_it_runs() -> None:
    own = Queue("memory://")
    begun, ended = asyncio.Event(), asyncio.Event()

    @own.task
    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Harness(own) as kit:
        job = hang.delay()
        draining = asyncio.create_task(kit.adrain())
        await begun.wait()
        draining.cancel()
        await ended.wait()
        async for state in own.awatch(job.id):
            if state.status == "pending":
                break
    own.close()


@pytest.mark.parametrize("task", [note, anote])
async def test_eager_jobs_run_inside_a_running_loop(task: Any) -> None:
    async with Harness(queue, eager=True):
        assert task.delay("a").status == "complete"
        assert (await task.adelay("b")).status == "complete"
        assert [job.status for job in task.map([("c",), ("d",)])] == ["complete"] * 2
        assert task.delay("e").result() == "e"


async def test_who_enqueues_waits_for_the_job_whoever_runs_it() -> None:
    own = Queue("memory://")
    begun, gate = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @own.task
    def first() -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait()

    @own.task
    def second() -> None:
        for _ in range(200):
            own.stats()  # time for a worker to come, find nothing, and go
        gate.set()

    async with Harness(own, eager=True, concurrency=2):
        waiting = asyncio.create_task(first.adelay())
        await begun.wait()
        assert (await second.adelay()).status == "complete"  # whichever worker ran it
        assert (await waiting).status == "complete"
    own.close()


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
