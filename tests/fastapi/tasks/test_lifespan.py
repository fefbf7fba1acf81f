"""Request tasks and the life of the application: nothing is lost at its end, or without one."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient

from offload import ConfigurationError, OffloadError
from offload.fastapi import RequestTasks, TaskManager, Tasks, add_tasks, get_tasks
from tests.fastapi.tasks.driving import Drive


def site(drive: Drive) -> FastAPI:
    """Return an application whose resources note that they are closed."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        drive.note("opened")
        yield
        drive.note("closed")

    drive.app = app = FastAPI(lifespan=lifespan)
    return app


async def steps(drive: Drive, name: str) -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    drive.note(name)


async def test_s2_resources_are_closed_after_the_tasks(drive: Drive) -> None:
    app = site(drive)
    add_tasks(app)

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(steps, drive, "now")
        tasks.after_response.schedule(steps, drive, "after")

    async with drive.living():
        await drive.get()
    assert drive.events[0] == "opened"
    assert drive.events[-1] == "closed"
    assert {"now", "after"} <= set(drive.events)


async def test_s2_also_after_those_that_are_stopped(drive: Drive) -> None:
    app = site(drive)
    add_tasks(app, drain_timeout=0, shield_timeout=0)

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            drive.note("stopped")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(hangs)

    async with drive.living():
        await drive.get()
    assert drive.events[-3:] == ["shutdown", "stopped", "closed"]


async def test_s5_the_tasks_of_the_last_request_run_to_their_end(drive: Drive) -> None:
    app = site(drive)
    add_tasks(app)

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.schedule(steps, drive, "after_route")
        tasks.after_response.schedule(steps, drive, "after_response")

    async with drive.living():
        answer = await drive.get()
    assert answer.status == 200
    assert drive.before("shutdown", "after_response")
    assert drive.before("after_response", "closed")


async def test_s1_a_request_that_comes_too_late_is_answered_503(app: FastAPI, drive: Drive) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(steps, drive, "never")

    async with drive.living():
        pass
    answer = await drive.get()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "shutting down" in answer.json()["detail"]


async def test_without_a_lifespan_the_call_lasts_until_all_tasks_have_ended(
    app: FastAPI, drive: Drive
) -> None:
    async def parent(tasks: RequestTasks) -> None:
        await asyncio.sleep(0)
        tasks.schedule(steps, drive, "child")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(parent, tasks)

    await drive.get()
    assert drive.events == ["start 200", "sent", "child", "end"]


async def test_asgi_transport_without_a_lifespan(app: FastAPI) -> None:
    ran: list[str] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> str:
        tasks.add_task(ran.append, "task")
        return "fine"

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/")).json() == "fine"
    assert ran == ["task"]


@pytest.mark.parametrize("started", [False, True])
def test_the_test_client_with_and_without_a_lifespan(app: FastAPI, *, started: bool) -> None:
    ran = threading.Event()

    @app.get("/")
    def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(ran.set)

    client = TestClient(app)
    with client if started else contextlib.nullcontext():
        assert client.get("/").status_code == 200
        if started:
            assert ran.wait(30)
    assert ran.is_set()


def test_each_call_without_a_lifespan_may_be_on_a_loop_of_its_own(app: FastAPI) -> None:
    ran: list[int] = []

    @app.get("/{number}")
    async def endpoint(number: int, tasks: Tasks) -> None:
        tasks.schedule(ran.append, number)

    client = TestClient(app)
    for number in range(3):
        client.get(f"/{number}")
    assert ran == [0, 1, 2]


async def test_a_mounted_application_alone_has_no_lifespan_and_loses_nothing(
    drive: Drive,
) -> None:
    root, sub = FastAPI(), FastAPI()
    root.mount("/sub", sub)
    add_tasks(sub)
    drive.app = root

    @sub.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(steps, drive, "task")

    async with drive.living():
        await drive.get("/sub/")
        assert drive.events == ["start 200", "sent", "task", "end"]


async def test_tasks_outside_of_requests(drive: Drive) -> None:
    app = FastAPI()
    ended: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        get_tasks(app).schedule(steps, drive, "at the start")
        await asyncio.to_thread(get_tasks(app).schedule, ended.append, "of a thread")
        yield

    app.router.lifespan_context = lifespan
    add_tasks(app)
    drive.app = app
    async with drive.living():
        pass
    assert "at the start" in drive.events
    assert ended == ["of a thread"]


def test_there_is_no_loop_before_the_start(app: FastAPI) -> None:
    with pytest.raises(OffloadError, match="has not been started"):
        get_tasks(app).schedule(print)


async def test_b4_schedules_live_as_long_as_the_application(app: FastAPI, drive: Drive) -> None:
    @get_tasks(app).every(seconds=3600)
    def job() -> None: ...

    [entry] = get_tasks(app).schedules()
    async with drive.living():
        assert entry.next_run is not None
        assert entry.description == "Every 3600 s"
    assert entry.next_run is None


async def test_b3_the_shutdown_waits_for_a_task_manager(app: FastAPI, drive: Drive) -> None:
    manager = TaskManager(get_tasks(app))
    async with drive.living():
        await manager.start("mine", steps(drive, "done"))
    assert manager.get_status("mine")["status"] == "completed"
    assert "done" in drive.events


def test_add_tasks_refuses_what_cannot_work(app: FastAPI) -> None:
    with pytest.raises(ConfigurationError, match="has its tasks"):
        add_tasks(app)
    with pytest.raises(ConfigurationError, match="max_concurency"):
        add_tasks(FastAPI(), max_concurency=1)  # type: ignore[call-arg]
    started = FastAPI()
    TestClient(started).get("/")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="has started"):
            add_tasks(started)
    with pytest.raises(ConfigurationError, match="call add_tasks"):
        get_tasks(started)


async def test_tasks_without_add_tasks_tells_the_way_out(drive: Drive) -> None:
    drive.app = app = FastAPI()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None: ...

    await drive.get()
    assert drive.events == ["start 500", "sent", "server saw OffloadError", "end"]


def test_starlette_alone_will_do() -> None:
    tasks = add_tasks(Starlette())
    assert tasks.stats().active == 0
