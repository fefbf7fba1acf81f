"""An application whose endpoints and tasks say what happens, in order."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from offload.fastapi import RequestTask, Tasks, add_tasks

DATABASE = Path("stage.db")
SCHEMA = """
CREATE TABLE parents (id INTEGER PRIMARY KEY);
CREATE TABLE children (parent REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
"""


async def transaction() -> AsyncIterator[sqlite3.Connection]:
    """Commit when the endpoint has returned, which fails if a child has no parent."""
    with contextlib.closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        yield connection
        connection.commit()


Early = Annotated[sqlite3.Connection, Depends(transaction, scope="function")]
Late = Annotated[sqlite3.Connection, Depends(transaction, scope="request")]


class Stage:
    """What has happened so far, and endpoints to make more happen."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.scheduled: list[RequestTask[None]] = []
        self.inside = asyncio.Event()
        self.over = asyncio.Event()
        """Whether the middleware's call of the application has ended."""
        self.app = FastAPI()
        endpoints: dict[str, Callable[..., Any]] = {
            "/plain": self.plain,
            "/raises/{what}": self.raises,
            "/gone": self.gone,
            "/stream": self.stream,
            "/endless": self.endless,
            "/early": self.early,
            "/late": self.late,
            "/inside": self.when_inside,
            "/told": self.told,
        }
        for path, endpoint in endpoints.items():
            self.app.get(path)(endpoint)
        self.app.websocket("/socket")(self.socket)

    async def _task(self, name: str) -> None:
        self.events.append(name)

    def _schedule(self, tasks: Tasks) -> None:
        self.scheduled += [
            tasks.schedule(self._task, "now"),
            tasks.after_route.schedule(self._task, "after_route"),
            tasks.after_response.schedule(self._task, "after_response"),
            tasks.after_response.task(when="success").schedule(self._task, "success"),
            tasks.after_response.task(when="error").schedule(self._task, "error"),
        ]

    async def plain(self, tasks: Tasks) -> None:
        self._schedule(tasks)

    async def raises(self, tasks: Tasks, what: str) -> None:
        if what == "before":
            raise HTTPException(418)
        self._schedule(tasks)
        raise HTTPException(418) if what == "after" else RuntimeError(what)

    async def gone(self, request: Request, tasks: Tasks) -> None:
        """Go on until the client has left, and return then."""
        self._schedule(tasks)
        self.inside.set()
        while (await request.receive())["type"] != "http.disconnect":
            pass

    async def stream(self, tasks: Tasks) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                self.events.append("part")
                yield b"part"

        self._schedule(tasks)
        return StreamingResponse(parts())

    async def endless(self, tasks: Tasks) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"part" * 10_000
                await asyncio.sleep(0)

        self._schedule(tasks)
        return StreamingResponse(parts())

    async def early(self, tasks: Tasks, database: Early) -> None:
        self._schedule(tasks)
        database.execute("INSERT INTO children VALUES (1)")

    async def late(self, tasks: Tasks, database: Late) -> None:
        self._schedule(tasks)
        database.execute("INSERT INTO children VALUES (1)")

    async def socket(self, socket: WebSocket, tasks: Tasks) -> None:
        await socket.accept()
        self._schedule(tasks)
        if await socket.receive_text() == "break":
            raise RuntimeError("as asked")

    async def when_inside(self) -> None:
        await self.inside.wait()

    async def told(self) -> dict[str, list[str]]:
        """Return what has happened, when no task is left; and how each has ended."""
        await self.over.wait()
        ends = [await task.wait() for task in self.scheduled]
        return {"events": self.events, "ends": [str(end) for end in ends]}


class Watch:
    """The outermost middleware: what it passes on has reached the server."""

    def __init__(self, app: ASGIApp, stage: Stage) -> None:
        self._app = app
        self._stage = stage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._stage.events.append("start")
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                self._stage.events.append("end")
            await send(message)

        if scope["type"] == "lifespan" or scope["path"].endswith(("/told", "/inside")):
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, sending)
        finally:
            self._stage.over.set()


async def passes(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


def dressed(stage: Stage, dress: str) -> FastAPI:
    """Return what to serve: the stage's application with its tasks, in some surroundings."""
    app = stage.app
    if dress == "base before":
        app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
    if dress in {"mounted", "sub_app"}:
        app = FastAPI()
        app.mount("", stage.app)
    add_tasks(stage.app if dress == "sub_app" else app)
    if dress == "base after":
        app.add_middleware(BaseHTTPMiddleware, dispatch=passes)
    if dress == "asgi":
        app.add_middleware(GZipMiddleware, minimum_size=1)
        app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(Watch, stage=stage)
    return app
