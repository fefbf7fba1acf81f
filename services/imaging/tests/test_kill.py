"""kill -9 at the worst moments: nothing is lost, nothing is done twice, no status is stuck."""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from services.imaging.tests import pictures
from services.imaging.tests.running import Running, below, wait_until_gone

pytestmark = pytest.mark.timeout(150)


def outputs(service: Running, upload_id: str) -> list[str]:
    return [name for name in service.files() if upload_id in name]


def complete(upload_id: str) -> list[str]:
    return [
        f"files/originals/{upload_id}",
        f"files/processed/{upload_id}/resized_compressed.jpeg",
        f"files/processed/{upload_id}/thumbnail.jpeg",
    ]


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
    helpers = [pid for pid in below(service.folder) if _parent(pid) == process.pid]
    assert helpers
    process.kill()
    process.wait()
    wait_until_gone(helpers)


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1]
        )
    return 0


def assert_done_once(service: Running, upload_id: str, *, attempts: int) -> None:
    assert service.finished(upload_id)["status"] == "SUCCESS"
    assert outputs(service, upload_id) == complete(upload_id)
    stats = service.get("/tasks/stats")
    assert (stats["completed"], stats["running"], stats["pending"]) == (1, 0, 0)
    job = service.get(f"/tasks/jobs/{upload_id}")
    assert job["status"] == "complete"
    assert len(service.get(f"/tasks/jobs/{upload_id}/errors")) <= attempts


def test_the_whole_service_killed_in_the_middle_of_an_image(own_service: Running) -> None:
    process = own_service.start()
    upload_id = own_service.accepted("slow.png", pictures.slow_png())
    wait_until_running(own_service, upload_id)
    kill(own_service, process)
    assert outputs(own_service, upload_id) == [f"files/originals/{upload_id}"], "not in the middle"

    own_service.start()
    assert_done_once(own_service, upload_id, attempts=1)


def test_the_web_process_killed_between_upload_and_processing(own_service: Running) -> None:
    web = own_service.start(IMAGING_WORKER="false")
    upload_id = own_service.accepted("x.jpg", pictures.photograph())
    assert own_service.get(f"/upload/{upload_id}/status")["status"] == "PENDING"
    web.kill()
    web.wait()

    own_service.start_worker()
    own_service.start(IMAGING_WORKER="false")
    assert_done_once(own_service, upload_id, attempts=0)


def test_a_separate_worker_killed_in_the_middle_of_an_image(own_service: Running) -> None:
    own_service.start(IMAGING_WORKER="false")
    worker = own_service.start_worker()
    upload_id = own_service.accepted("slow.png", pictures.slow_png())
    wait_until_running(own_service, upload_id)
    kill(own_service, worker)
    assert outputs(own_service, upload_id) == [f"files/originals/{upload_id}"], "not in the middle"

    own_service.start_worker()
    assert_done_once(own_service, upload_id, attempts=1)
