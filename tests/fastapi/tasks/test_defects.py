"""What goes wrong with request tasks elsewhere, and does not here."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks as FastAPIBackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from offload.fastapi import RequestTasks, Task, Tasks, add_tasks, get_tasks
from tests.fastapi.tasks.driving import Drive


async def fail() -> None:
    raise ValueError("no")


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def bad_handler(_task: Task[Any], _error: Exception) -> None:
    raise NameError("send_slack_alert")


async def leave() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("kind", ["now", "after_route", "after_response"])
@pytest.mark.parametrize("bad", [fail, cancels_itself, leave])
async def test_defect_1_2_4_one_bad_task_harms_no_other_and_no_lifespan(
    drive: Drive, bad: Any, kind: str
) -> None:
    closed: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        closed.append("closed")

    drive.app = app = FastAPI(lifespan=lifespan)
    add_tasks(app)
    go = asyncio.Event()

    @app.get("/bad")
    async def schedules_bad(tasks: Tasks) -> None:
        scheduler = tasks if kind == "now" else getattr(tasks, kind)
        scheduler.task(on_error=bad_handler).schedule(bad)

    @app.get("/good")
    async def schedules_good(tasks: Tasks) -> str:
        return tasks.schedule(go.wait).id

    async with drive.living():
        before = (await drive.get("/good")).json()
        assert (await drive.get("/bad")).status == 200
        answer = await drive.get("/good")
        assert (answer.status, closed) == (200, [])
        go.set()
        for task_id in (before, answer.json()):
            assert await get_tasks(app).wait(task_id, 10) == "succeeded"
    assert closed == ["closed"]


async def test_defect_3_a_handler_that_retries_ends(app: FastAPI, drive: Drive) -> None:
    calls, said = list[int](), list[str]()

    async def send() -> None:
        calls.append(1)
        raise OSError(f"try {len(calls)}")

    async def handler(task: Task[None], _error: Exception) -> None:
        for attempt in range(3):
            try:
                await task()
            except OSError as error:
                if attempt == 2:
                    said.append(f"finally {error}")
            else:
                return

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.task(on_error=handler).schedule(send)

    await drive.get()
    assert said == ["finally try 4"]


async def test_defect_5_no_log_has_arguments(
    app: FastAPI, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    async def pay(*, payment_token: str) -> None:
        raise ValueError("refused")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.task(on_error=bad_handler).schedule(pay, payment_token="tok_SECRET")

    await drive.get()
    assert "refused" in caplog.text
    assert "tok_SECRET" not in caplog.text


async def test_defect_6_tasks_are_drained_not_cancelled(app: FastAPI, drive: Drive) -> None:
    async def steps() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return "whole"

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(steps)

    async with drive.living():
        await drive.get()
    assert get_tasks(app).all()[0].result == "whole"


async def test_defect_7_a_task_has_an_id_a_status_a_result_and_an_end(
    app: FastAPI, drive: Drive
) -> None:
    @app.get("/start")
    async def start(tasks: Tasks) -> str:
        return tasks.schedule(max, 1, 2).id

    @app.get("/look/{task_id}")
    async def look(task_id: str, tasks: Tasks) -> Any:
        await tasks.wait(task_id, 10)
        task = tasks.get(task_id)
        assert task is not None
        return [task.status, task.result, tasks.cancel(task_id)]

    async with drive.living():
        task_id = (await drive.get("/start")).json()
        assert (await drive.get(f"/look/{task_id}")).json() == ["succeeded", 2, False]


async def test_defect_8_nothing_is_dropped_in_silence(app: FastAPI, drive: Drive) -> None:
    def broken() -> None:
        raise ValueError

    @app.get("/")
    async def endpoint(tasks: Tasks) -> JSONResponse:
        tasks.after_response.schedule(drive.noting("ours"))
        return JSONResponse({}, background=BackgroundTask(broken))

    await drive.get()
    assert drive.before("server saw ValueError", "end")
    assert "ours" in drive.events


# ------------------------------------------------------------------- what peers cannot do


async def test_a_default_scope_dependency_may_take_tasks(app: FastAPI, drive: Drive) -> None:
    async def unit_of_work(tasks: Tasks) -> AsyncIterator[RequestTasks]:
        yield tasks

    @app.get("/")
    async def endpoint(tasks: Annotated[RequestTasks, Depends(unit_of_work)]) -> None:
        tasks.schedule(drive.noting("task"))

    await drive.get()
    assert "task" in drive.events


async def test_any_thread_may_schedule(app: FastAPI, drive: Drive) -> None:
    ran: list[str] = []

    @app.get("/")
    def endpoint(tasks: Tasks) -> None:
        thread = threading.Thread(target=tasks.schedule, args=[ran.append, "task"])
        thread.start()
        thread.join()

    await drive.get()
    assert ran == ["task"]


async def test_a_websocket_may_take_tasks_and_ours_stand_beside_fastapis(
    app: FastAPI, drive: Drive
) -> None:
    @app.websocket("/")
    async def endpoint(socket: WebSocket, tasks: Tasks) -> None:
        await socket.accept()
        tasks.add_task(drive.noting("ours"))
        await socket.close()

    @app.get("/")
    async def both(tasks: Tasks, theirs: FastAPIBackgroundTasks) -> None:
        theirs.add_task(drive.noting("theirs"))
        tasks.add_task(drive.noting("mine"))

    await drive.websocket()
    await drive.get()
    assert "ours" in drive.events
    assert drive.before("theirs", "mine")


async def test_a_client_that_leaves_while_the_endpoint_runs_stops_nothing(
    app: FastAPI, drive: Drive
) -> None:
    leaves = asyncio.Event()
    leaves.set()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        await asyncio.sleep(0)
        tasks.schedule(drive.noting("now"))
        tasks.after_response.schedule(drive.noting("after"))

    await drive.request("/", leaves)
    assert {"now", "after"} <= set(drive.events)


async def test_plain_tasks_do_not_hold_up_plain_endpoints(app: FastAPI, drive: Drive) -> None:
    go = threading.Event()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        for _ in range(100):
            tasks.schedule(go.wait)

    @app.get("/def")
    def plain() -> str:
        return "answered"

    async with drive.living():
        await drive.get("/")
        assert (await drive.get("/def")).json() == "answered"
        assert get_tasks(app).stats().active == 16
        go.set()


async def test_what_a_request_that_is_cancelled_has_scheduled_is_not_left_pending(
    app: FastAPI, drive: Drive
) -> None:
    begun = asyncio.Event()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(drive.noting("never"))
        tasks.after_response.task(when="error").schedule(drive.noting("alert"))
        begun.set()
        await asyncio.Event().wait()

    async with drive.living():
        request = asyncio.ensure_future(drive.get("/"))
        await begun.wait()
        request.cancel()
        await asyncio.wait({request})
    assert get_tasks(app).stats().pending == 0
    assert "alert" in drive.events
    assert "never" not in drive.events
