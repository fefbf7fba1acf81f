"""In place of BackgroundTasks, and the patterns of audits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from offload.fastapi import BackgroundTasks, RequestTasks, Tasks, get_tasks
from tests.fastapi.tasks.driving import Drive


async def test_b1_tasks_run_in_order_and_a_failure_stops_none(app: FastAPI, drive: Drive) -> None:
    async def slow(number: int) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        drive.note(f"{number}")

    def plain(number: int) -> None:
        drive.note(f"{number}")

    async def fail() -> None:
        drive.note("2")
        raise ValueError

    @app.get("/")
    async def endpoint(background: BackgroundTasks) -> str:
        first = background.add_task(slow, 1)
        background.add_task(fail)
        background.add_task(plain, number=3)
        background.add_task(slow, 4)
        return first.id

    task_id = (await drive.get()).json()
    assert drive.events == ["start 200", "sent", "1", "2", "3", "4", "end"]
    task = get_tasks(app).get(task_id)
    assert task is not None
    assert task.status == "succeeded"


async def test_b1_the_import_line_alone_is_enough(drive: Drive) -> None:
    drive.app = app = FastAPI()

    async def fail() -> None:
        raise ValueError

    @app.get("/")
    def endpoint(background: BackgroundTasks, *, fails: bool = False) -> JSONResponse:
        background.add_task(fail)
        background.add_task(drive.noting("1"))
        if fails:
            raise HTTPException(404)
        return JSONResponse({}, background=BackgroundTask(drive.noting("own")))

    await drive.get()
    assert drive.events == ["start 200", "sent", "own", "1", "end"]
    drive.events.clear()
    await drive.get("/?fails=true")
    assert drive.events == ["start 404", "sent", "end"]


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_b1_one_that_is_cancelled_stops_none(
    app: FastAPI, drive: Drive, cancelled: int
) -> None:
    @app.get("/")
    async def endpoint(background: BackgroundTasks) -> None:
        added = [background.add_task(drive.noting(f"{number}")) for number in range(3)]
        assert background.cancel(added[cancelled].id)

    await drive.get()
    ran = [event for event in drive.events if event in "012"]
    assert ran == [f"{number}" for number in range(3) if number != cancelled]


async def test_b1_one_that_is_cancelled_in_the_line_lets_none_overtake(
    app: FastAPI, drive: Drive
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        begun.set()
        await go.wait()
        drive.note("first")

    @app.get("/")
    async def endpoint(background: BackgroundTasks) -> str:
        background.add_task(first)
        second = background.add_task(drive.noting("second"))
        background.add_task(drive.noting("third"))
        return second.id

    async with drive.living():
        second = (await drive.get()).json()
        await begun.wait()
        assert get_tasks(app).cancel(second)
        await asyncio.sleep(0)
        go.set()
    assert [event for event in drive.events if event in {"first", "second", "third"}] == [
        "first",
        "third",
    ]


async def test_b1_the_response_may_have_a_background_of_its_own(app: FastAPI, drive: Drive) -> None:
    @app.get("/")
    async def endpoint(background: BackgroundTasks) -> JSONResponse:
        background.add_task(drive.noting("ours"))
        return JSONResponse({}, background=BackgroundTask(drive.noting("its own")))

    await drive.get()
    assert drive.before("its own", "ours")


async def test_b1_in_a_websocket_and_after_a_yield(app: FastAPI, drive: Drive) -> None:
    def late(background: BackgroundTasks) -> Iterator[None]:
        yield
        background.add_task(drive.noting("late"))

    @app.websocket("/", dependencies=[Depends(late)])
    async def endpoint(socket: WebSocket, background: BackgroundTasks) -> None:
        await socket.accept()
        background.add_task(drive.noting("added"))
        await socket.close()

    await drive.websocket()
    assert drive.events[-3:] == ["added", "late", "end"]


async def test_b1_they_do_not_run_when_the_endpoint_raises(app: FastAPI, drive: Drive) -> None:
    @app.get("/")
    async def endpoint(background: BackgroundTasks) -> None:
        background.add_task(drive.noting("never"))
        raise HTTPException(400)

    await drive.get()
    assert "never" not in drive.events


Audit = Callable[[str], Any]


def plain(tasks: Tasks) -> Audit:
    return lambda action: tasks.after_response.schedule(logging.getLogger("audit").info, action)


def yields(tasks: Tasks) -> Iterator[Audit]:
    yield plain(tasks)


async def ayields(tasks: Tasks) -> AsyncIterator[Audit]:
    yield plain(tasks)


@pytest.mark.parametrize("scope", [None, "function", "request"])
@pytest.mark.parametrize("auditor", [plain, yields, ayields])
async def test_b2_an_auditor_of_any_scope_writes_once_after_the_response(
    app: FastAPI, drive: Drive, auditor: Any, scope: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "audit")

    @app.get("/")
    async def endpoint(audit: Annotated[Audit, Depends(auditor, scope=scope)]) -> None:
        audit("deleted")
        await asyncio.sleep(0)
        assert not caplog.records

    await drive.get()
    assert [record.getMessage() for record in caplog.records] == ["deleted"]


async def test_b2_an_audit_may_ask_for_success(app: FastAPI, drive: Drive) -> None:
    def auditor(tasks: Tasks) -> RequestTasks:
        tasks.after_response.task(when="success").schedule(drive.noting("audit"))
        return tasks

    @app.get("/{status}", dependencies=[Depends(auditor)])
    async def endpoint(status: int) -> JSONResponse:
        return JSONResponse({}, status_code=status)

    await drive.get("/404")
    assert "audit" not in drive.events
    await drive.get("/201")
    assert "audit" in drive.events


async def test_b2_all_parts_of_a_request_share_its_tasks(app: FastAPI, drive: Drive) -> None:
    seen: list[RequestTasks] = []

    def one(tasks: Tasks) -> None:
        seen.append(tasks)

    @app.get("/", dependencies=[Depends(one)])
    async def endpoint(tasks: Tasks) -> None:
        seen.append(tasks)

    await drive.get()
    assert seen[0] is seen[1]
