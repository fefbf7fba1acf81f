"""Where the queue of a run is: a file, or a server that is hurt as its workers are."""

import signal
from contextlib import closing
from pathlib import Path
from typing import Protocol

import apsw
import psycopg

from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer, ask

SCHEMA = "kill"
CHECK = """
SELECT bt_index_check(index => indexrelid, heapallindexed => indisunique)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = %s::regnamespace AND indisvalid
"""


class Server(Protocol):
    """A server of the run's own."""

    port: int

    def start(self) -> None:
        """Start it and wait until it answers."""

    def stop(self, number: signal.Signals) -> None:
        """End it with this signal, and wait until it is gone."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""

    def remove(self) -> None:
        """Stop it, and remove all that it kept."""


class Place:
    """A file."""

    server: Server | None = None

    def __init__(self, folder: Path) -> None:
        """Put it into `folder`."""
        self._path = folder / "jobs.db"

    def url(self, _port: int | None = None, /) -> str:
        """Return the queue's URL, through a proxy at this port if there is one."""
        return str(self._path)

    def integrity(self) -> str:
        """Say "ok", or what is wrong with what is stored."""
        with closing(apsw.Connection(str(self._path))) as connection:
            return str(connection.pragma("integrity_check"))

    def versions(self) -> dict[str, str]:
        """Return the versions of what keeps the jobs."""
        return {"apsw": apsw.apsw_version(), "sqlite": apsw.sqlite_lib_version()}

    def close(self) -> None:
        """Let go of it."""


class PostgresPlace(Place):
    """A PostgreSQL server."""

    def __init__(self, _folder: Path) -> None:
        """Start it; it has a folder of its own."""
        self.server: PostgresServer = PostgresServer()
        self.server.start()

    def url(self, port: int | None = None, /) -> str:
        """Return the queue's URL, through a proxy at this port if there is one."""
        own, there = f":{self.server.port}/", f":{port or self.server.port}/"
        return f"{self.server.url.replace(own, there)}?schema={SCHEMA}"

    def integrity(self) -> str:
        """Have the server compare each index with its table."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
            try:
                connection.execute(CHECK, [SCHEMA])
            except psycopg.Error as error:
                return str(error)
        return "ok"

    def versions(self) -> dict[str, str]:
        """Return the versions of what keeps the jobs."""
        with psycopg.connect(self.server.url) as connection:
            version = connection.info.parameter_status("server_version")
        return {"psycopg": psycopg.__version__, "postgres": str(version)}

    def close(self) -> None:
        """Remove the server."""
        self.server.remove()


class RedisPlace(Place):
    """A Redis or Valkey server that keeps what it has acknowledged."""

    def __init__(self, _folder: Path) -> None:
        """Start it; it has a folder of its own."""
        self.server: ValkeyServer = ValkeyServer(appendonly="yes", appendfsync="always")
        self.server.start()

    def url(self, port: int | None = None, /) -> str:
        """Return the queue's URL, through a proxy at this port if there is one."""
        own, there = f":{self.server.port}/", f":{port or self.server.port}/"
        return self.server.url.replace(own, there)

    def integrity(self) -> str:
        """Say "ok": it was started again just before, and reads nothing that is not sound."""
        return "ok"

    def versions(self) -> dict[str, str]:
        """Return the versions of what keeps the jobs."""
        told = ask(self.server.port, "INFO", "server")
        assert isinstance(told, bytes)
        lines = dict(line.split(":", 1) for line in told.decode().splitlines() if ":" in line)
        name = "valkey" if "valkey_version" in lines else "redis"
        return {name: lines[f"{name}_version"]}

    def close(self) -> None:
        """Remove the server."""
        self.server.remove()


PLACES = {"sqlite": Place, "postgres": PostgresPlace, "redis": RedisPlace}
