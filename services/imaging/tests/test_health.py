"""Readiness, numbers, and what is done about too much work."""

import re
import shutil

from services.imaging.tests import buckets, pictures
from services.imaging.tests.running import Running
from tests.servers.seaweed import SeaweedServer


def test_ready_with_a_worker_and_degraded_without(own_service: Running) -> None:
    web = own_service.start(IMAGING_WORKER="false")
    assert own_service.get("/readyz") == {
        "status": "degraded",
        "checks": {"queue": "ok", "storage": "ok", "workers": "none"},
    }
    web.terminate()
    web.wait(15)
    own_service.start()
    own_service.finished(own_service.accepted("x.jpg", pictures.photograph()))
    assert own_service.get("/readyz") == {
        "status": "ready",
        "checks": {"queue": "ok", "storage": "ok", "workers": "ok"},
    }


def test_unready_without_a_place_for_files(own_service: Running) -> None:
    own_service.start()
    assert own_service.client.get("/readyz").status_code == 200
    shutil.rmtree(own_service.folder / "files")
    response = own_service.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unready"
    assert response.json()["checks"]["storage"] == "failed"
    assert own_service.get("/healthz") == {"status": "ok"}


def test_unready_and_plainly_so_while_the_bucket_is_away(own_service: Running) -> None:
    server = SeaweedServer()
    try:
        server.start()
        said = buckets.in_environment(server.s3)
        own_service.start(**said, IMAGING_S3_LINKS="false")
        upload_id = own_service.accepted("x.jpg", pictures.photograph())
        own_service.finished(upload_id)
        assert own_service.get("/readyz")["checks"]["storage"] == "ok"
        server.kill()
        for response in (
            own_service.client.get(f"/upload/{upload_id}/original"),
            own_service.upload(("y.jpg", pictures.photograph(), "image/jpeg")),
        ):
            assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
        assert own_service.client.get("/readyz").json()["checks"]["storage"] == "failed"
        server.start()
        own_service.until_ready()
        assert own_service.client.get(f"/upload/{upload_id}/original").status_code == 200
    finally:
        server.remove()


def test_numbers_are_in_the_format_of_prometheus(own_service: Running) -> None:
    own_service.start()
    upload_id = own_service.accepted("x.jpg", pictures.photograph())
    own_service.finished(upload_id)
    own_service.get(f"/uploads/{upload_id}")
    response = own_service.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r"# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"[^\"]*\",?)+\})? [0-9.e+-]+")
    assert all(line.fullmatch(one) for one in response.text.splitlines())
    for expected in (
        "imaging_workers_alive 1",
        'imaging_http_requests_total{method="POST",route="/upload",status="202"} 1',
        'imaging_http_requests_total{method="GET",route="/uploads/{upload_id}",status="200"} 1',
    ):
        assert expected in response.text.splitlines()
    assert upload_id not in response.text


def test_more_than_may_wait_is_refused_before_it_is_sent(own_service: Running) -> None:
    own_service.start(IMAGING_WORKER="false", IMAGING_MAX_PENDING="2")
    waiting, _ = (own_service.accepted("x.jpg", pictures.photograph()) for _ in range(2))
    for response in (
        own_service.client.put("/upload", content=pictures.photograph()),
        own_service.upload(("x.jpg", pictures.photograph(), "image/jpeg")),
    ):
        assert (response.status_code, response.json()["code"]) == (429, "too_busy")
        assert int(response.headers["retry-after"]) > 0
    own_service.client.post(f"/upload/{waiting}/cancel")
    assert own_service.accepted("x.jpg", pictures.photograph())
