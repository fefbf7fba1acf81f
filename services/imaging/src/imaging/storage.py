"""Where the bytes live, behind a protocol small enough for an object store.

A key is ours (``originals/<id>``), made of plain segments; no name that a client sent is
ever part of one.  Writing is all or nothing: a temporary file beside the target, fsync,
rename, so a killed process leaves a stray temporary file and never half an object.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_TEMPORARY = "tmp"


class UnsafeKey(ValueError):
    """The key does not name an object of this storage; nothing was touched."""

    def __init__(self, key: str) -> None:
        super().__init__(f"not a storage key: {key!r}")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as :meth:`Storage.entries` reports it."""

    key: str
    modified: float


class Storage(Protocol):
    """What the service needs of a place for files.  All of it is synchronous and may block."""

    def temporary(self) -> Path:
        """Make an empty local file to write incoming bytes to, near where they will stay."""
        ...

    def adopt(self, key: str, source: Path) -> None:
        """Store the file durably under ``key``, replacing what was there, and consume it."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store the bytes durably under ``key``, replacing what was there."""
        ...

    def path(self, key: str) -> Path | None:
        """Give a local file with the object's bytes, or None if there is no such object."""
        ...

    def delete(self, prefix: str) -> None:
        """Remove the object of this key, or all objects below it; absent is fine."""
        ...

    def entries(self, prefix: str) -> Iterator[Stored]:
        """Name what lies directly below ``prefix``."""
        ...

    def sweep_temporary(self, before: float) -> None:
        """Remove temporary files last written before this time (seconds since 1970)."""
        ...


class LocalStorage:
    """A folder on a local disk."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = Path(os.path.realpath(root))
        # The same file system as the objects, so that the last step is a rename.
        self._temporary = self.root / _TEMPORARY
        self._temporary.mkdir(exist_ok=True, mode=0o700)

    def temporary(self) -> Path:
        """Make an empty file under a name nobody can guess."""
        handle, name = tempfile.mkstemp(dir=self._temporary)
        os.close(handle)
        return Path(name)

    def adopt(self, key: str, source: Path) -> None:
        """Move the file into place; after this returns it survives a power cut."""
        target = self._resolve(key)
        _sync(source, os.O_RDONLY)
        self._make_folder(target.parent)
        source.replace(target)
        _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)

    def put(self, key: str, data: bytes) -> None:
        """Write beside the target, then rename over it."""
        source = self.temporary()
        try:
            source.write_bytes(data)
            self.adopt(key, source)
        finally:
            source.unlink(missing_ok=True)

    def path(self, key: str) -> Path | None:
        """Give the object's own file; a symbolic link or a folder is no object."""
        target = self._resolve(key)
        with suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISREG(target.lstat().st_mode):
                return target
        return None

    def delete(self, prefix: str) -> None:
        """Remove a file or a folder of ours, never what a link in its place points to."""
        target = self._resolve(prefix)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def entries(self, prefix: str) -> Iterator[Stored]:
        """Name the entries of one folder; those that vanish meanwhile are left out."""
        folder = self._resolve(prefix)
        with suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    modified = entry.stat(follow_symlinks=False).st_mtime
                    yield Stored(f"{prefix}/{entry.name}", modified)

    def sweep_temporary(self, before: float) -> None:
        """Remove what uploads and tasks that were killed have left."""
        for stored in self.entries(_TEMPORARY):
            if stored.modified < before:
                (self.root / stored.key).unlink(missing_ok=True)

    def _resolve(self, key: str) -> Path:
        """Turn a key into a path below the root, or refuse.

        The segments alone rule out ``..``, NUL and absolute paths; looking at the real
        path as well means that a link planted in the root leads nowhere either.
        """
        if not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
            raise UnsafeKey(key)
        target = self.root / key
        real = os.path.realpath(target.parent)
        if os.path.commonpath([real, self.root]) != str(self.root):
            raise UnsafeKey(key)
        return target

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
        # A new folder is durable only once its parent is.
        _sync(folder.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
