"""A job's progress as server-sent events, over a real server."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from offload import JobHandle
from offload.core.job import Job
from offload.fastapi import sse
from tests.fastapi.serving import Event, Site, client_of, events, parse, until


@contextlib.contextmanager
def watching(
    client: httpx.Client, job: JobHandle[Any], seen: object = None
) -> Iterator[Iterator[Event]]:
    headers = {} if seen is None else {"Last-Event-ID": str(seen)}
    with client.stream("GET", f"/jobs/{job.id}/progress", headers=headers) as response:
        assert response.status_code == 200
        yield events(response)


def test_a_stream_tells_each_change_and_ends_with_the_job(site: Site) -> None:
    with site.client(worker=True) as client:
        job = site.work.delay()
        with watching(client, job) as stream:
            seen = [until(stream, lambda event: event.status == "running")]
            for percent in (10, 40, 90):
                site.commands.put(percent)
                seen.append(next(stream))
            site.commands.put(None)
            rest = list(stream)
    expected = [{"progress": percent, "status": "running"} for percent in (0, 10, 40, 90)]
    assert [event.data for event in seen] == expected
    assert rest[-1].data == {"progress": 100, "status": "complete"}
    assert len(rest) == 1
    ids = [event.id for event in (*seen, *rest) if event.id is not None]
    assert ids == sorted(set(ids))
    assert len(ids) == 5


def test_the_headers_let_nothing_collect_or_keep_the_stream(site: Site) -> None:
    with site.client() as client:
        job = site.work.delay()
        with client.stream("GET", f"/jobs/{job.id}/progress") as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-cache"
            assert response.headers["x-accel-buffering"] == "no"
            assert next(response.iter_text()) == (
                'id: 1\ndata: {"progress": 0, "status": "pending"}\n\n'
            )


@pytest.mark.parametrize(("outcome", "status"), [(None, "complete"), (ValueError("boom"), "dead")])
def test_a_finished_job_has_one_event_and_then_204(
    site: Site, outcome: Exception | None, status: str
) -> None:
    with site.client(worker=True) as client:
        job = site.ended(outcome)
        client.get(f"/jobs/{job.id}/result?timeout=20")
        with watching(client, job) as stream:
            [last] = stream
        assert last.status == status
        again = client.get(f"/jobs/{job.id}/progress", headers={"Last-Event-ID": str(last.id)})
        assert (again.status_code, again.content) == (204, b"")


def test_a_reconnect_goes_on_where_the_client_was(site: Site) -> None:
    with site.client(worker=True) as client:
        job = site.work.delay()
        with watching(client, job) as stream:
            until(stream, lambda event: event.status == "running")
            site.commands.put(10)
            ten = next(stream)
        with watching(client, job, seen=ten.id) as stream:
            site.commands.put(20)
            twenty = next(stream)  # not 10 again
        assert twenty.progress == 20
        with watching(client, job, seen=ten.id) as stream:
            assert next(stream) == twenty  # missed meanwhile, so at once
            site.commands.put(None)
            [last] = stream
        with watching(client, job, seen=twenty.id) as stream:
            assert list(stream) == [last]


def test_an_id_that_never_was_is_no_reason_to_stay_silent(site: Site) -> None:
    with site.client() as client:
        job = site.work.delay()
        site.queue.cancel_job(job.id)
        for seen in ("", "x", "-1", "1.5", "²", "99", "9" * 5000):
            headers = {b"Last-Event-ID": seen.encode("latin-1")}
            with client.stream("GET", f"/jobs/{job.id}/progress", headers=headers) as response:
                assert [event.status for event in events(response)] == ["cancelled"]


def test_a_route_of_ones_own_can_stream_too(site: Site) -> None:
    app = FastAPI()

    @app.get("/tasks/mine/{job_id}")
    async def mine(job_id: str, request: Request) -> Response:
        return await sse.job_events(site.queue, job_id, request)

    job = site.work.delay()
    site.queue.cancel_job(job.id)
    with client_of(app) as client:
        with client.stream("GET", f"/mine/{job.id}") as response:
            [event] = events(response)
        assert event.status == "cancelled"
        assert client.get("/mine/nope").json() == {"detail": "Job not found"}


def test_silence_is_filled_with_comments(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.05)
    with site.client() as client:
        job = site.work.delay()
        with watching(client, job) as stream:
            first, *comments = (next(stream) for _ in range(4))
            assert first.status == "pending"
            assert [event.comment for event in comments] == [": keep-alive"] * 3
            site.queue.cancel_job(job.id)
            last = [event for event in stream if event.comment is None]
    assert [event.status for event in last] == ["cancelled"]


def test_the_stream_of_a_purged_job_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # A job that is watched can only be purged once it is final, which ends its streams
    # anyway; so the store has to lose it.
    async def nothing(job_ids: Sequence[str]) -> list[Job | None]:
        return [None for _ in job_ids]

    with site.client() as client:
        job = site.work.delay()
        with watching(client, job) as stream:
            assert next(stream).status == "pending"
            monkeypatch.setattr(site.queue.store, "get", nothing)
            site.queue.cancel_job(job.id)
            assert list(stream) == []
        assert client.get(f"/jobs/{job.id}/progress").status_code == 404


# -------------------------------------------------------------------------- many clients

CLIENTS = 200


async def test_two_hundred_streams_of_a_job_read_the_store_like_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, get = [], site.queue.store.get

    async def counted(job_ids: Sequence[str]) -> list[Job | None]:
        reads.append(job_ids)
        return await get(job_ids)

    with site.client(worker=True) as client:
        job = await site.work.adelay()
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(opened(client, job)) for _ in range(CLIENTS)]
            for stream in streams:
                while (await anext(stream)).status != "running":
                    pass
            monkeypatch.setattr(site.queue.store, "get", counted)
            for percent in range(10, 60, 10):
                site.commands.put(percent)
                told = await asyncio.gather(*(anext(stream) for stream in streams))
                assert {event.progress for event in told} == {percent}
            site.commands.put(None)
            told = await asyncio.gather(*(anext(stream) for stream in streams))
            assert {event.status for event in told} == {"complete"}
    # Six changes, each read once or twice, and a slow poll now and then.
    assert len(reads) < CLIENTS / 4


@contextlib.asynccontextmanager
async def opened(client: httpx.Client, job: JobHandle[Any]) -> AsyncIterator[AsyncIterator[Event]]:
    """Open a stream with nothing but a socket: 200 full clients would test the client."""
    address = client.base_url
    reader, writer = await asyncio.open_connection(address.host, address.port)
    path = f"{address.path}jobs/{job.id}/progress"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    try:
        yield read(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def read(reader: asyncio.StreamReader) -> AsyncIterator[Event]:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    while size := int(await reader.readline(), 16):
        chunk = await reader.readexactly(size + 2)
        yield parse(chunk.decode().split("\n")[:2])


async def test_a_client_that_does_not_read_gets_only_the_newest_state(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = (await site.work.adelay()).job
    all_told = asyncio.Event()

    async def hasty(_: str) -> AsyncIterator[JobHandle[Any]]:
        for version in range(1, 1001):
            yield JobHandle(replace(pending, version=version), cast("Any", None))
        all_told.set()

    monkeypatch.setattr(site.queue, "awatch", hasty)
    request = Request({"type": "http", "headers": []})
    response = await sse.job_events(site.queue, pending.id, request)
    assert isinstance(response, StreamingResponse)
    chunks = aiter(response.body_iterator)
    assert str(await anext(chunks)).startswith("id: 1\n")
    await all_told.wait()
    rest = [str(chunk) async for chunk in chunks]
    assert [chunk.split("\n")[0] for chunk in rest] == ["id: 1000"]


def test_a_client_that_leaves_ends_its_watch(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, awatch = threading.Event(), site.queue.awatch

    async def noted(job_id: str) -> AsyncIterator[JobHandle[Any]]:
        try:
            async for handle in awatch(job_id):
                yield handle
        finally:
            closed.set()

    monkeypatch.setattr(site.queue, "awatch", noted)
    with site.client() as client:
        job = site.work.delay()
        with watching(client, job) as stream:
            next(stream)
        assert closed.wait(20)
