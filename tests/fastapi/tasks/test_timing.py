"""When each kind of request task starts."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask

from offload.fastapi import RequestTasks, Tasks, add_tasks, get_tasks
from tests.fastapi.tasks.driving import Drive


async def test_t1_an_immediate_task_begins_at_the_first_suspension_of_the_endpoint(
    app: FastAPI, drive: Drive
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        task = tasks.schedule(drive.noting("task"))
        drive.note(f"scheduled {task.status}")
        await asyncio.sleep(0)
        drive.note("resumed")

    await drive.get()
    assert drive.events[:4] == ["scheduled pending", "task", "resumed", "start 200"]


@pytest.mark.parametrize("kind", ["now", "after_route"])
async def test_t1_t2_tasks_begin_before_the_response_starts(
    app: FastAPI, drive: Drive, kind: str
) -> None:
    @app.get("/async")
    async def plain(tasks: Tasks) -> None:
        scheduler = tasks if kind == "now" else tasks.after_route
        scheduler.schedule(drive.noting("task"))

    @app.get("/thread")
    def threaded(tasks: Tasks) -> None:
        scheduler = tasks if kind == "now" else tasks.after_route
        scheduler.schedule(drive.noting("task"))

    for path in ("/async", "/thread"):
        drive.events.clear()
        await drive.get(path)
        assert drive.events == ["task", "start 200", "sent", "end"]


async def test_t1_a_plain_function_is_given_to_a_thread_before_the_response_starts(
    app: FastAPI, drive: Drive
) -> None:
    began = threading.Event()

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        task = tasks.schedule(began.set)
        await asyncio.sleep(0)
        drive.note(f"{task.status}")

    async with drive.living():
        await drive.get()
    assert drive.events[:2] == ["running", "start 200"]
    assert began.is_set()


async def test_t2_a_task_of_after_route_begins_after_the_endpoint_and_the_dependencies_commit(
    app: FastAPI, drive: Drive
) -> None:
    async def transaction() -> AsyncIterator[None]:
        yield
        drive.note("commit")

    @app.get("/", dependencies=[Depends(transaction, scope="function")])
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.schedule(drive.noting("task"))
        await asyncio.sleep(0)
        drive.note("returns")

    await drive.get()
    assert drive.events == ["returns", "commit", "task", "start 200", "sent", "end"]


async def test_t2_without_a_slot_the_response_is_not_delayed(drive: Drive) -> None:
    app, go = FastAPI(), asyncio.Event()
    drive.app = app
    add_tasks(app, max_concurrency=1)

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(go.wait)
        tasks.after_route.schedule(drive.noting("task"))

    async with drive.living():
        answer = await drive.get()
        assert answer.status == 200
        assert drive.events == ["start 200", "sent", "end"]
        go.set()
    assert "task" in drive.events


async def test_t3_the_response_waits_for_a_task_that_it_needs(app: FastAPI, drive: Drive) -> None:
    async def reserve() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        drive.note("reserved")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(reserve)
        tasks.after_response.schedule(drive.noting("mail"))

    await drive.get()
    assert drive.events == ["reserved", "start 200", "sent", "mail", "end"]


async def test_t3_a_failed_wait_makes_the_response_an_error(app: FastAPI, drive: Drive) -> None:
    async def reserve() -> None:
        raise ValueError("sold out")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(reserve)
        tasks.after_response.schedule(drive.noting("mail"))
        tasks.after_response.task(when="success").schedule(drive.noting("mail"))
        tasks.after_response.task(when="error").schedule(drive.noting("alert"))

    answer = await drive.get()
    assert answer.status == 500
    assert drive.events == ["alert", "start 500", "sent", "server saw ValueError", "end"]


async def test_t3_an_http_exception_of_a_wait_is_the_answer(app: FastAPI, drive: Drive) -> None:
    async def reserve() -> None:
        raise HTTPException(409, "sold out", {"X-Left": "0"})

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(reserve)
        tasks.after_response.schedule(drive.noting("mail"))
        tasks.after_response.task(when="error").schedule(drive.noting("alert"))

    answer = await drive.get()
    assert (answer.status, answer.json(), answer.headers["x-left"]) == (
        409,
        {"detail": "sold out"},
        "0",
    )
    assert drive.events == ["start 409", "sent", "alert", "end"]


async def test_t3_an_error_of_a_wait_goes_to_its_handler(app: FastAPI, drive: Drive) -> None:
    class SoldOut(Exception):
        pass

    @app.exception_handler(SoldOut)
    def say(_request: object, error: SoldOut) -> Any:
        return StreamingResponse(iter([str(error)]), status_code=410)

    async def reserve() -> None:
        raise SoldOut("gone")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(reserve)

    answer = await drive.get()
    assert (answer.status, answer.body) == (410, b"gone")


async def test_t3_the_handler_of_all_errors_answers_and_the_server_hears_of_it(
    app: FastAPI, drive: Drive
) -> None:
    @app.exception_handler(Exception)
    def say(_request: object, error: Exception) -> Any:
        return JSONResponse({"sorry": str(error)}, status_code=500)

    async def reserve() -> None:
        raise ValueError("sold out")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(reserve)

    assert (await drive.get()).json() == {"sorry": "sold out"}
    assert "server saw ValueError" in drive.events


async def test_t3_open_dependencies_see_that_the_response_failed(
    app: FastAPI, drive: Drive
) -> None:
    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except ValueError:
            drive.note("rollback")
            raise
        drive.note("commit")

    async def reserve() -> None:
        raise ValueError

    @app.get("/", dependencies=[Depends(transaction, scope="request")])
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(reserve)

    await drive.get()
    assert drive.events[:2] == ["rollback", "start 500"]


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
async def test_t3_e1_a_wait_that_ends_in_a_base_exception_is_an_error_like_others(
    app: FastAPI, drive: Drive, error: BaseException
) -> None:
    async def leave() -> None:
        raise error

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(wait=True).schedule(leave)

    answer = await drive.get()
    assert answer.status == 500
    assert "server saw OffloadError" in drive.events


async def test_t3_what_the_endpoint_itself_cancels_fails_no_response(
    app: FastAPI, drive: Drive
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        task = tasks.after_route.task(wait=True).schedule(drive.noting("never"))
        assert tasks.cancel(task.id)

    assert (await drive.get()).status == 200
    assert "never" not in drive.events


async def test_t3_a_shield_of_after_route_holds_the_response_but_its_failure_does_not_change_it(
    app: FastAPI, drive: Drive
) -> None:
    async def reserve() -> None:
        await asyncio.sleep(0)
        drive.note("failed")
        raise ValueError

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_route.task(shield=True).schedule(reserve)
        tasks.after_response.schedule(drive.noting("mail"))

    await drive.get()
    assert drive.events == ["failed", "start 200", "sent", "mail", "end"]


async def test_t3_wait_is_refused_where_there_is_no_response_to_hold(
    app: FastAPI, drive: Drive
) -> None:
    refused: list[str] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        for scheduler in (tasks, tasks.after_response, get_tasks(app)):
            try:
                scheduler.task(wait=True).schedule(drive.noting("never"))
            except ValueError as error:
                refused.append(str(error))

    await drive.get()
    assert ["after_route.task(wait=True)" in text for text in refused] == [True, True, True]


async def test_t4_after_response_comes_after_the_body_and_all_teardown(
    app: FastAPI, drive: Drive
) -> None:
    async def closing() -> AsyncIterator[None]:
        yield
        drive.note("closed")

    @app.get("/", dependencies=[Depends(closing, scope="request")])
    async def endpoint(tasks: Tasks) -> None:
        tasks.after_response.schedule(drive.noting("task"))

    await drive.get()
    assert drive.events == ["start 200", "sent", "closed", "task", "end"]


async def test_t4_those_of_one_request_run_side_by_side(app: FastAPI, drive: Drive) -> None:
    meet = asyncio.Barrier(3)

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        for _ in range(3):
            tasks.after_response.schedule(meet.wait)

    async with drive.living():
        await drive.get()
        ended = [await task.wait(10) for task in get_tasks(app).all()]
    assert ended == ["succeeded"] * 3


@pytest.mark.parametrize("kind", ["after_route", "after_response"])
async def test_t5_what_comes_too_late_runs_at_once_and_is_told(
    app: FastAPI, drive: Drive, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    given: list[RequestTasks] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        given.append(tasks)

    async with drive.living():
        await drive.get()
        task = getattr(given[0], kind).schedule(drive.noting("late"))
        assert await task.wait(10) == "succeeded"
    told = [record.getMessage() for record in caplog.records if "too late" in record.getMessage()]
    assert len(told) == 1
    assert kind in told[0]


async def test_t5_a_late_task_obeys_the_outcome(app: FastAPI, drive: Drive) -> None:
    given: list[RequestTasks] = []

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        given.append(tasks)
        raise HTTPException(404)

    async with drive.living():
        await drive.get()
        late = given[0].after_response
        assert late.schedule(drive.noting("never")).status == "dropped"
        assert await late.task(when="error").schedule(drive.noting("late")).wait(10) == "succeeded"


async def test_t5_a_dependency_may_schedule_after_its_yield(app: FastAPI, drive: Drive) -> None:
    async def auditor(tasks: Tasks) -> AsyncIterator[None]:
        yield
        tasks.after_response.schedule(drive.noting("audit"))
        tasks.add_task(drive.noting("added"))

    @app.get("/", dependencies=[Depends(auditor)])
    async def endpoint() -> None: ...

    await drive.get()
    assert drive.events == ["start 200", "sent", "audit", "added", "end"]


async def test_t6_a_websockets_tasks_start_at_its_end(app: FastAPI, drive: Drive) -> None:
    @app.websocket("/")
    async def endpoint(socket: WebSocket, tasks: Tasks) -> None:
        await socket.accept()
        tasks.after_response.schedule(drive.noting("after_response"))
        tasks.after_route.schedule(drive.noting("after_route"))
        tasks.schedule(drive.noting(await socket.receive_text()))
        await socket.close()
        drive.note("returns")

    await drive.websocket("/", "hello")
    assert drive.events == [
        "websocket.accept",
        "hello",
        "websocket.close",
        "returns",
        "after_route",
        "after_response",
        "end",
    ]


async def test_t6_a_websocket_whose_client_leaves_has_not_failed(
    app: FastAPI, drive: Drive
) -> None:
    @app.websocket("/")
    async def endpoint(socket: WebSocket, tasks: Tasks) -> None:
        await socket.accept()
        tasks.after_response.task(when="success").schedule(drive.noting("after"))
        while True:
            await socket.receive_text()

    await drive.websocket("/", "a", "b")
    assert "after" in drive.events


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize("error", [HTTPException(403), KeyError("x")])
async def test_t6_p1_a_websocket_that_raises_drops(
    app: FastAPI,
    drive: Drive,
    accepts: bool,  # noqa: FBT001 - a parameter of the test
    error: Exception,
) -> None:
    @app.websocket("/")
    async def endpoint(socket: WebSocket, tasks: Tasks) -> None:
        if accepts:
            await socket.accept()
        tasks.after_route.schedule(drive.noting("after_route"))
        tasks.after_response.schedule(drive.noting("after_response"))
        tasks.after_response.task(when="error").schedule(drive.noting("alert"))
        raise error

    await drive.websocket()
    assert drive.events[-1] == "end"
    assert set(drive.events) & {"after_route", "after_response", "alert"} == {"alert"}


async def test_t6_a_stream_ends_before_after_response(app: FastAPI, drive: Drive) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> StreamingResponse:
        tasks.after_route.schedule(drive.noting("after_route"))
        tasks.after_response.schedule(drive.noting("after_response"))
        return StreamingResponse(iter([b"a", b"b"]))

    await drive.get()
    assert drive.events == [
        "after_route",
        "start 200",
        "body",
        "body",
        "sent",
        "after_response",
        "end",
    ]


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_t6_a_client_that_leaves_mid_stream_ends_it(
    app: FastAPI, drive: Drive, spec: str
) -> None:
    leaves = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        leaves.set()
        await asyncio.sleep(0)
        yield b"b"

    @app.get("/")
    async def endpoint(tasks: Tasks) -> StreamingResponse:
        tasks.after_response.task(when="success").schedule(drive.noting("after"))
        return StreamingResponse(chunks())

    await drive.request("/", leaves, asgi={"version": "3.0", "spec_version": spec})
    assert "sent" not in drive.events
    assert "after" in drive.events


async def test_t4_starlettes_background_tasks_come_first(app: FastAPI, drive: Drive) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> StreamingResponse:
        tasks.after_response.schedule(drive.noting("ours"))
        return StreamingResponse(iter(()), background=BackgroundTask(drive.noting("theirs")))

    await drive.get()
    assert drive.before("theirs", "ours")


async def test_t4_a_thread_can_schedule_in_all_modes(app: FastAPI, drive: Drive) -> None:
    def generator(tasks: Tasks) -> Iterator[None]:
        yield
        tasks.after_response.schedule(drive.noting("of a dependency"))

    @app.get("/")
    def endpoint(tasks: Tasks, _: Annotated[None, Depends(generator)]) -> None:
        tasks.after_response.schedule(drive.noting("after_response"))
        tasks.after_route.schedule(drive.noting("after_route"))
        tasks.schedule(drive.noting("now"))

    await drive.get()
    assert drive.events == [
        "now",
        "after_route",
        "start 200",
        "sent",
        "after_response",
        "of a dependency",
        "end",
    ]
