"""Serves an application with its request tasks: when each starts, and who waits for it."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from fastapi import HTTPException, Request, Response, WebSocketDisconnect
from fastapi.exception_handlers import http_exception_handler
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from offload.core.errors import DuplicateJob, StoreError, TaskLimitReached, TaskRefused, TasksClosed
from offload.inproc.app import AppTasks
from offload.inproc.exchange import Exchange

KEY = "offload.exchange"
"""Where the scope of a request has its `HttpExchange`; mounted applications inherit it."""
RESPONSE = "http.response.start"
ANSWERS = frozenset({RESPONSE, "websocket.http.response.start", "websocket.close"})
"""What is sent when an endpoint has ended, well or not."""
LEFT = (WebSocketDisconnect, ClientDisconnect)
"""How it shows that a client has left, which is no failure of ours."""


class TooManyTasks(TaskLimitReached, HTTPException):
    """`TaskLimitReached` in a request: the client is answered 503 with Retry-After."""

    def __init__(self, error: TaskLimitReached) -> None:
        """Say what the limit is, and what to tell the client."""
        headers = {"Retry-After": f"{max(1, round(error.retry_after))}"}
        HTTPException.__init__(self, 503, str(error), headers)
        self.retry_after = error.retry_after


class ShuttingDown(TasksClosed, HTTPException):
    """`TasksClosed` in a request: the client is answered 503."""

    def __init__(self, error: TasksClosed) -> None:
        """Say what was refused."""
        HTTPException.__init__(self, 503, str(error), {"Retry-After": "1"})


class HttpExchange(Exchange):
    """The exchange of one request, whose refusals a web framework can answer with."""

    refused: Exception | None = None
    """Why the response must not go out."""

    def __init__(self, app: AppTasks) -> None:
        """Begin, where the request comes in."""
        super().__init__(app)
        self._outside = sys.exception()

    def refuse(self, error: TaskRefused) -> NoReturn:
        """See `Exchange.refuse`."""
        if isinstance(error, TaskLimitReached):
            raise TooManyTasks(error) from error
        if isinstance(error, TasksClosed):
            raise ShuttingDown(error) from error
        raise error

    def note(self) -> None:
        """Note the exception whose handler is at work, if one was raised inside.

        An error response is sent from within the `except` block that has caught the error, and
        `sys.exception()` reaches through the coroutines that are awaited there. It costs
        nothing, where a generator dependency that looks at what passes it costs 30 us a request.
        """
        error = sys.exception()
        if error is not None and error is not self._outside:
            self.raised(error)


class TasksMiddleware:
    """A pure ASGI middleware; it changes nothing that it passes on.

    It holds back the start of a response while tasks start that must come first, and the
    server's word to shut down until all have ended, so that the application's own resources,
    closed by its lifespan, outlive them.
    """

    def __init__(self, app: ASGIApp, tasks: AppTasks) -> None:
        """Serve `app` with these tasks."""
        self._app = app
        self._tasks = tasks

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve a request, a websocket, or the lifespan."""
        if scope["type"] == "lifespan":
            return self._live(scope, receive, send)
        if scope["type"] in {"http", "websocket"} and KEY not in scope:
            return self._serve(scope, receive, send)
        return self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[KEY] = exchange = HttpExchange(self._tasks)

        def sending(message: Message) -> Awaitable[None]:
            if exchange.used and message["type"] in ANSWERS:
                exchange.note()
                if message["type"] == RESPONSE and exchange.route_ended(message["status"]):
                    return _held(exchange, send, message)
            return send(message)

        error: BaseException | None = None
        try:
            try:
                await self._app(scope, receive, sending)
            except Exception:
                if exchange.refused is None:
                    raise
            if exchange.refused is not None:
                await _answer(exchange.refused, scope, receive, send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            if exchange.used and exchange.ended(None if isinstance(error, LEFT) else error):
                await exchange.done()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._tasks.open()
            elif message["type"] == "lifespan.shutdown":
                await self._tasks.stop()
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._tasks.ticker.start()
            await send(message)

        await self._app(scope, receiving, sending)


async def _held(exchange: HttpExchange, send: Send, message: Message) -> None:
    """Hold the response for what must come before it, then send its start.

    Raises:
        Exception: it must not go out; dependencies that are still open, such as a database
            transaction, see it fail.
    """
    try:
        await exchange.begun()
    except Exception as error:
        exchange.refused = error
        raise
    await send(message)


async def _answer(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as if the endpoint had raised the error; no response has started.

    Raises:
        Exception: the error itself, for which there is no handler: outside of us is who answers
            500, and who calls a handler for all exceptions.
    """
    if isinstance(error, StoreError):
        error = HTTPException(503, "The job store cannot answer now", {"Retry-After": "1"})
    elif isinstance(error, DuplicateJob):
        error = HTTPException(409, str(error))
    handlers: dict[Any, Callable[..., Any]] = getattr(scope.get("app"), "exception_handlers", {})
    kinds = [kind for kind in type(error).__mro__ if kind is not Exception]
    found = next((handlers[kind] for kind in kinds if kind in handlers), None)
    if isinstance(error, HTTPException):
        found = handlers.get(error.status_code, found) or http_exception_handler
    if found is None:
        raise error
    said = await _called(found, Request(scope, receive), error)
    await said(scope, receive, send)


async def _called(handler: Callable[..., Any], request: Request, error: Exception) -> Response:
    said: Response | Awaitable[Response] = await run_in_threadpool(handler, request, error)
    return said if isinstance(said, Response) else await said
