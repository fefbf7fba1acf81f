"""Kills processes of a service while it works: kill -9, which nobody can prepare for."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Event

from services.imaging.tests.running import DECLARED, Running

WORKERS = 2
ALONE = {**DECLARED, "IMAGING_WORKER": "false"}
LOOK_SECONDS = 0.05
TEMPORARY = "files/tmp/"
HALF_AN_UPLOAD = (
    b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n'
) + bytes(3_000_000)


class Faults:
    """A web process and workers beside it; whatever is killed is started again."""

    def __init__(self, service: Running, chance: Random) -> None:
        self.killed: list[str] = []
        self._service = service
        self._chance = chance
        self._looks = Event()  # never set: what it waits for is another process
        self._web = service.start(**ALONE)
        self._workers = [service.start_worker(**DECLARED) for _ in range(WORKERS)]

    def worker(self) -> None:
        """Kill a worker, or the process in which it runs things."""
        number = self._chance.randrange(WORKERS)
        worker = self._workers[number]
        inside = [pid for pid in descendants(worker.pid) if _is_member(pid)]
        if inside and self._chance.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(inside), signal.SIGKILL)
            self.killed.append("a process of a worker")
            return
        _kill(worker)
        self.killed.append("a worker")
        self._workers[number] = self._service.start_worker(**DECLARED)

    def web(self) -> None:
        """Kill the web process while it is being sent a picture; half of it is in a file."""
        before = self._service.files()
        with socket.create_connection(("127.0.0.1", self._service.port)) as connection:
            connection.sendall(HALF_AN_UPLOAD)
            while not any(TEMPORARY in name for name in {*self._service.files()} - {*before}):
                self._looks.wait(LOOK_SECONDS)
            _kill(self._web)
        self.killed.append("the web process")
        self._web = self._service.start(**ALONE)

    def alive(self) -> bool:
        """Say whether what was started last still runs."""
        return all(process.poll() is None for process in (self._web, *self._workers))


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _is_member(pid: int) -> bool:
    # Not the heart, which takes over for a worker: its worker killed next, a lease would have to
    # lapse. Nor where pictures are decoded: whatever makes that die twice is the picture's fault.
    with suppress(OSError):
        return b"offload.worker.member" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def descendants(root: int) -> list[int]:
    """List the processes that a process has started, and they, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
