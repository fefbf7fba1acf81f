"""Looks at a queue's file, its folder and the library, changing nothing of them."""

import contextlib
import os
import secrets
import shutil
import stat
import time
from contextlib import closing
from pathlib import Path

import apsw

from offload.core.errors import StoreError
from offload.store.clock import BOOT_ID_FILE
from offload.store.health import Finding, note, ok, wrong
from offload.store.sqlite import connection

MB = 1 << 20
SAFE_SQLITE = (3, 51, 3)
"""Older ones can lose acknowledged commits when two connections of a WAL file meet, except …"""
MENDED_SQLITE = {(3, 44): 6, (3, 50): 7}
"""… from this patch of these on."""
LITTLE_SPACE, NO_SPACE = 1024 * MB, 100 * MB
LARGE_WAL = 4 * connection.JOURNAL_SIZE_LIMIT


def examined(path: Path, synchronous: str) -> list[Finding]:
    """Return the findings for the file at `path`, which need not be there."""
    folder = _nearest(path.parent)
    findings = [
        library(apsw.sqlite_lib_version()),
        file_system(connection.file_system(folder)),
        space(shutil.disk_usage(folder).free),
        boot_clock(),
        _permissions(path, folder),
        _fifos(folder),
        _synchronous(synchronous),
    ]
    if not path.exists():
        return [*findings, note("file", f"{path} is not there yet", "the first job makes it")]
    wal = path.with_name(path.name + "-wal")
    with contextlib.suppress(FileNotFoundError):
        findings.append(wal_size(wal.stat().st_size))
    return findings + _inside(path)


def library(version: str) -> Finding:
    """Judge the version of SQLite."""
    number = tuple(int(part) for part in version.split(".")[:3])
    mended = MENDED_SQLITE.get((number[0], number[1]))
    if number >= SAFE_SQLITE or (mended is not None and number[2] >= mended):
        return ok("sqlite", version)
    return wrong(
        "sqlite",
        f"{version} can lose acknowledged commits in WAL mode",
        "upgrade apsw, which brings its own SQLite: pip install -U apsw",
    )


def file_system(kind: str) -> Finding:
    """Judge where the folder is mounted from."""
    if kind in connection.NETWORK_FILE_SYSTEMS:
        return wrong("file system", f"{kind}, a network file system", "use a local disk")
    return ok("file system", kind or "unknown")


def space(free: int) -> Finding:
    """Judge the bytes that are left on the disk."""
    found = f"{free / MB:,.0f} MB left"
    if free < NO_SPACE:
        return wrong("disk", found, "free some space: a full disk refuses new jobs")
    if free < LITTLE_SPACE:
        return note("disk", found, "free some space before it is full")
    return ok("disk", found)


def wal_size(size: int) -> Finding:
    """Judge the bytes of the write-ahead log."""
    found = f"{size / MB:,.1f} MB"
    if size <= LARGE_WAL:
        return ok("wal", found)
    return wrong(
        "wal", found, "some process keeps a read transaction open for long: find and end it"
    )


def boot_clock() -> Finding:
    """Say whether leases are judged by a clock that nobody sets."""
    if hasattr(time, "CLOCK_BOOTTIME") and BOOT_ID_FILE.exists():
        return ok("boot clock", "available")
    return note(
        "boot clock",
        "not available on this system",
        "after a restart of the machine, leases of dead workers may last too long",
    )


def _synchronous(synchronous: str) -> Finding:
    if synchronous == "FULL":
        return ok("synchronous", "FULL: what was acknowledged survives a power loss")
    return note(
        "synchronous",
        f"{synchronous}: a power loss may undo the last commits",
        'leave out synchronous="NORMAL" if that matters',
    )


def _permissions(path: Path, folder: Path) -> Finding:
    if not os.access(folder, os.W_OK | os.X_OK):
        return wrong("permissions", f"{folder} cannot be written", f"chown or chmod {folder}")
    for place in (path, folder):
        if not place.exists():
            continue
        if place is path and not os.access(path, os.R_OK | os.W_OK):
            return wrong("permissions", f"{path} cannot be written", f"chown or chmod {path}")
        mode = place.stat().st_mode
        # In a folder with the sticky bit, nobody can replace what is somebody else's.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return wrong("permissions", f"everybody may write {place}", f"chmod o-w {place}")
    if path.exists() and path.stat().st_mode & stat.S_IROTH:
        return note(
            "permissions", "every user of this machine may read the jobs", f"chmod o-r {path}"
        )
    return ok("permissions", "only its owner and group may read the jobs")


def _fifos(folder: Path) -> Finding:
    name = folder / f".offload-{secrets.token_hex(4)}"
    try:
        os.mkfifo(name, 0o600)
    except OSError as error:
        return note(
            "fifos",
            f"cannot be made in {folder}: {error.strerror}",
            "jobs are still found by polling, up to 2 s later",
        )
    name.unlink()
    return ok("fifos", "work: workers are woken at once")


def _inside(path: Path) -> list[Finding]:
    try:
        with connection.translated(path):
            file = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            with closing(file):
                file.set_busy_timeout(connection.BUSY_TIMEOUT_MS)
                return [check(file) for check in (_journal, _schema, _integrity)]
    except StoreError as error:
        return [wrong("file", str(error), "put that right, or restore the file from a backup")]


def _journal(file: apsw.Connection) -> Finding:
    mode = str(file.pragma("journal_mode"))
    if mode == "wal":
        return ok("journal mode", mode)
    return note("journal mode", mode, "the next worker or job sets it to wal")


def _schema(file: apsw.Connection) -> Finding:
    there, known = connection.schema_version(file), connection.newest_schema()
    if there == known:
        return ok("schema", str(there))
    if there > known:
        return wrong("schema", f"{there}, this offload knows {known}", "upgrade offload here too")
    return note("schema", f"{there}, the newest is {known}", "the next worker or job upgrades it")


def _integrity(file: apsw.Connection) -> Finding:
    lines = [str(row[0]) for row in file.execute("PRAGMA quick_check(3)")]
    if lines == ["ok"]:
        return ok("integrity", "quick_check found nothing")
    return wrong("integrity", "; ".join(lines), "stop all workers and restore it from a backup")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
