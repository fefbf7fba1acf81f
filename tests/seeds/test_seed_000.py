"""Seed 000, run as it says: worker, server and client as processes of their own."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PORT = 8000
PATIENCE = 30


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Hold the port that the client names if it is free, else any other, for the server."""
    try:
        found = socket.create_server(("127.0.0.1", PORT))
    except OSError:
        found = socket.create_server(("127.0.0.1", 0))
    with found:
        yield found


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


@contextlib.contextmanager
def started(
    folder: Path, *command: str, ready: str, hand_over: tuple[int, ...] = ()
) -> Iterator[None]:
    """Run `python -m …` and yield when it has said that it is ready; end it with Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        pass_fds=hand_over,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    try:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if ready in line:
                break
        else:
            raise AssertionError(said)
        yield
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
    finally:
        process.kill()
        # Of use only when the test has failed: pytest shows it then.
        print(*command, said + process.communicate()[1], sep="\n")  # noqa: T201


def serving(
    folder: Path, listening: socket.socket, *command: str
) -> contextlib.AbstractContextManager[None]:
    """Run uvicorn on a socket of ours: a port that is only looked for may be lost again."""
    fd = listening.fileno()
    command = ("uvicorn", *command, "--fd", str(fd))
    return started(folder, *command, ready="Application startup complete", hand_over=(fd,))


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
