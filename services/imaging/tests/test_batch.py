"""Several files of one request, as one."""

import json
from typing import Any

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running, file


def sent(service: Running, *files: tuple[str, bytes, str]) -> tuple[str, list[str]]:
    body = service.upload(*files).json()
    return body["batch_id"], [one["id"] for one in body["uploads"] if "id" in one]


def events(service: Running, batch: str) -> list[tuple[str, dict[str, Any]]]:
    found, kind = [], ""
    with service.client.stream("GET", f"/batch/{batch}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("event:"):
                kind = line.removeprefix("event:").strip()
            if line.startswith("data:"):
                found.append((kind, json.loads(line.removeprefix("data:"))))
    return found


def test_a_batch_is_followed_as_a_whole(service: Running, photograph: bytes) -> None:
    batch, ids = sent(
        service,
        file("a.jpg", photograph),
        file("b.jpg", photograph[: len(photograph) // 2]),
        file("c.png", pictures.slow_png(), "image/png"),
    )
    *before, (kind, last) = events(service, batch)
    assert {kind for kind, _ in before} == {"progress"}
    assert all(event["finished"] < 3 for _, event in before[:-1])
    percents = [event["progress"] for _, event in before]
    assert percents == sorted(percents)
    assert kind == "done"
    assert last == {
        "batch_id": batch,
        "total": 3,
        "finished": 3,
        "succeeded": 2,
        "failed": 1,
        "cancelled": 0,
        "progress": 100,
    }
    whole = service.get(f"/batch/{batch}")
    assert [one["id"] for one in whole.pop("uploads")] == ids
    assert whole == last
    listed = service.get(f"/uploads?batch={batch}&status=SUCCESS")["uploads"]
    assert [item["id"] for item in listed] == [ids[2], ids[0]]
    assert {item["batch_id"] for item in listed} == {batch}


def test_a_retry_takes_the_place_of_what_it_tries_again(
    service: Running, photograph: bytes
) -> None:
    cut = file("cut.jpg", photograph[: len(photograph) // 2])
    batch, (first, second) = sent(service, cut, file("whole.jpg", photograph))
    service.finished(first)
    fresh = service.client.post(f"/upload/{first}/retry").json()["id"]
    service.finished(fresh)
    service.finished(second)
    whole = service.get(f"/batch/{batch}")
    assert {one["id"] for one in whole["uploads"]} == {fresh, second}
    assert (whole["total"], whole["failed"], whole["succeeded"]) == (2, 1, 1)


@pytest.mark.parametrize("path", ["/batch/{}", "/batch/{}/events"])
@pytest.mark.parametrize("unknown", ["01890000-0000-7000-8000-000000000000", "x", "%00"])
def test_unknown_batches_are_404(service: Running, path: str, unknown: str) -> None:
    response = service.client.get(path.format(unknown))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("query", ["batch=x", "status=DONE"])
def test_odd_filters_are_refused(service: Running, query: str) -> None:
    response = service.client.get(f"/uploads?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_an_open_stream_does_not_hold_up_the_end(own_service: Running) -> None:
    process = own_service.start()
    slow = file("slow.png", pictures.slow_png(), "image/png")
    batch, _ = sent(own_service, slow, slow, slow, slow)
    with own_service.client.stream("GET", f"/batch/{batch}/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "event: progress"
        process.terminate()
        assert process.wait(15) is not None
        assert "event: done" not in list(lines)
    assert "graceful shutdown exceeded" not in own_service.log.read_text()
