"""A job's progress as server-sent events.

Each event is one unnamed `data:` line, which browsers hand to `onmessage`, with an id that they
send back as `Last-Event-ID` when they reconnect. The pace and the one watcher for all streams of
a process are the queue's. A client that reads slowly gets fewer events: only the newest state is
kept for it.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeAlias, TypeVar

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from offload.fastapi.events import States, StatesAndParts, last_seen
from offload.fastapi.finding import AnyHandle
from offload.fastapi.stopping import STOPPING
from offload.queue import Queue

T = TypeVar("T")

_Newest: TypeAlias = "asyncio.Queue[AnyHandle | None]"
"""The state that the client has not been sent yet, if there is one, and None at the end."""

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment shows every proxy that the stream lives."""

KEEP_ALIVE_EVENT = ": keep-alive\n\n"

_logger = logging.getLogger("offload.fastapi")


class EventStream(StreamingResponse):
    """Server-sent events, which nothing on the way may collect or keep."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str]) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Send the events, and end their watch together with the client's connection."""
        async with contextlib.aclosing(self._events):
            await super().stream_response(send)


async def job_events(
    queue: Queue, job_id: str, request: Request, *, include_results: bool = False
) -> Response:
    """Return the stream of a job's changes, for a route of your own.

    It starts with the current state, or after the one that the client names in
    `Last-Event-ID`, and ends after the job's last state, when the job is purged, or when the
    server is asked to stop. A client that has seen the last state gets 204, at which a
    browser does not connect again. With `include_results`, each part that the job publishes is
    an event as well, in order, none is left out, and all come before the job's last state.

    Raises:
        HTTPException: 404, the job is unknown.
    """
    watch = queue.awatch(job_id)
    first = await anext(watch, None)
    if first is None:
        raise HTTPException(404, "Job not found")
    seen = last_seen(request, first)
    telling = StatesAndParts(queue, seen) if include_results else States(seen)
    if first.job.is_final:
        await watch.aclose()  # it has nothing more to say
        if await telling.knows(first):
            return Response(status_code=204)
    return EventStream(_events(watch, first, telling))


def event_stream(events: AsyncGenerator[str]) -> Response:
    """Return a stream of events of your own, each as it is to be sent: `data: …` and a blank line.

    Comments keep a silent one alive. It ends with `events`, or when the server is asked to stop
    or the client goes; `events` is closed however it ends. A client that reads slowly is
    waited for: what has become old meanwhile is left out by not making it an event.
    """
    return EventStream(_kept_alive(events))


async def _kept_alive(events: AsyncGenerator[str]) -> AsyncGenerator[str]:
    ready: asyncio.Queue[str | None] = asyncio.Queue(1)
    # A task of its own for the reason that `_follow` has.
    pumping = asyncio.create_task(_pump(events, ready))
    try:
        with STOPPING.watched():
            async with contextlib.aclosing(_paced(ready)) as news:
                async for event in news:
                    yield KEEP_ALIVE_EVENT if event is None else event
    finally:
        pumping.cancel()


async def _pump(events: AsyncGenerator[str], ready: "asyncio.Queue[str | None]") -> None:
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                await ready.put(event)
    except Exception:
        _logger.exception("a stream of events broke off")
    await ready.put(None)


async def _events(
    watch: AsyncIterator[AnyHandle], first: AnyHandle, telling: States
) -> AsyncGenerator[str]:
    """Write what `telling` makes of `first` and of what `watch` yields after it."""
    newest: _Newest = asyncio.Queue()
    following = asyncio.create_task(_follow(watch, newest))
    following.add_done_callback(functools.partial(_note_end, newest))
    try:
        with STOPPING.watched():
            async with contextlib.aclosing(_paced(newest, first)) as news:
                async for handle in news:
                    async with contextlib.aclosing(_told(telling, handle)) as told:
                        async for event in told:
                            yield event
    finally:
        following.cancel()


async def _follow(watch: AsyncIterator[AnyHandle], newest: _Newest) -> None:
    """Keep the newest state at hand, for a client that may read slowly.

    A task of its own, because the watch takes an await to close, and does so when this is
    cancelled: a stream whose client has gone is cancelled again at each await of its own.
    """
    async for handle in watch:
        while not newest.empty():
            newest.get_nowait()
        newest.put_nowait(handle)


def _note_end(newest: _Newest, following: "asyncio.Task[None]") -> None:
    newest.put_nowait(None)
    if not following.cancelled() and (error := following.exception()):
        _logger.error("a job can be watched no longer", exc_info=error)


async def _told(telling: States, handle: AnyHandle | None) -> AsyncGenerator[str]:
    if handle is None:
        yield KEEP_ALIVE_EVENT
        return
    async with contextlib.aclosing(telling.events(handle)) as events:
        async for event in events:
            yield event


async def _paced(news: "asyncio.Queue[T | None]", *first: T) -> AsyncGenerator[T | None]:
    """Yield what comes, None for a long silence; end with a None that comes, or when asked to."""
    for told in first:
        yield told
    coming = asyncio.create_task(news.get())
    try:
        while True:
            await STOPPING.wait(coming, KEEP_ALIVE)
            if not coming.done():
                if STOPPING.asked:
                    return
                yield None
            elif (new := coming.result()) is None:
                return
            else:
                yield new
                coming = asyncio.create_task(news.get())
    finally:
        coming.cancel()
