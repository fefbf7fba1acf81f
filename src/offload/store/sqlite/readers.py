"""A small pool of connections that only read, for any thread."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw

from offload.core.errors import StoreUnavailable
from offload.store.loop import CLOSED, is_driven
from offload.store.sqlite.connection import connect, translated

MOST = 8

Row = tuple[Any, ...]


class Readers:
    """Reads on up to `MOST` connections at a time, opened when they are first needed."""

    def __init__(self, path: Path, synchronous: str) -> None:
        """Read from `path`."""
        self._path = path
        self._synchronous = synchronous
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="offload-reader")
        self._turns = threading.BoundedSemaphore(MOST)
        self._lock = threading.Lock()
        self._idle: list[apsw.Connection] = []
        self._closed = False

    async def read(self, sql: str, values: dict[str, Any]) -> list[Row]:
        """Return the rows of one statement; a driven caller's own thread reads.

        Raises:
            StoreError: it could not be read.
            StoreUnavailable: the store was closed.
        """
        if is_driven():
            return self._read(sql, values)
        loop = asyncio.get_running_loop()
        try:
            reading = loop.run_in_executor(self._threads, self._read, sql, values)
        except RuntimeError:  # the pool takes nothing any more
            raise StoreUnavailable(CLOSED) from None
        return await reading

    def close(self) -> None:
        """Let reads under way end, and close the connections. Blocks."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._threads.shutdown()

    def _read(self, sql: str, values: dict[str, Any]) -> list[Row]:
        with self._turns:
            connection = self._taken()
            try:
                with translated(self._path):
                    rows: list[Row] = connection.execute(sql, values).fetchall()
            finally:
                self._back(connection)
        return rows

    def _taken(self) -> apsw.Connection:
        with self._lock:
            if self._closed:
                raise StoreUnavailable(CLOSED)
            if self._idle:
                return self._idle.pop()
        return connect(self._path, self._synchronous)

    def _back(self, connection: apsw.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()
