"""What the tasks do with an upload: once for the same bytes, in isolation, the slow part last."""

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imaging.manifest import Manifest, manifest_key
from imaging.presets import DEFAULT
from offload import JobHandle, Queue
from services.imaging.tests import pictures
from services.imaging.tests.running import Running, children, file

pytestmark = pytest.mark.timeout(120)


def manifest(service: Running, upload_id: str) -> Manifest:
    return Manifest.model_validate(service.get(f"/tasks/jobs/{upload_id}/result")["result"])


@contextmanager
def queue_of(service: Running) -> Iterator[Queue]:
    """Look at the service's queue, beside it."""
    queue = Queue(db_path=str(service.folder / "queue.db"))
    try:
        yield queue
    finally:
        queue.close()


def times_decoded(service: Running, upload_ids: list[str]) -> int:
    with queue_of(service) as queue:
        logs = [log for one in upload_ids for log in queue.job_logs(one)]
    return [log.line.message for log in logs].count("decoded")


def slow_jobs(service: Running) -> list[JobHandle[Any]]:
    with queue_of(service) as queue:
        return list(queue.list_jobs(tag="avif"))


def test_the_manifest_describes_the_picture_and_its_outputs(service: Running) -> None:
    data = pictures.with_metadata()
    upload_id = service.accepted("x.jpg", data)
    service.finished(upload_id)
    found = manifest(service, upload_id)
    shown = pictures.load(data).autorot()
    assert (found.width, found.height) == (shown.width, shown.height)
    assert (found.format, found.bytes) == ("jpeg", len(data))
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.taken_at
    assert found.taken_at.isoformat() == "2026-11-21T10:11:12+01:00"
    assert {"resized_compressed", "thumbnail", "square"} <= set(found.variants)
    files = service.folder / "files"
    for variant in found.variants.values():
        image = pictures.load((files / variant.key).read_bytes())
        assert (image.width, image.height) == (variant.width, variant.height)
        assert (files / variant.key).stat().st_size == variant.bytes
    stored = Manifest.model_validate_json((files / found.key).read_bytes())
    assert stored.key == manifest_key(found.sha256, DEFAULT)
    assert stored.with_variants(found.variants) == stored


def test_the_slow_output_joins_later(service: Running) -> None:
    upload_id = service.accepted("avif.jpg", pictures.photograph(".avif"))
    assert service.finished(upload_id)["status"] == "SUCCESS"
    newest = slow_jobs(service)[0]
    assert (newest.queue_name, newest.job.priority) == ("avif", -10)
    service.get(f"/tasks/jobs/{newest.id}/result?timeout=60")
    output = service.get(f"/uploads/{upload_id}")["outputs"]["avif"]
    url = f"/files/processed/{upload_id}/avif_avif.avif"
    response = service.client.get(url)
    assert response.headers["content-type"] == "image/avif"
    assert len(response.content) == output["bytes"]
    assert pictures.load(response.content).width == output["width"]


def test_the_same_photograph_is_processed_once_even_at_the_same_time(
    own_service: Running,
) -> None:
    own_service.start(IMAGING_WORKERS="3")
    data = pictures.slow_png()
    response = own_service.upload(*(file(f"{n}.png", data, "image/png") for n in range(3)))
    ids = [one["id"] for one in response.json()["uploads"]]
    for upload_id in ids:
        assert own_service.finished(upload_id)["status"] == "SUCCESS"
    ids.append(own_service.accepted("later.png", data))
    own_service.finished(ids[-1])
    assert times_decoded(own_service, ids) == 1
    results = [own_service.get(f"/upload/{one}/result")["result"] for one in ids]
    assert len({result["thumbnail"] for result in results}) == 4, "each has its own addresses"
    keys = {tuple(v.key for v in manifest(own_service, one).variants.values()) for one in ids[:3]}
    assert len(keys) == 1
    assert len(slow_jobs(own_service)) == 1


def test_presets_are_declared_in_the_environment(own_service: Running) -> None:
    presets = [preset.model_dump(mode="json") for preset in DEFAULT[:2]]
    tiny = {"name": "tiny", "width": 20, "height": 10, "fit": "cover", "format": "png"}
    own_service.start(IMAGING_PRESETS=json.dumps([*presets, tiny]))
    upload_id = own_service.accepted("x.jpg", pictures.photograph())
    own_service.finished(upload_id)
    assert set(manifest(own_service, upload_id).variants) == {
        "resized_compressed",
        "thumbnail",
        "tiny",
    }
    image = pictures.load(
        own_service.client.get(f"/files/processed/{upload_id}/x_tiny.png").content
    )
    assert (image.width, image.height, image.get("vips-loader")) == (20, 10, "pngload_buffer")
    assert slow_jobs(own_service) == []


@pytest.mark.parametrize(
    ("data", "limit"),
    [
        pytest.param(pictures.slow_png(), {"IMAGING_PICTURE_SECONDS": "0.1"}, id="time"),
        pytest.param(pictures.hungry_jpeg(), {"IMAGING_PICTURE_MEMORY": "130 MB"}, id="memory"),
    ],
)
def test_a_picture_that_takes_too_much_fails_at_once(
    own_service: Running, data: bytes, limit: dict[str, str]
) -> None:
    own_service.start(**limit)
    upload_id = own_service.accepted("x", data)
    status = own_service.finished(upload_id)
    assert status["status"] == "FAILURE"
    assert status["error"]["code"] == "too_complex"
    assert len(own_service.get(f"/tasks/jobs/{upload_id}/errors")) == 1, "never retried"


def test_a_decoder_that_dies_gets_one_more_attempt(own_service: Running) -> None:
    process = own_service.start()
    upload_id = own_service.accepted("slow.png", pictures.slow_png())
    with own_service.events(upload_id) as events:
        killed: set[int] = set()
        for event in events:
            if event["progress"] and not killed.issuperset(decoders(process.pid)):
                for pid in decoders(process.pid):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
    status = own_service.get(f"/upload/{upload_id}/status")
    assert (status["status"], status["error"]["code"]) == ("FAILURE", "too_complex")
    assert len(killed) == 2


def test_not_even_a_header_is_parsed_in_the_web_process(own_service: Running) -> None:
    process = own_service.start(IMAGING_WORKER="false")
    own_service.get("/healthz")
    assert not decoders(process.pid)
    assert own_service.upload(file("x.png", b"\x89PNG\r\n\x1a\n")).status_code == 422
    assert len(decoders(process.pid)) == 1


def decoders(pid: int) -> list[int]:
    """List the processes in which this one has pictures decoded."""
    return [
        decoder
        for child in children(pid)
        if "offload.worker.template" in Path(f"/proc/{child}/cmdline").read_text()
        for decoder in children(child)
    ]
