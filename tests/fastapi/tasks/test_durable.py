"""Queue tasks scheduled like any other: they become jobs."""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException

from offload import ArgumentError, ConfigurationError, Queue, Task as QueueTask
from offload.core.retry import RetryPolicy
from offload.fastapi import RequestTasks, Tasks, add_tasks, get_tasks
from offload.inproc.task import now
from offload.testing import Harness
from tests.fastapi.tasks.driving import Drive
from tests.inproc.waiting import until


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(str(tmp_path / "jobs.db"))
    yield queue
    queue.close()


@pytest.fixture
def mail(queue: Queue) -> QueueTask[[str], str, str]:
    @queue.task(name="mail")
    async def mail(to: str) -> str:
        return f"to {to}"

    return mail  # type: ignore[return-value]


@pytest.fixture
async def kit(queue: Queue) -> AsyncIterator[Harness]:
    async with Harness(queue) as kit:
        yield kit


Mail = Any


def at_module_level() -> None: ...


@pytest.mark.parametrize("kind", ["now", "after_route", "after_response"])
async def test_d1_a_queue_task_becomes_a_job_in_every_mode(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail, kind: str
) -> None:
    stored_at_start: list[bool] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> str | None:
        scheduler = tasks if kind == "now" else getattr(tasks, kind)
        return str(scheduler.schedule(mail, "ann").job_id)

    class Looks(Drive):
        def note(self, event: str) -> None:
            super().note(event)
            if event == "start 200":
                stored_at_start.append(bool(queue.list_jobs()))

    drive = Looks(app)
    answer = await drive.get()
    [task] = get_tasks(app).all()
    job = await queue.aget_job(answer.json())
    assert job is not None
    assert (task.status, task.job_id, task.mode) == ("enqueued", job.id, kind)
    assert task.job is not None
    assert task.job.id == job.id
    # Records are kept for a while, and arguments may be large.
    assert task.new_job is not None
    assert task.new_job.payload == b""
    # No response acknowledges a job that is not stored.
    assert stored_at_start == [kind != "after_response"]


async def test_d1_a_worker_runs_it(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail, kit: Harness
) -> None:
    @app.get("/")
    def endpoint(tasks: Tasks) -> str | None:
        return tasks.schedule(mail, "ann").job_id

    job_id = (await drive.get()).json()
    [job] = await kit.adrain()
    assert job.id == job_id
    assert await job.aresult() == "to ann"


async def test_d1_an_outcome_that_drops_stores_nothing(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(mail, "ann")
        tasks.after_route.schedule(mail, "ann")
        raise HTTPException(400)

    await drive.get()
    assert await queue.alist_jobs() == []
    assert get_tasks(app).stats().ended == {"dropped": 2}


async def test_d1_options_are_those_of_the_job(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.task(retry=7, timeout=9, key="ann").schedule(mail, "ann")
        policy = RetryPolicy(max_retries=2, delays=(1, 2))
        tasks.task(retry=policy).schedule(mail, "bob")

    await drive.get()
    bob, ann = (handle.job for handle in await queue.alist_jobs())
    assert (ann.retry.max_retries, ann.timeout, ann.unique_key) == (7, 9, "ann")
    assert (bob.retry.max_retries, bob.retry.delays) == (2, (1, 2))


async def test_d1_a_key_that_a_job_holds_is_409_or_leads_to_that_job(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail
) -> None:
    @app.get("/{on_conflict}")
    async def endpoint(on_conflict: str, tasks: Tasks) -> str:
        keyed = tasks.after_route.task(key="ann", on_conflict=on_conflict)
        return keyed.schedule(mail, "ann").id

    first = (await drive.get("/raise")).json()
    assert (await drive.get("/raise")).status == 409
    again = (await drive.get("/return")).json()
    one, other = get_tasks(app).get(first), get_tasks(app).get(again)
    assert one is not None
    assert other is not None
    assert one.job_id == other.job_id
    assert len(await queue.alist_jobs()) == 1


async def test_d1_a_store_that_fails_is_503(drive: Drive, app: FastAPI, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    queue = Queue(str(tmp_path / "file" / "jobs.db"))

    @queue.task
    def work() -> None: ...

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(work)
        tasks.after_response.schedule(drive.noting("never"))

    answer = await drive.get()
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert "never" not in drive.events
    assert {str(task.status) for task in get_tasks(app).all()} == {"failed", "dropped"}


@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        ({"shield": True}, "a job survives"),
        ({"on_error": print}, "on_failure"),
        ({"retry_on": OSError}, "queue.task"),
    ],
)
async def test_d1_what_a_job_cannot_have_is_refused_where_it_is_written(
    app: FastAPI, mail: Mail, options: Any, way_out: str
) -> None:
    with pytest.raises(ConfigurationError, match=way_out):
        get_tasks(app).task(**options).schedule(mail, "ann")


async def test_d1_wrong_arguments_are_refused_at_the_call(app: FastAPI, mail: Mail) -> None:
    with pytest.raises(ArgumentError):
        get_tasks(app).schedule(mail, 1, 2)


async def test_d1_with_durable_false_it_runs_here(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail
) -> None:
    here = get_tasks(app).task(durable=False, shield=True)
    task = here.schedule(mail, "ann")
    assert await task.wait(10) == "succeeded"
    assert (task.result, task.job_id) == ("to ann", None)
    assert await queue.alist_jobs() == []


async def test_d2_durable_on_an_unregistered_function_is_refused(app: FastAPI) -> None:
    with pytest.raises(ConfigurationError, match=r"decorate it with @queue\.task"):
        get_tasks(app).task(durable=True).schedule(print)


async def test_d2_a_process_is_not_to_be_had_here(app: FastAPI, queue: Queue) -> None:
    work = queue.task(executor="process")(at_module_level)
    with pytest.raises(ConfigurationError, match="leave it to its queue"):
        get_tasks(app).task(durable=False).schedule(work)


# ------------------------------------------------------------------------------------ spill


async def test_l2_with_spill_what_has_no_room_becomes_a_job(
    drive: Drive, queue: Queue, mail: Mail, kit: Harness
) -> None:
    drive.app = app = FastAPI()
    add_tasks(app, max_concurrency=1, max_pending=0, overflow="spill")
    go = asyncio.Event()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> str:
        return tasks.task(durable=False).schedule(mail, "ann").id

    async with drive.living():
        get_tasks(app).schedule(go.wait)
        task = get_tasks(app).get((await drive.get()).json())
        assert task is not None
        assert await task.wait(10) == "spilled"
        [job] = await kit.adrain()
        assert (job.id, await job.aresult()) == (task.job_id, "to ann")
        go.set()


async def test_l2_in_a_request_an_overload_is_503(drive: Drive) -> None:
    drive.app = app = FastAPI()
    add_tasks(app, max_concurrency=1, max_pending=0, retry_after=7)
    go = asyncio.Event()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(go.wait)

    async with drive.living():
        assert (await drive.get()).status == 200
        answer = await drive.get()
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert "max_pending=0" in answer.json()["detail"]
        go.set()


async def test_l2_with_wait_a_request_waits_before_its_endpoint(drive: Drive) -> None:
    drive.app = app = FastAPI()
    add_tasks(app, max_concurrency=1, max_threads=1, max_pending=0, overflow="wait")
    go = asyncio.Event()

    @app.get("/{name}")
    async def endpoint(name: str, tasks: Tasks) -> None:
        drive.note(name)
        tasks.schedule(go.wait)

    async with drive.living():
        for name in ("first", "second"):
            await drive.get(f"/{name}")
        waiting = asyncio.ensure_future(drive.get("/third"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert "third" not in drive.events
        go.set()
        assert (await waiting).status == 200
        assert "third" in drive.events


@pytest.mark.parametrize("state", ["running", "pending", "retrying"])
async def test_s4_what_has_not_ended_at_the_shutdown_becomes_a_job(
    queue: Queue, state: str
) -> None:
    tasks = add_tasks(FastAPI(), max_concurrency=1, drain_timeout=0, shield_timeout=0)

    @queue.task(name="work")
    async def work() -> None:
        if state == "retrying":
            raise OSError
        await asyncio.Event().wait()

    if state == "pending":
        tasks.schedule(asyncio.Event().wait)
    policy = RetryPolicy(max_retries=1, delays=(3600,))
    task = tasks.task(durable=False, retry=policy).schedule(work)
    await until(lambda: task.status == state and tasks.stats().active == (state != "retrying"))
    await tasks.stop()
    assert task.status == "spilled"
    [stored] = await queue.alist_jobs()
    assert stored.id == task.job_id
    assert tasks.stats().active == 0


async def test_s4_a_job_that_waits_for_a_response_is_stored_at_the_shutdown(
    queue: Queue, mail: Mail, drive: Drive
) -> None:
    drive.app = app = FastAPI()
    add_tasks(app, drain_timeout=0, shield_timeout=0)
    begun = asyncio.Event()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(mail, "ann")
        begun.set()
        await asyncio.Event().wait()

    async with drive.living():
        request = asyncio.ensure_future(drive.get())
        await begun.wait()
    [task] = get_tasks(app).all()
    assert task.status == "spilled"
    request.cancel()
    await asyncio.wait({request})
    assert [job.id for job in await queue.alist_jobs()] == [task.job_id]


async def test_s1_a_queue_task_is_taken_also_while_the_process_shuts_down(
    app: FastAPI, drive: Drive, queue: Queue, mail: Mail
) -> None:
    given: list[RequestTasks] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        given.append(tasks)

    await drive.get()
    await get_tasks(app).stop()
    durable = given[0].schedule(mail, "ann")
    here = given[0].task(durable=False).schedule(mail, "bob")
    assert await durable.wait(10) == "enqueued"
    assert await here.wait(10) == "spilled"
    assert len(await queue.alist_jobs()) == 2


async def test_s4_slots_and_keys_are_free_again_after_a_shutdown_that_spilled(
    queue: Queue, mail: Mail
) -> None:
    app = FastAPI()
    tasks = add_tasks(app, max_concurrency=1, drain_timeout=0, shield_timeout=0)
    tasks.schedule(asyncio.Event().wait)
    waits = tasks.task(durable=False, key="mail").schedule(mail, "ann")
    await asyncio.sleep(0)
    await tasks.stop()
    assert waits.status == "spilled"
    tasks.open()
    again = tasks.task(durable=False, key="mail").schedule(mail, "bob")
    assert await again.wait(10) == "succeeded"


async def test_b4_a_periodic_queue_task_becomes_a_job(
    app: FastAPI, queue: Queue, kit: Harness
) -> None:
    @queue.task(name="sweep")
    def sweep() -> str:
        return "swept"

    tasks = get_tasks(app)
    tasks.every(seconds=3600, name="sweep")(sweep)
    task = tasks.trigger("sweep")
    assert await task.wait(10) == "enqueued"
    [job] = await kit.adrain()
    assert (job.id, await job.aresult()) == (task.job_id, "swept")


async def test_b4_two_applications_on_one_queue_fire_once(tmp_path: Path) -> None:
    queues = [Queue(str(tmp_path / "shared.db")) for _ in range(2)]
    ran: list[int] = []
    apps = [FastAPI(), FastAPI()]
    for number, (app, queue) in enumerate(zip(apps, queues, strict=True)):
        job = functools.partial(ran.append, number)
        add_tasks(app, queue=queue).every(seconds=3600, name="job", scope="cluster")(job)
    tickers = [get_tasks(app).ticker for app in apps]
    async with Drive(apps[0]).living(), Drive(apps[1]).living():
        leading = [ticker.get("job").leading for ticker in tickers]
        await until(lambda: any(one is not None and one.leads for one in leading))
        tick = now() + 1
        await until(lambda: now() >= tick)
        for ticker in tickers:
            ticker.get("job").next_at = tick  # as if an hour had passed
            ticker.look()
    assert len(ran) == 1
    for queue in queues:
        await queue.aclose()
