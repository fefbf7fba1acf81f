"""kill -9 at the worst moments: nothing is lost, nothing is done twice, no status is stuck."""

import hashlib
import json
import signal
import subprocess
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest

from imaging.manifest import manifest_key, original_key, output_key
from imaging.presets import DEFAULT
from offload import Queue
from services.imaging.tests import pictures
from services.imaging.tests.running import Running, children, wait_until_gone

pytestmark = pytest.mark.timeout(150)


# Without AVIF, whose job comes after the one that is looked at.
PRESETS = DEFAULT[:3]
DECLARED = json.dumps([preset.model_dump(mode="json") for preset in PRESETS])


def stored(service: Running, data: bytes) -> list[str]:
    sha256 = hashlib.sha256(data).hexdigest()
    return [name for name in service.files() if sha256 in name]


def original(data: bytes) -> str:
    return f"files/{original_key(hashlib.sha256(data).hexdigest())}"


def complete(data: bytes) -> list[str]:
    sha256 = hashlib.sha256(data).hexdigest()
    keys = [output_key(sha256, preset) for preset in PRESETS]
    keys += [original_key(sha256), manifest_key(sha256, PRESETS)]
    return sorted(f"files/{key}" for key in keys)


def wait_until_running(service: Running, upload_id: str) -> None:
    with service.events(upload_id) as events:
        states = [event["status"] for event in _until_running(events)]
    assert states[-1] == "running"


def _until_running(events: Any) -> Any:
    for event in events:
        yield event
        if event["status"] != "pending":
            return


def kill(service: Running, process: subprocess.Popen[bytes]) -> None:
    """Kill the process alone; the helpers it has started must find out by themselves."""
    helpers = [pid for child in children(process.pid) for pid in (child, *children(child))]
    assert helpers
    process.kill()
    process.wait()
    wait_until_gone(helpers)


def queue_of(service: Running) -> AbstractContextManager[Queue]:
    return closing(Queue(db_path=service.folder / "queue.db"))


def lock_of(data: bytes) -> str:
    """Name the lock of whoever works on these bytes."""
    return f"image:{hashlib.sha256(data).hexdigest()}"


def assert_done_once(service: Running, upload_id: str, data: bytes, *, attempts: int) -> None:
    assert service.finished(upload_id)["status"] == "SUCCESS"
    assert stored(service, data) == complete(data)
    stats = service.get("/tasks/stats")
    assert (stats["completed"], stats["running"], stats["pending"]) == (1, 0, 0)
    job = service.get(f"/tasks/jobs/{upload_id}")
    assert job["status"] == "complete"
    assert len(service.get(f"/tasks/jobs/{upload_id}/errors")) <= attempts


def test_the_whole_service_killed_in_the_middle_of_an_image(own_service: Running) -> None:
    process = own_service.start(IMAGING_PRESETS=DECLARED)
    data = pictures.slow_png()
    upload_id = own_service.accepted("slow.png", data)
    wait_until_running(own_service, upload_id)
    kill(own_service, process)
    assert stored(own_service, data) == [original(data)], "not in the middle"

    own_service.start(IMAGING_PRESETS=DECLARED)
    assert_done_once(own_service, upload_id, data, attempts=1)


def test_the_web_process_killed_between_upload_and_processing(own_service: Running) -> None:
    web = own_service.start(IMAGING_WORKER="false")
    data = pictures.photograph()
    upload_id = own_service.accepted("x.jpg", data)
    assert own_service.get(f"/upload/{upload_id}/status")["status"] == "PENDING"
    web.kill()
    web.wait()

    own_service.start_worker(IMAGING_PRESETS=DECLARED)
    own_service.start(IMAGING_WORKER="false")
    assert_done_once(own_service, upload_id, data, attempts=0)


def test_a_separate_worker_killed_in_the_middle_of_an_image(own_service: Running) -> None:
    own_service.start(IMAGING_WORKER="false")
    worker = own_service.start_worker(IMAGING_PRESETS=DECLARED)
    data = pictures.slow_png()
    upload_id = own_service.accepted("slow.png", data)
    wait_until_running(own_service, upload_id)
    kill(own_service, worker)
    assert stored(own_service, data) == [original(data)], "not in the middle"

    own_service.start_worker(IMAGING_PRESETS=DECLARED)
    assert_done_once(own_service, upload_id, data, attempts=1)


def test_a_picture_is_soon_free_again_when_its_worker_was_killed(own_service: Running) -> None:
    own_service.start(IMAGING_WORKER="false")
    worker = own_service.start_worker(IMAGING_PRESETS=DECLARED)
    data = pictures.slow_png()
    wait_until_running(own_service, own_service.accepted("slow.png", data))
    kill(own_service, worker)
    with queue_of(own_service) as queue, queue.lock(lock_of(data), timeout=10):
        assert stored(own_service, data) == [original(data)], "not in the middle"


def test_a_worker_that_was_frozen_over_a_picture_ends_it_all_the_same(
    own_service: Running,
) -> None:
    process = own_service.start(IMAGING_PRESETS=DECLARED)
    data = pictures.slow_png()
    upload_id = own_service.accepted("slow.png", data)
    wait_until_running(own_service, upload_id)
    process.send_signal(signal.SIGSTOP)
    with queue_of(own_service) as queue, queue.lock(lock_of(data)):
        process.send_signal(signal.SIGCONT)
        assert_done_once(own_service, upload_id, data, attempts=0)
