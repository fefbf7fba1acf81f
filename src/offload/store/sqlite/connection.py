"""Connections: pragmas, migrations, errors in our words, and what must not be opened."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw

from offload.core.errors import (
    ConfigurationError,
    StoreCorrupted,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from offload.store.sql import scripts

BUSY_TIMEOUT_MS = 5000
STATEMENTS = 512
"""Runs of other statements after which apsw compiles one anew: each moves its own to the end of
the line. It keeps no more than so many."""
JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024
SYNCHRONOUS = ("FULL", "NORMAL")

# WAL needs memory shared between all who open the file, which these cannot give.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"}
)

_guarded: set[str] = set()


def connect(path: Path, synchronous: str) -> apsw.Connection:
    """Open the file for one thread at a time of this process.

    Raises:
        StoreCorrupted: it is not a database, or a damaged one.
        StoreUnavailable, StoreError: it cannot be opened.
    """
    with translated(path):
        connection = apsw.Connection(str(path), statementcachesize=STATEMENTS)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # Else a statement whose parameters stand beside a partial index, as most of ours do, is
        # compiled anew each time that it gets other values: ten times what it takes to run.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}").fetchall()
    return connection


def migrate(connection: apsw.Connection) -> int:
    """Bring the schema up to date, each script in a transaction of its own; return its number.

    Raises:
        ConfigurationError: the file was written by a newer version of offload, or by one from
            before the first release.
    """
    known = scripts("offload.store.sqlite.migrations")
    newest = known[-1][0]
    current = schema_version(connection)
    if 0 < current < known[0][0]:
        raise ConfigurationError(
            "the database was made by a pre-release of offload: finish its jobs with that "
            "version, or start a new file"
        )
    if current > newest:
        raise ConfigurationError(
            f"the database has schema {current}, this offload knows {newest}: "
            "upgrade offload in this process too"
        )
    if current == newest:
        return newest  # nothing to write, so nobody to wait for
    for number, script in known:
        with immediate(connection):
            if schema_version(connection) < number:
                connection.execute(script)
                connection.execute(f"PRAGMA user_version = {number}")
    return newest


def newest_schema() -> int:
    """Return the number of the last migration that this version has."""
    return scripts("offload.store.sqlite.migrations")[-1][0]


def schema_version(connection: apsw.Connection) -> int:
    """Return the number of the last migration that was applied."""
    return int(connection.pragma("user_version"))


@contextlib.contextmanager
def immediate(connection: apsw.Connection) -> Iterator[None]:
    """Run the block in a write transaction that takes its lock at once.

    A deferred one that reads before it writes fails at once when somebody else has written in
    between, whatever the busy timeout (SQLITE_BUSY_SNAPSHOT).
    """
    try:  # from here on: an interrupt may come when the transaction has just begun
        connection.execute("BEGIN IMMEDIATE")
        yield
    except BaseException:
        rollback(connection)
        raise
    connection.execute("COMMIT")


def rollback(connection: apsw.Connection) -> None:
    """Undo the open transaction; SQLite may have done so itself, as after a full disk."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the driver's errors into ours, each with the way out."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreUnavailable(f"{path} is locked by another process for too long") from error
    except apsw.FullError as error:
        raise StoreFull(f"{path}: the disk is full; free some space and try again") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreCorrupted(f"{path} is damaged or no SQLite database ({error})") from error
    except (apsw.ReadOnlyError, apsw.PermissionsError) as error:
        raise StoreError(f"{path} cannot be written: check its permissions") from error
    except apsw.CantOpenError as error:
        raise StoreError(f"{path} cannot be opened: check its folder's permissions") from error
    except apsw.IOError as error:
        raise StoreError(f"{path}: the disk reports an error ({error})") from error
    except (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError) as error:
        raise StoreRefused(f"{path}: this cannot be stored ({error})") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror} ({error.filename})") from error
    except apsw.Error as error:
        raise StoreError(f"{path}: SQLite reports an error ({error})") from error


def refuse_network_file_system(path: Path) -> None:
    """Refuse a folder that other machines may write at the same time.

    Raises:
        ConfigurationError: the folder is mounted over the network.
    """
    kind = file_system(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigurationError(
            f"{path} is on a network file system ({kind}), where SQLite cannot keep it safe: "
            "use a local disk, or a server store for several machines"
        )


def guard(path: Path) -> None:
    """Let no other copy of SQLite open this file in this process.

    Two copies of the library drop each other's POSIX locks on a file (sqlite.org/howtocorrupt,
    2.2.1), and the interpreter's own `sqlite3` is a second copy beside apsw's.
    """
    if not _guarded:
        sys.addaudithook(_audit)
    _guarded.add(os.path.realpath(path))


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event != "sqlite3.connect":
        return
    name = arguments[0]
    if isinstance(name, str | bytes | os.PathLike) and _plain(os.fsdecode(name)) in _guarded:
        raise StoreError(
            f"{os.fsdecode(name)} is a queue's file: opening it with the sqlite3 module in the "
            "same process can corrupt it. Use apsw, another process, or a file of your own"
        )


def _plain(name: str) -> str:
    return os.path.realpath(name.removeprefix("file:").partition("?")[0])


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on, "" where that cannot be told."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind
