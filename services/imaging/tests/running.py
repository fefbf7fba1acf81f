"""The service as its users run it: processes, a port, and HTTP between."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from imaging.presets import DEFAULT

PYTHON = sys.executable
OFFLOAD = str(Path(sys.executable).with_name("offload"))
ROOT = Path(__file__).parents[3]
# What is made at once: the job of AVIFs comes after the one that is looked at.
QUICK = [preset for preset in DEFAULT if not preset.is_slow]
DECLARED = {"IMAGING_PRESETS": json.dumps([preset.model_dump(mode="json") for preset in QUICK])}
OVER = {"complete", "failed", "dead", "cancelled"}
File = tuple[str, bytes, str]


def file(name: str, data: bytes, content_type: str = "image/jpeg") -> File:
    return name, data, content_type


class Running:
    """A data folder and the processes that work on it.

    The listening socket belongs to the test: a client may connect before the service is
    up, or while it is being restarted, and simply waits.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=45)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self._listener.close()
        self.stop()

    def stop(self) -> None:
        """End all processes in order; the data and the port stay."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, *, server: str = "uvicorn", **environment: str) -> subprocess.Popen[bytes]:
        """Start the web process, with its worker inside unless told otherwise."""
        handle = self._listener.fileno()
        return self.spawn(
            [
                PYTHON,
                "-m",
                server,
                "imaging.app:app",
                "--fd",
                str(handle),
                "--timeout-graceful-shutdown",
                "2",
            ],
            pass_fds=(handle,),
            **environment,
        )

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker in a process of its own."""
        command = [OFFLOAD, "worker", "--app", "imaging.work:queue"]
        return self.spawn(command, pass_fds=(), **environment)

    def spawn(
        self, command: list[str], *, pass_fds: tuple[int, ...] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                pass_fds=pass_fds,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **self._environment(), **environment},
            )
        self._processes.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        # No sweep in the middle of a test that counts jobs.
        return {"IMAGING_DATA_DIR": str(self.folder), "IMAGING_SWEEP_SECONDS": "10000000"}

    # ------------------------------------------------------------------- what clients do

    def upload(self, *files: File, field: str = "file") -> httpx.Response:
        return self.client.post("/upload", files=[(field, one) for one in files])

    def accepted(self, name: str, data: bytes) -> str:
        response = self.upload(file(name, data))
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def get(self, path: str) -> Any:
        response = self.client.get(path)
        assert response.status_code < 300, response.text
        return response.json()

    def finished(self, upload_id: str) -> dict[str, Any]:
        """Wait until the upload is over; its status."""
        response = self.client.get(f"/tasks/jobs/{upload_id}/result", params={"timeout": 40})
        assert response.status_code == 200, response.text
        status: dict[str, Any] = self.get(f"/upload/{upload_id}/status")
        return status

    @contextlib.contextmanager
    def events(
        self, upload_id: str, headers: dict[str, str] | None = None
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """Follow the upload's server-sent events."""
        url = f"/upload/{upload_id}/events"
        with self.client.stream("GET", url, headers=headers) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _parsed(response)

    def until_ready(self) -> None:
        """Ask until it says that it is, as whoever routes requests to it does."""
        end = time.monotonic() + 60
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < end, self.log.read_text()

    def files(self) -> list[str]:
        """Name every file of the service but the queue's own."""
        below = (p for p in self.folder.rglob("*") if p.is_file())
        names = (str(p.relative_to(self.folder)) for p in below)
        return sorted(name for name in names if not name.startswith("queue.db"))


def _parsed(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def children(pid: int) -> list[int]:
    """List the processes that this one has started; some do not know its folder."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if _parent(entry) == pid]


def _parent(entry: Path) -> int:
    if entry.name.isdigit():
        with contextlib.suppress(OSError):
            return int((entry / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
    return 0


def below(folder: Path) -> list[int]:
    """List the processes whose environment names this data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until_gone(pids: list[int]) -> None:
    """Wait for the end of processes that are not this one's children."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            ready, _, _ = select.select([handle], [], [], 15)
            os.close(handle)
            assert ready, f"process {pid} outlives the service"
