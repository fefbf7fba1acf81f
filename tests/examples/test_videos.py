import contextlib
import os
import socket
import threading
from pathlib import Path

import httpx
import pytest

from offload import Queue
from tests.examples.conftest import Example
from tests.seeds.running import serving, started

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("store", ["file", "postgres"])
def test_a_video_is_processed_and_its_status_read(
    store: str, example: Example, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store != "file":
        monkeypatch.setenv("QUEUE_URL", request.getfixturevalue(f"{store}_url"))
    with example("videos") as site:
        answer = site.client.post("/videos/7/process")
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        task_id = answer.json()["task_id"]
        site.module.queue.get_job(task_id).result(timeout=20)
        assert site.client.get(f"/tasks/{task_id}").json() == {
            "task_id": task_id,
            "status": "complete",
            "progress": 100,
            "result": {"video_id": 7, "frames": 1000},
            "error": None,
        }
        assert site.client.get("/tasks/nope").status_code == 404


def test_a_video_has_one_unfinished_job(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    with example("videos") as site:
        go = threading.Event()
        monkeypatch.setattr(site.module, "transcode", lambda *_: go.wait(20) and 1)
        first, second = (site.client.post("/videos/7/process").json() for _ in range(2))
        go.set()
        assert first == second
        site.module.queue.get_job(first["task_id"]).result(timeout=20)
        assert site.client.post("/videos/7/process").json() != first


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that are started find the examples, and the server run no worker."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("WORKER", "0")


def test_with_a_worker_in_a_process_of_its_own(elsewhere: None, tmp_path: Path) -> None:
    with (
        contextlib.closing(Queue(db_path=str(tmp_path / "videos.db"))) as queue,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with (
            serving(tmp_path, listening, "examples.videos:app"),
            httpx.Client(base_url=url, timeout=30) as client,
        ):
            task_id = client.post("/videos/7/process").json()["task_id"]
            path = f"/tasks/{task_id}"
            assert client.get(path).json()["status"] == "pending"
            worker = ("offload", "worker", "--app", "examples.videos:queue")
            with started(tmp_path, *worker, ready="serving"):
                job = queue.get_job(task_id)
                assert job is not None
                assert job.result(timeout=30)["frames"] == 1000
            assert client.get(path).json()["result"]["frames"] == 1000
