"""Trying uploads again, and taking them away."""

from services.imaging.tests import pictures
from services.imaging.tests.running import Running


def test_what_was_cancelled_can_be_tried_again(service: Running) -> None:
    first = service.accepted("slow.png", pictures.slow_png())
    assert service.client.post(f"/upload/{first}/cancel").json() == {"cancelled": True}
    assert service.finished(first)["status"] == "REVOKED"
    response = service.client.post(f"/upload/{first}/retry")
    assert response.status_code == 202
    second = response.json()["id"]
    assert second != first
    assert service.finished(second)["status"] == "SUCCESS"
    item = service.get(f"/uploads/{second}")
    assert (item["retry_of"], item["filename"]) == (first, "slow.png")
    assert service.client.get(item["result"]["thumbnail"]).status_code == 200
    again = service.client.post(f"/upload/{second}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_retryable")


def test_a_picture_that_failed_fails_again(service: Running, photograph: bytes) -> None:
    first = service.accepted("x.jpg", photograph[: len(photograph) // 2])
    assert service.finished(first)["status"] == "FAILURE"
    second = service.client.post(f"/upload/{first}/retry").json()["id"]
    assert service.finished(second)["error"]["code"] == "truncated_image"


def test_what_is_deleted_is_unknown_and_its_files_are_gone(own_service: Running) -> None:
    own_service.start()
    data = pictures.photograph()
    kept, gone = own_service.accepted("kept.jpg", data), own_service.accepted("gone.jpg", data)
    own_service.finished(kept)
    own_service.finished(gone)
    url = own_service.get(f"/upload/{gone}/result")["result"]["thumbnail"]
    delete(own_service, gone)
    for path in (f"/upload/{gone}/status", f"/uploads/{gone}", f"/upload/{gone}/original", url):
        assert own_service.client.get(path).status_code == 404
    assert own_service.client.delete(f"/upload/{gone}").status_code == 404
    listed = own_service.get("/uploads?limit=1")
    assert [item["id"] for item in listed["uploads"]] == [kept]
    assert listed["next"] is None
    original = own_service.get(f"/uploads/{kept}")["original_url"]
    assert own_service.client.get(original).content == data, "others have the same bytes"
    delete(own_service, kept)
    assert not [name for name in own_service.files() if kept in name]


def test_deleting_stops_what_runs(own_service: Running) -> None:
    own_service.start()
    upload_id = own_service.accepted("slow.png", pictures.slow_png())
    with own_service.events(upload_id) as events:
        next(event for event in events if event["status"] == "running")
        delete(own_service, upload_id)
        assert list(events)[-1]["status"] == "cancelled"
    assert own_service.files() == []


def delete(service: Running, upload_id: str) -> None:
    """Delete an upload, and wait for the job that removes its files."""
    assert service.client.delete(f"/upload/{upload_id}").status_code == 204
    done = service.get(f"/tasks/jobs/deleted-{upload_id}/result?timeout=40")
    assert done["status"] == "complete", done
