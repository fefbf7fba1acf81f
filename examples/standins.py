"""The services that the examples call, as one small real server: payment, e-mail and others.

It has a port of this machine, one that is free or `STANDINS_PORT`. It remembers what it was asked,
and refuses when told to:

    curl $STANDINS/calls/email?count=2          waits for the second e-mail, then shows all
    curl -X POST $STANDINS/refuse/email?times=2 answers the next two with 503
"""

import asyncio
import logging
import os
import socket
import threading
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request

PATIENCE = 20.0
"""Seconds for which `/calls` waits at most."""
DECLINED = "tok_declined"
"""A card that the payment service refuses."""

log = logging.getLogger("uvicorn.error")


class Services:
    """What the stand-ins were asked, and what they answer."""

    def __init__(self) -> None:
        """Know no call yet."""
        self.calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.refusals: Counter[str] = Counter()
        self.news = asyncio.Condition()
        self.app = FastAPI()
        self.app.add_api_route("/calls/{service}", self.told)
        self.app.add_api_route("/refuse/{service}", self.refuse, methods=["POST"])
        self.app.add_api_route("/{service}/{path:path}", self.take, methods=["POST", "PUT"])

    async def told(self, service: str, count: int = 0) -> list[dict[str, Any]]:
        """Return the calls of a service, once there are so many."""
        async with self.news, asyncio.timeout(PATIENCE):
            await self.news.wait_for(lambda: len(self.calls[service]) >= count)
        return self.calls[service]

    async def refuse(self, service: str, times: int = 1) -> None:
        """Refuse the next calls of a service."""
        self.refusals[service] = times

    async def take(self, service: str, path: str, request: Request) -> dict[str, Any]:
        """Answer a call as the service would."""
        if self.refusals[service] > 0:
            self.refusals[service] -= 1
            raise HTTPException(503, f"{service} is told to refuse")
        sent = await request.body()
        is_json = request.headers.get("content-type") == "application/json"
        said = await request.json() if is_json else {"bytes": len(sent)}
        if said.get("token") == DECLINED:
            raise HTTPException(402, "card declined")
        async with self.news:
            # A real service, too, does the same thing once if asked twice under one key.
            call = {"path": path, "key": request.headers.get("idempotency-key"), **said}
            if call["key"] is None or call not in self.calls[service]:
                self.calls[service].append(call)
            self.news.notify_all()
        return {"id": f"{service}-{len(self.calls[service])}", "url": f"https://cdn.example/{path}"}


class StandIns:
    """The stand-ins, and the one HTTP client of an application: `async with outside:`."""

    http: httpx.AsyncClient
    """Its paths begin with the name of a service: `/email/send`. What is refused raises."""
    url: str

    async def __aenter__(self) -> Self:
        """Start."""
        async with AsyncExitStack() as stack:
            listening = socket.create_server(
                ("127.0.0.1", int(os.environ.get("STANDINS_PORT", "0")))
            )
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            config = uvicorn.Config(
                Services().app, lifespan="off", log_config=None, access_log=False
            )
            server = uvicorn.Server(config)
            # In a thread of its own, as a real service would be on a machine of its own.
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            stack.push_async_callback(asyncio.to_thread, thread.join)
            stack.callback(setattr, server, "should_exit", True)  # noqa: FBT003 - setattr's way
            self.http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=self.url, event_hooks={"response": [_check]})
            )
            log.info("stand-ins on %s", self.url)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self._stack.aclose()


async def _check(response: httpx.Response) -> None:
    response.raise_for_status()
