"""A file system for SQLite that writes down what the disk is told.

It stands on the default one, so the store works on real files; while it is installed, every
connection of the process uses it. The shared-memory index is no durable state: SQLite makes it
anew after a power loss, and opens it past `xOpen`.
"""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import apsw

from offload.store.sqlite import writer
from tests.power.log import Create, Delete, Event, Sync, Truncate, Write

# As os_unix.c does it: the first sync of such a file syncs its folder too (UNIXFILE_DIRSYNC).
JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL

Name = str | apsw.URIFilename


class Point(StrEnum):
    """Where the thread that writes can be held."""

    COMMITTED = "committed"
    """The transaction is committed, and nobody has been told."""
    APPENDS = "appends"
    """About to write to the write-ahead log."""
    SYNCS = "syncs"
    """About to sync it."""


class Gate:
    """Holds the thread that comes to it until it is opened."""

    def __init__(self) -> None:
        """Be closed, with nobody waiting."""
        self._reached = threading.Event()
        self._opened = threading.Event()

    def arrive(self) -> None:
        """Say that somebody is here, and wait."""
        self._reached.set()
        self._opened.wait()

    async def reached(self) -> None:
        """Return once a thread waits here."""
        await asyncio.to_thread(self._reached.wait)

    def open(self) -> None:
        """Let through whoever is here or comes."""
        self._opened.set()


class RecordingVFS(apsw.VFS):
    """Passes everything on and keeps `events`.

    A write is there when it was handed over, a sync when it has returned. Only one thread may
    write at a time, else a write beside a sync could seem to be covered by it.
    """

    def __init__(self, seed: str) -> None:
        """Become the default; `seed` decides the salts that SQLite asks for."""
        self.events: list[Event] = []
        self._rng = random.Random(seed)
        self._files: dict[str, int] = {}
        self._created = 0
        self._gates: dict[Point, Gate] = {}
        super().__init__("recording", "unix", makedefault=True)

    def hold(self, point: Point) -> Gate:
        """Return a gate for the next thread that comes to `point`."""
        gate = self._gates[point] = Gate()
        return gate

    def passing(self, point: Point) -> None:
        """Wait at the gate that stands here, if one does."""
        if gate := self._gates.pop(point, None):
            gate.arrive()

    def xOpen(self, name: Name | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        """Open a file, noting whether that made it. What has no name is not meant to last."""
        if name is None:
            return apsw.VFSFile("unix", name, flags)
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        fresh = not path.exists()
        file = _RecordingFile(self, name, flags)
        if fresh:
            self._created += 1
            self._files[path.name] = self._created
            self.events.append(Create(path.name, self._created))
        file.number = self._files[path.name]
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - apsw's signature
        """Delete a file."""
        super().xDelete(filename, syncdir)
        self.events.append(Delete(Path(filename).name, bool(syncdir)))

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802 - apsw's name
        """Return what the seed says, so that the same history writes the same bytes."""
        return self._rng.randbytes(numbytes)


class _RecordingFile(apsw.VFSFile):
    number = 0

    def __init__(self, vfs: RecordingVFS, name: Name, flags: list[int]) -> None:
        self._vfs = vfs
        self._log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        self._syncs_folder = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & JOURNALS)
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        if self._log:
            self._vfs.passing(Point.APPENDS)
        super().xWrite(data, offset)
        self._vfs.events.append(Write(self.number, offset, data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        super().xTruncate(newsize)
        self._vfs.events.append(Truncate(self.number, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        if self._log:
            self._vfs.passing(Point.SYNCS)
        super().xSync(flags)
        self._vfs.events.append(Sync(self.number, self._syncs_folder))
        self._syncs_folder = False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802 - apsw's name
        if op == apsw.SQLITE_FCNTL_COMMIT_PHASETWO:
            self._vfs.passing(Point.COMMITTED)
        return super().xFileControl(op, ptr)


@contextmanager
def recording(seed: str, checkpoint_pages: int) -> Iterator[RecordingVFS]:
    """Record all databases of this process; each is checkpointed when its log has grown so far."""

    def hook(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(checkpoint_pages)

    vfs = RecordingVFS(seed)
    apsw.randomness(0)  # forget what SQLite has drawn before: it draws from us now
    apsw.connection_hooks.append(hook)
    # A sync that comes by the clock would come elsewhere in each recording.
    soon, writer.SOON = writer.SOON, threading.TIMEOUT_MAX
    try:
        yield vfs
    finally:
        writer.SOON = soon
        apsw.connection_hooks.remove(hook)
        vfs.unregister()
        apsw.randomness(0)
