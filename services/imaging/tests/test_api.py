"""The whole service over HTTP: what it promises to clients, step by step."""

import base64

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running, file


def test_one_file_goes_the_whole_way(service: Running, photograph: bytes) -> None:
    response = service.upload(file("sample.jpg", photograph))
    body = response.json()
    upload_id = body["id"]
    assert response.status_code == 202
    assert body == {
        "id": upload_id,
        "task_id": upload_id,
        "filename": "sample.jpg",
        "status_url": f"/upload/{upload_id}/status",
        "result_url": f"/upload/{upload_id}/result",
        "message": "File uploaded successfully. Processing started in the background.",
    }
    assert service.finished(upload_id) == {
        "id": upload_id,
        "task_id": upload_id,
        "status": "SUCCESS",
        "progress": 100,
        "filename": "sample.jpg",
        "error": None,
    }
    folder = f"/files/processed/{upload_id}"
    result = service.get(body["result_url"])
    assert result.keys() == {"status", "result", "variants", "manifest"}
    assert result["status"] == "SUCCESS"
    assert result["result"] == {
        "resized_compressed": f"{folder}/sample_resized_compressed.jpeg",
        "thumbnail": f"{folder}/sample_thumbnail.jpeg",
    }
    assert result["variants"]["thumbnail"]["url"] == result["result"]["thumbnail"]
    thumbnail = service.client.get(result["result"]["thumbnail"])
    image = pictures.load(thumbnail.content)
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert max(image.width, image.height) == 256


def test_downloads_can_do_nothing_but_be_looked_at(service: Running, photograph: bytes) -> None:
    upload_id = service.accepted("x.jpg", photograph)
    service.finished(upload_id)
    url = service.get(f"/upload/{upload_id}/result")["result"]["resized_compressed"]
    headers = service.client.get(url).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "immutable" in headers["cache-control"]
    assert service.client.get(url, headers={"range": "bytes=0-2"}).content == b"\xff\xd8\xff"


@pytest.mark.parametrize("field", ["file", "files"])
def test_several_files_are_each_answered(service: Running, photograph: bytes, field: str) -> None:
    response = service.upload(
        file("a.jpg", photograph),
        file("notes.txt", b"hello", "text/plain"),
        file("b.png", pictures.photograph(".png"), "image/png"),
        field=field,
    )
    body = response.json()
    assert response.status_code == 202
    assert body["batch_id"]
    first, second, third = body["uploads"]
    assert second["filename"] == "notes.txt"
    assert second["error"]["code"] == "not_an_image"
    for taken, name in ((first, "a.jpg"), (third, "b.png")):
        assert taken["filename"] == name
        assert service.finished(taken["id"])["status"] == "SUCCESS"


def test_progress_is_streamed_until_the_end(service: Running) -> None:
    upload_id = service.accepted("slow.png", pictures.slow_png())
    with service.events(upload_id) as events:
        seen = list(events)
    assert seen[-1] == {"progress": 100, "status": "complete"}
    running = [event["progress"] for event in seen if event["status"] == "running"]
    assert running == sorted(running)
    assert any(0 < percent < 100 for percent in running), seen


def test_a_stream_that_has_seen_the_end_is_not_opened_again(
    service: Running, photograph: bytes
) -> None:
    upload_id = service.accepted("x.jpg", photograph)
    service.finished(upload_id)
    url = f"/upload/{upload_id}/events"
    lines = service.client.get(url).text.splitlines()
    last = [line.removeprefix("id:").strip() for line in lines if line.startswith("id:")][-1]
    assert service.client.get(url, headers={"last-event-id": last}).status_code == 204


def test_leaving_a_stream_is_no_error(own_service: Running) -> None:
    process = own_service.start()
    upload_id = own_service.accepted("slow.png", pictures.slow_png())
    with own_service.events(upload_id) as events:
        next(event for event in events if event["status"] == "running")
    own_service.finished(upload_id)
    process.terminate()
    process.wait(15)
    assert "Traceback" not in own_service.log.read_text()


def test_before_the_end_the_result_is_202_and_null(service: Running) -> None:
    upload_id = service.accepted("slow.png", pictures.slow_png())
    response = service.client.get(f"/upload/{upload_id}/result")
    assert response.status_code == 202
    assert response.json() == {"status": response.json()["status"], "result": None}
    assert response.json()["status"] in {"PENDING", "PROGRESS"}
    assert service.finished(upload_id)["status"] == "SUCCESS"


def test_a_running_upload_can_be_cancelled(service: Running) -> None:
    upload_id = service.accepted("slow.png", pictures.slow_png())
    with service.events(upload_id) as events:
        next(event for event in events if event["status"] == "running")
        assert service.client.post(f"/upload/{upload_id}/cancel").json() == {"cancelled": True}
        assert list(events)[-1]["status"] == "cancelled"
    assert service.get(f"/upload/{upload_id}/status")["status"] == "REVOKED"
    assert service.get(f"/upload/{upload_id}/result") == {"status": "REVOKED", "result": None}
    assert service.client.post(f"/upload/{upload_id}/cancel").json() == {"cancelled": False}


def test_the_gallery_is_paged_newest_first(service: Running, photograph: bytes) -> None:
    made = [service.accepted(f"{n}.jpg", photograph) for n in range(3)]
    for upload_id in made:
        service.finished(upload_id)
    first = service.get("/uploads?limit=2")
    second = service.get(f"/uploads?limit=2&before={first['next']}")
    listed = [item["id"] for item in first["uploads"] + second["uploads"]]
    assert listed[:3] == made[::-1]
    item = first["uploads"][0]
    assert item == service.get(f"/uploads/{made[-1]}")
    assert (item["size"], item["width"], item["height"]) == (len(photograph), 600, 406)
    assert item["outputs"]["thumbnail"]["width"] == 256
    assert item["result"]["thumbnail"].endswith("/2_thumbnail.jpeg")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "before=x"])
def test_odd_pages_are_refused(service: Running, query: str) -> None:
    response = service.client.get(f"/uploads?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_the_page_may_load_nothing_from_elsewhere(service: Running) -> None:
    page = service.client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "://" not in page.text
    script = service.client.get("/static/app.js").text
    assert "innerHTML" not in script
    assert "://" not in script


def test_another_sites_page_cannot_write(service: Running, photograph: bytes) -> None:
    response = service.client.post(
        "/upload",
        files={"file": file("x.jpg", photograph)},
        headers={"sec-fetch-site": "cross-site"},
    )
    assert (response.status_code, response.json()["code"]) == (403, "cross_site")


def test_health_and_the_queues_own_routes(service: Running) -> None:
    assert service.get("/healthz") == {"status": "ok"}
    assert "completed" in service.get("/tasks/stats")
    assert service.get("/limits")["max_bytes"] == 25_000_000
    assert "/upload" in service.get("/openapi.json")["paths"]


def test_errors_of_unknown_routes_have_the_same_shape(service: Running) -> None:
    response = service.client.get("/nowhere/" + base64.b32encode(b"x").decode())
    assert response.status_code == 404
    assert set(response.json()) == {"detail", "code"}
    assert service.client.patch("/upload").json()["code"] == "method_not_allowed"
