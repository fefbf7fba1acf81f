"""Partial results in a job's stream: in order, none lost, none twice, and the end comes last."""

import contextlib
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import httpx
import pytest

from offload import JobHandle, current_job
from offload.fastapi import events as told
from tests.fastapi.serving import Event, Site, events, until


@pytest.fixture
def parts(site: Site) -> "SimpleQueue[object]":
    """Return what the task "publish" takes its parts from; at None it ends."""
    parts: SimpleQueue[object] = SimpleQueue()

    @site.queue.task(name="publish", max_retries=0)
    def publish() -> str:
        while (part := parts.get()) is not None:
            current_job.publish(part)
        return "done"

    return parts


@contextlib.contextmanager
def watching(
    client: httpx.Client, job: JobHandle[Any], seen: str | None = None
) -> Iterator[Iterator[Event]]:
    headers = {} if seen is None else {"Last-Event-ID": seen}
    path = f"/jobs/{job.id}/progress?include_results=true"
    with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200
        yield events(response)


def published(client: httpx.Client, site: Site, parts: "SimpleQueue[object]", n: int) -> Any:
    """Return a job that has published the first `n` numbers and ended."""
    for part in (*range(n), None):
        parts.put(part)
    job = site.queue.enqueue("publish")
    assert client.get(f"/jobs/{job.id}/result?timeout=20").json()["status"] == "complete"
    return job


def results(stream: list[Event]) -> list[Any]:
    told = [event.data or {} for event in stream]
    return [data["partial_result"] for data in told if "partial_result" in data]


def test_each_part_is_an_event_with_the_keys_of_the_others(
    site: Site, parts: "SimpleQueue[object]"
) -> None:
    with site.client(worker=True) as client:
        job = site.queue.enqueue("publish")
        with watching(client, job) as stream:
            until(stream, lambda event: event.status == "running")
            for part in ({"n": 1}, [2], "three"):
                parts.put(part)
                assert next(stream).data == {
                    "progress": 0, "status": "running", "partial_result": part,
                }  # fmt: skip
            parts.put(None)
            [last] = stream
    assert last.data == {"progress": 100, "status": "complete"}


def test_who_comes_late_gets_all_parts_before_the_end(
    site: Site, parts: "SimpleQueue[object]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "MOST_PARTS", 7)  # several pages
    with site.client(worker=True) as client:
        job = published(client, site, parts, 50)
        with watching(client, job) as stream:
            seen = list(stream)
    assert results(seen) == list(range(50))
    assert [event.status for event in seen] == ["running"] * 50 + ["complete"]
    assert len({event.full_id for event in seen}) == 51


def test_a_reconnect_goes_on_after_the_part_that_was_seen(
    site: Site, parts: "SimpleQueue[object]"
) -> None:
    with site.client(worker=True) as client:
        job = published(client, site, parts, 5)
        with watching(client, job) as stream:
            seen = list(stream)
        for count, event in enumerate(seen[:-1], start=1):
            with watching(client, job, seen=event.full_id) as stream:
                assert list(stream) == seen[count:]
        path = f"/jobs/{job.id}/progress?include_results=true"
        again = client.get(path, headers={"Last-Event-ID": seen[-1].full_id})
        assert (again.status_code, again.content) == (204, b"")


def test_a_reconnect_while_the_job_runs(site: Site, parts: "SimpleQueue[object]") -> None:
    with site.client(worker=True) as client:
        job = site.queue.enqueue("publish")
        with watching(client, job) as stream:
            parts.put(1)
            one = until(stream, lambda event: "partial_result" in (event.data or {}))
        parts.put(2)
        parts.put(None)
        with watching(client, job, seen=one.full_id) as stream:
            rest = list(stream)
    assert results(rest) == [2]
    assert rest[-1].status == "complete"


def test_the_id_of_a_stream_without_parts_has_seen_none(
    site: Site, parts: "SimpleQueue[object]"
) -> None:
    with site.client(worker=True) as client:
        job = published(client, site, parts, 2)
        with client.stream("GET", f"/jobs/{job.id}/progress") as response:
            [end] = events(response)
        with watching(client, job, seen=end.full_id) as stream:
            seen = list(stream)
    assert results(seen) == [0, 1]
    assert seen[-1].data == end.data


@pytest.mark.parametrize("given", ["1-", "-1", "1-x", "99999-1", "1-2-3", f"{9**99}-1"])
def test_an_id_that_never_was_begins_anew(
    site: Site, parts: "SimpleQueue[object]", given: str
) -> None:
    with site.client(worker=True) as client:
        job = published(client, site, parts, 1)
        with watching(client, job, seen=given) as stream:
            assert results(list(stream)) == [0]


def test_without_being_asked_for_parts_are_not_told(
    site: Site, parts: "SimpleQueue[object]"
) -> None:
    with site.client(worker=True) as client:
        job = published(client, site, parts, 3)
        with client.stream("GET", f"/jobs/{job.id}/progress") as response:
            [end] = events(response)
    assert end.data == {"progress": 100, "status": "complete"}
