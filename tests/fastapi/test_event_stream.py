"""Streams of a program's own events, without a server: the response and what ends it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from fastapi import Response
from fastapi.responses import StreamingResponse

from offload.fastapi import event_stream, sse
from offload.fastapi.stopping import STOPPING


def chunks_of(response: Response) -> AsyncGenerator[str]:
    assert isinstance(response, StreamingResponse)
    assert response.headers["content-type"].startswith("text/event-stream")
    return cast("AsyncGenerator[str]", response.body_iterator)


class Told:
    """Events of a test's own, and whether they were closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.more = asyncio.Event()

    async def events(self, *first: str) -> AsyncGenerator[str]:
        try:
            for event in first:
                yield event
            await self.more.wait()
            yield "last"
        finally:
            self.closed.set()


async def test_events_come_as_they_are_and_the_stream_ends_with_them() -> None:
    told = Told()
    told.more.set()
    assert [chunk async for chunk in chunks_of(event_stream(told.events("a", "b")))] == [
        "a",
        "b",
        "last",
    ]
    assert told.closed.is_set()


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.01)
    told = Told()
    chunks = chunks_of(event_stream(told.events()))
    assert await anext(chunks) == await anext(chunks) == ": keep-alive\n\n"
    told.more.set()
    while (chunk := await anext(chunks)) != "last":
        assert chunk == ": keep-alive\n\n"


async def test_events_are_closed_when_the_client_goes() -> None:
    told = Told()
    chunks = chunks_of(event_stream(told.events("a")))
    assert await anext(chunks) == "a"
    await chunks.aclose()
    await told.closed.wait()


async def test_a_stream_ends_when_the_server_is_asked_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told()
    chunks = chunks_of(event_stream(told.events("a")))
    assert await anext(chunks) == "a"
    monkeypatch.setattr(STOPPING, "asked", True)
    assert [chunk async for chunk in chunks] == []
    await told.closed.wait()


async def test_an_error_in_the_events_is_logged_and_ends_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken() -> AsyncGenerator[str]:
        yield "a"
        raise ValueError("no more")

    with caplog.at_level(logging.ERROR, "offload.fastapi"):
        assert [chunk async for chunk in chunks_of(event_stream(broken()))] == ["a"]
    [record] = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no more"
