"""Objects as files below one folder: a temporary file beside the target, fsync, rename.

A killed process leaves a stray temporary file and never half an object.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imaging.storage.base import NotStored, Stat, Stored, UnsafeKey, checked, room
from imaging.storage.temporary import TemporaryFolder


class LocalStorage:
    """A folder on a local disk."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = Path(os.path.realpath(root))
        # The same file system as the objects, so that the last step is a rename.
        self._temporary = TemporaryFolder(self.root / "tmp")

    def check(self) -> None:
        """Write an empty file, so that a disk that has become read-only is found out."""
        self.temporary().unlink()

    def temporary(self) -> Path:
        """Make an empty file beside the objects."""
        with room():
            return self._temporary.make()

    def adopt(self, key: str, source: Path) -> None:
        """Move the file into place; after this returns it survives a power cut."""
        target = self._resolve(key)
        with room():
            _sync(source, os.O_RDONLY)
            self._make_folder(target.parent)
            source.replace(target)
            _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)

    def put(self, key: str, data: bytes) -> None:
        """Write beside the target, then rename over it."""
        source = self.temporary()
        try:
            with room():
                source.write_bytes(data)
            self.adopt(key, source)
        finally:
            source.unlink(missing_ok=True)

    def read(self, key: str) -> bytes | None:
        """Read the object's own file."""
        path = self.path(key)
        with suppress(FileNotFoundError):
            return path.read_bytes() if path else None
        return None

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """Give the object's own file."""
        path = self.path(key)
        if path is None:
            raise NotStored(key)
        yield path

    def path(self, key: str) -> Path | None:
        """Give the object's own file; a symbolic link or a folder is no object."""
        target = self._resolve(key)
        return target if _lstat(target) else None

    def stat(self, key: str) -> Stat | None:
        """Describe the object's own file."""
        found = _lstat(self._resolve(key))
        if found is None:
            return None
        return Stat(found.st_size, found.st_mtime, f"{found.st_mtime_ns:x}-{found.st_size:x}")

    def link(
        self,
        key: str,
        *,
        seconds: int,  # noqa: ARG002 -- see Storage; and so for the others
        filename: str,  # noqa: ARG002
        media_type: str,  # noqa: ARG002
        inline: bool = False,  # noqa: ARG002
    ) -> str | None:
        """Give none: nobody but the service reads its disk."""
        self._resolve(key)
        return None

    def delete(self, prefix: str) -> None:
        """Remove a file or a folder of ours, never what a link in its place points to."""
        target = self._resolve(prefix)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def entries(self, prefix: str) -> Iterator[Stored]:
        """Walk the folder; what vanishes meanwhile is left out, and links are no objects."""
        for folder, _, names in os.walk(self._resolve(prefix)):
            below = os.path.relpath(folder, self.root)
            for name in names:
                if found := _lstat(Path(folder, name)):
                    yield Stored(f"{below}/{name}", found.st_mtime)

    def sweep_temporary(self, before: float) -> None:
        """Remove what uploads and tasks that were killed have left."""
        self._temporary.sweep(before)

    def _resolve(self, key: str) -> Path:
        """Turn a key into a path below the root, or refuse.

        The segments alone rule out what a client could try; looking at the real path as
        well means that a link planted in the root leads nowhere either.
        """
        target = self.root / checked(key)
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


def _lstat(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        found = path.lstat()
        return found if stat.S_ISREG(found.st_mode) else None
    return None


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
