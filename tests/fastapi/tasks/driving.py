"""A server of a few lines: it calls an application as ASGI says, and writes all down in order."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Scope

GONE = {"type": "http.disconnect"}


@dataclass
class Answer:
    """What a client has received."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


class Drive:
    """One application; `events` holds the messages and what the test notes, in one order."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.events: list[str] = []

    def note(self, event: str) -> None:
        self.events.append(event)

    def noting(self, event: str) -> Callable[..., Any]:
        """Return a coroutine function that notes its call."""

        async def noted(*_: object, **__: object) -> str:
            self.note(event)
            return event

        return noted

    def before(self, first: str, second: str) -> bool:
        return self.events.index(first) < self.events.index(second)

    async def get(self, path: str = "/", **scope: Any) -> Answer:
        """Make a request whose client stays until it is answered."""
        return await self.request(path, asyncio.Event(), **scope)

    async def request(self, path: str, leaves: asyncio.Event, **more: Any) -> Answer:
        """Make a request whose client leaves when `leaves` is set.

        Errors that reach the server are noted, as servers log them.
        """
        answer = Answer()
        sent = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Message:
            if (message := next(sent, None)) is not None:
                return message
            await leaves.wait()
            return GONE

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.note(f"start {message['status']}")
                answer.status = message["status"]
                answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            elif message["type"] == "http.response.body":
                if leaves.is_set():
                    raise OSError("the client has left")
                answer.body += message.get("body", b"")
                self.note("body" if message.get("more_body") else "sent")

        try:
            await self.app(http(path, **more), receive, send)
        except Exception as error:  # noqa: BLE001 - as a server does
            self.note(f"server saw {type(error).__name__}")
        self.note("end")
        return answer

    async def websocket(self, path: str = "/", *messages: str) -> list[Message]:
        """Open a websocket, send texts, leave; return what the application sent."""
        incoming: list[Message] = [{"type": "websocket.connect"}]
        incoming += [{"type": "websocket.receive", "text": text} for text in messages]
        incoming += [{"type": "websocket.disconnect", "code": 1000}]
        waiting, said = iter(incoming), []

        async def receive() -> Message:
            return next(waiting)

        async def send(message: Message) -> None:
            await asyncio.sleep(0)  # as when the network is slow
            self.note(message["type"])
            said.append(message)

        scope = http(path, type="websocket", subprotocols=[])
        scope["extensions"] = {"websocket.http.response": {}}
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - as a server does
            self.note(f"server saw {type(error).__name__}")
        self.note("end")
        return said

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator["Drive"]:
        """Start the application, and shut it down afterwards."""
        to: asyncio.Queue[Message] = asyncio.Queue()
        back: asyncio.Queue[Message] = asyncio.Queue()
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        life = asyncio.ensure_future(self.app(scope, to.get, back.put))
        await to.put({"type": "lifespan.startup"})
        assert await back.get() == {"type": "lifespan.startup.complete"}
        try:
            yield self
        finally:
            self.note("shutdown")
            await to.put({"type": "lifespan.shutdown"})
            assert await back.get() == {"type": "lifespan.shutdown.complete"}
            await life


def http(path: str, **more: Any) -> Scope:
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    return {**scope, **more}
