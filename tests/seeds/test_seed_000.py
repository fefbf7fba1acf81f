"""Seed 000, run as it says: worker, server and client as processes of their own."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from offload.core.retry import RetryPolicy
from tests.fastapi.serving import served
from tests.seeds.conftest import PORT
from tests.seeds.running import PATIENCE, serving, started, with_worker

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path, listening: socket.socket) -> Path:
    """Make `image-service/` as the seed shows it."""
    shutil.copy(HERE / "seed_000_app.py", tmp_path / "app.py")
    shutil.copy(HERE / "seed_000_one_process.py", tmp_path / "one_process.py")
    client = (HERE / "seed_000_client.py").read_text(encoding="utf-8")
    # Word for word, unless somebody else uses its port.
    client = client.replace(f"localhost:{PORT}", f"localhost:{listening.getsockname()[1]}")
    (tmp_path / "client.py").write_text(client, encoding="utf-8")
    return tmp_path


def run_client(folder: Path) -> str:
    client = subprocess.run(
        [sys.executable, "client.py"],
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert client.returncode == 0, client.stderr
    return client.stdout


def check(printed: str) -> None:
    """See rising progress and the final result in what the client has printed."""
    told = re.findall(r"  Progress: (\d+)% — Status: (\w+)", printed)
    percents = [int(percent) for percent, _ in told]
    assert percents == sorted(percents)
    assert {25, 50, 75, 100} <= set(percents)
    assert told[-1] == ("100", "complete")
    assert [status for _, status in told[:-1] if status == "complete"] == []
    assert "Result: {'id': " in printed
    assert "'status': 'complete'" in printed
    assert "'1024x1024': 'https://example.com/photo.jpg?w=1024&h=1024'" in printed


def test_worker_and_server_as_separate_processes(folder: Path, listening: socket.socket) -> None:
    with (
        serving(folder, listening, "app:app", "--reload"),
        started(folder, "offload", "worker", "--app", "app:queue", ready="serving"),
    ):
        check(run_client(folder))


def test_one_process(folder: Path, listening: socket.socket) -> None:
    with serving(folder, listening, "one_process:site"):
        check(run_client(folder))


def test_its_own_routes(folder: Path, listening: socket.socket) -> None:
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    image = {"image_url": "https://example.com/photo.jpg"}
    with (
        serving(folder, listening, "app:app"),
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        submitted = client.post("/process", params=image).json()
        job_id = submitted["job_id"]
        assert submitted["status_url"] == f"/tasks/jobs/{job_id}"
        assert client.get(submitted["status_url"]).json()["status"] == "pending"
        result = f"/process/{job_id}/result"
        assert client.get(result).json() == {"status": "pending", "progress": 0}
        assert client.get(f"{result}?timeout=0.05").json() == {"status": "pending", "result": None}
        assert client.get("/process/nope/result").status_code == 404
        cancelled = client.post(f"/process/{job_id}/cancel")
        assert cancelled.json() == {"cancelled": True, "job_id": job_id}
        again = client.post(f"/process/{job_id}/cancel")
        assert again.status_code == 400
        assert again.json() == {"detail": "Job is not in a cancellable state"}


def test_a_result_is_waited_for(seed: Any) -> None:
    module = seed("000_app")
    with served(with_worker(module)) as address:
        job = module.resize_image.delay("a.jpg", [64])  # for a second, as the seed simulates it
        url = f"{address}/process/{job.id}/result"
        answer = httpx.get(url, params={"timeout": PATIENCE}, timeout=PATIENCE + 10).json()
    assert answer == {"status": "complete", "result": {"64x64": "a.jpg?w=64&h=64"}}


def test_all_tasks_run(seed: Any) -> None:
    module = seed("000_app")
    assert module.queue.result_ttl == 3600
    assert module.queue.workers == 4
    with served(with_worker(module)):
        thumbnail = module.generate_thumbnail.delay("a.jpg")
        filters = module.apply_filters.delay("a.jpg", ["sepia"])
        assert thumbnail.job.retry == RetryPolicy(max_retries=3, backoff=2.0)
        assert filters.job.timeout == 600
        assert thumbnail.result(PATIENCE) == "a.jpg?thumb=true"
        assert filters.result(PATIENCE) == {"sepia": "a.jpg?filter=sepia"}
        assert filters.progress == 100
