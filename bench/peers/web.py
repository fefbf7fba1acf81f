"""An application of one endpoint, served by uvicorn: `python web.py KIND DESCRIPTOR`.

The endpoint schedules one empty coroutine for after its response, with KIND; "bare" schedules
nothing. DESCRIPTOR is a socket that listens. Each library is imported only where it is measured.
"""

import asyncio
import importlib.metadata
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

ran = 0
"""How many tasks have run."""


async def noop() -> None:
    """Do nothing, and be counted."""
    global ran  # noqa: PLW0603 - the cheapest way to see that nothing is left out
    ran += 1


def bare(app: FastAPI) -> None:
    """Call it within the request, so that all count the same."""

    @app.get("/work")
    async def work() -> dict[str, bool]:
        await noop()
        return {"ok": True}


def background(app: FastAPI) -> None:
    """Use what FastAPI brings along."""

    @app.get("/work")
    async def work(tasks: BackgroundTasks) -> dict[str, bool]:
        tasks.add_task(noop)
        return {"ok": True}


def least(app: FastAPI) -> None:
    """Use the least that could do it: no limits, no status, no shutdown, no errors."""
    running: set[asyncio.Task[None]] = set()

    class Middleware:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            later: list[Callable[[], Coroutine[Any, Any, None]]] = []
            scope["later"] = later
            await self._app(scope, receive, send)
            for function in later:
                running.add(task := asyncio.create_task(function()))
                task.add_done_callback(running.discard)

    async def take(connection: HTTPConnection) -> Any:
        return connection.scope["later"]

    app.add_middleware(Middleware)

    @app.get("/work")
    async def work(later: Annotated[Any, Depends(take)]) -> dict[str, bool]:
        later.append(noop)
        return {"ok": True}


def offload(app: FastAPI) -> None:
    """Use the library."""
    from offload.fastapi import Tasks, add_tasks  # noqa: PLC0415 - not where the peer is

    add_tasks(app)

    @app.get("/work")
    async def work(tasks: Tasks) -> dict[str, bool]:
        tasks.after_response.schedule(noop)
        return {"ok": True}


def fastapi_tasks(app: FastAPI) -> None:
    """Use the peer."""
    from fastapi_tasks import Tasks, add_tasks  # noqa: PLC0415 - only where the peer is

    add_tasks(app)

    @app.get("/work")
    async def work(tasks: Tasks) -> dict[str, bool]:
        tasks.after_response.schedule(noop)
        return {"ok": True}


KINDS: dict[str, Callable[[FastAPI], None]] = {
    "bare": bare,
    "BackgroundTasks": background,
    "least": least,
    "offload": offload,
    "fastapi-tasks": fastapi_tasks,
}


def main(kind: str, descriptor: int) -> None:
    """Serve until a signal comes."""
    app = FastAPI()

    @app.get("/told")
    async def told() -> dict[str, Any]:
        """Return what this process has done so far, and with what it is made."""
        packages = ("fastapi", "starlette", "uvicorn", "h11", "anyio", "pydantic")
        versions = {name: importlib.metadata.version(name) for name in packages}
        return {"ran": ran, "cpu": time.process_time(), "versions": versions}

    KINDS[kind](app)
    config = uvicorn.Config(
        app, http="h11", loop="asyncio", ws="none", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
