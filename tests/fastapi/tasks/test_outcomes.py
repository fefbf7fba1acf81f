"""Which outcome of a request lets its tasks run."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import Response

from offload.fastapi import RequestTasks, Tasks, add_tasks, get_tasks
from tests.fastapi.tasks.driving import Drive

WHEN = ("returned", "success", "always", "error")
FAILED = {"always", "error"}
FINE = {"returned", "success", "always"}


def schedule_all(tasks: RequestTasks, drive: Drive) -> None:
    """Schedule one task of each policy after the response, that notes the policy's name."""
    for when in WHEN:
        tasks.after_response.task(when=when, name=when).schedule(drive.noting(when))


def ran(drive: Drive) -> set[str]:
    return set(WHEN).intersection(drive.events)


def ends(app: FastAPI) -> dict[str, tuple[str, str | None]]:
    return {task.name: (str(task.status), task.reason) for task in get_tasks(app).all()}


class Teapot(Exception):
    pass


def fine() -> Any:
    return {}


def rejects() -> Any:
    raise HTTPException(404)


def breaks() -> Any:
    raise Teapot


def answers_an_error() -> Any:
    return JSONResponse({}, status_code=503)


def answers_wrongly() -> Any:
    return {"number": "none"}


CASES: list[tuple[Callable[[], Any], set[str]]] = [
    (fine, FINE),
    (rejects, FAILED),
    (breaks, FAILED),
    (answers_an_error, {"returned", "always", "error"}),
]


@pytest.mark.parametrize("kind", ["after_route", "after_response"])
@pytest.mark.parametrize(
    ("does", "expected"), CASES, ids=lambda case: getattr(case, "__name__", "")
)
async def test_p1_what_the_endpoint_did_says_which_tasks_run(
    app: FastAPI, drive: Drive, does: Callable[[], Any], expected: set[str], kind: str
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> Any:
        for when in WHEN:
            getattr(tasks, kind).task(when=when).schedule(drive.noting(when))
        return does()

    await drive.get()
    assert ran(drive) == expected


async def test_p1_a_response_that_does_not_validate_counts_as_raised(
    app: FastAPI, drive: Drive
) -> None:
    @app.get("/", response_model=dict[str, int])
    async def endpoint(tasks: Tasks) -> Any:
        schedule_all(tasks, drive)
        return answers_wrongly()

    await drive.get()
    assert "server saw ResponseValidationError" in drive.events
    assert ran(drive) == FAILED


async def test_p1_a_dependency_that_raises_counts_as_raised(app: FastAPI, drive: Drive) -> None:
    def forbid() -> None:
        raise HTTPException(403)

    def scheduling(tasks: Tasks) -> None:
        schedule_all(tasks, drive)

    @app.get("/", dependencies=[Depends(scheduling), Depends(forbid)])
    async def endpoint() -> None: ...

    assert (await drive.get()).status == 403
    assert ran(drive) == FAILED


@pytest.mark.parametrize("streams", [False, True])
async def test_p1_an_error_that_a_handler_answers_counts_as_raised(
    app: FastAPI,
    drive: Drive,
    streams: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    @app.exception_handler(Teapot)
    async def handler(_request: Request, _error: Teapot) -> Response:
        # As if nothing had happened: the status tells nobody.
        return StreamingResponse(iter([b"ok"])) if streams else JSONResponse({})

    @app.get("/")
    async def endpoint(tasks: Tasks) -> Any:
        schedule_all(tasks, drive)
        raise Teapot

    assert (await drive.get()).status == 200
    assert ran(drive) == FAILED


async def test_p1_middleware_changes_nothing(app: FastAPI, drive: Drive) -> None:
    class Plain(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)

    app.add_middleware(Plain)

    @app.get("/fine")
    @app.get("/breaks")
    async def endpoint(request: Request, tasks: Tasks) -> None:
        schedule_all(tasks, drive)
        if request.url.path == "/breaks":
            raise Teapot

    await drive.get("/fine")
    assert ran(drive) == FINE
    drive.events.clear()
    await drive.get("/breaks")
    assert ran(drive) == FAILED


async def test_p1_an_application_called_while_an_exception_is_handled_has_not_raised(
    app: FastAPI, drive: Drive
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        schedule_all(tasks, drive)

    try:
        breaks()
    except Teapot:
        await drive.get()
    assert ran(drive) == FINE


async def test_p2_a_dropped_task_says_why(
    app: FastAPI, drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "offload.inproc")

    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        schedule_all(tasks, drive)
        raise HTTPException(404)

    await drive.get()
    said = ends(app)
    assert said["returned"] == ("dropped", "when=returned: the request raised HTTPException")
    assert said["success"][0] == "dropped"
    assert {status for status, _ in said.values()} == {"dropped", "succeeded"}
    assert get_tasks(app).stats().ended == {"dropped": 2, "succeeded": 2}
    told = [each for each in caplog.records if "is dropped" in each.getMessage()]
    assert [each.levelname for each in told] == ["INFO", "INFO"]


async def test_p2_a_status_is_a_reason(app: FastAPI, drive: Drive) -> None:
    @app.get("/", status_code=418)
    async def endpoint(tasks: Tasks) -> None:
        schedule_all(tasks, drive)

    await drive.get()
    assert ends(app)["success"] == ("dropped", "when=success: status 418")


async def test_p3_a_commit_that_fails_before_the_response_drops(app: FastAPI, drive: Drive) -> None:
    async def transaction() -> AsyncIterator[None]:
        yield
        raise Teapot

    @app.get("/", dependencies=[Depends(transaction, scope="function")])
    async def endpoint(tasks: Tasks) -> None:
        schedule_all(tasks, drive)

    assert (await drive.get()).status == 500
    assert ran(drive) == FAILED


async def test_p3_p4_what_fails_after_the_response_started_counts_for_success_only(
    app: FastAPI, drive: Drive
) -> None:
    async def transaction() -> AsyncIterator[None]:
        yield
        raise Teapot

    def fail() -> None:
        raise Teapot

    @app.get("/teardown", dependencies=[Depends(transaction, scope="request")])
    async def teardown(tasks: Tasks) -> None:
        schedule_all(tasks, drive)

    @app.get("/background")
    async def background(tasks: Tasks) -> JSONResponse:
        schedule_all(tasks, drive)
        return JSONResponse({}, background=BackgroundTask(fail))

    for path in ("/teardown", "/background"):
        drive.events.clear()
        await drive.get(path)
        assert drive.events[:2] == ["start 200", "sent"]
        assert ran(drive) == {"returned", "always", "error"}
        assert ends(app)["success"] == ("dropped", "when=success: the request raised Teapot")


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_p3_p4_a_client_that_leaves_is_no_failure(
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
        schedule_all(tasks, drive)
        return StreamingResponse(chunks())

    await drive.request("/", leaves, asgi={"version": "3.0", "spec_version": spec})
    assert ran(drive) == FINE


async def test_p1_a_task_that_has_begun_is_not_stopped_by_the_outcome(
    app: FastAPI, drive: Drive
) -> None:
    @app.get("/")
    async def endpoint(tasks: Tasks) -> None:
        tasks.schedule(drive.noting("now"))
        raise Teapot

    await drive.get()
    assert "now" in drive.events


@pytest.mark.parametrize("sub_has_its_own", [False, True])
async def test_p1_a_mounted_application_shares_the_tasks_of_the_one_around_it(
    app: FastAPI,
    drive: Drive,
    sub_has_its_own: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    sub = FastAPI()
    app.mount("/sub", sub)
    if sub_has_its_own:
        add_tasks(sub)

    @sub.get("/fine")
    @sub.get("/breaks")
    async def endpoint(request: Request, tasks: Tasks) -> None:
        schedule_all(tasks, drive)
        if request.url.path.endswith("breaks"):
            raise Teapot

    await drive.get("/sub/fine")
    assert ran(drive) == FINE
    assert len(get_tasks(app).all()) == 4
    drive.events.clear()
    await drive.get("/sub/breaks")
    assert ran(drive) == FAILED
