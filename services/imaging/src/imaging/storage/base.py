"""What the service needs of a place for files, small enough for a disk and an object store.

A key is ours (``originals/<aa>/<sha256>``), made of plain segments; no name that a client
sent is ever part of one.  Writing is all or nothing: an object is there whole, or as it
was before.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
# EFBIG: the limit of a process; the others: of the disk, and of a user's share of it.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UnsafeKey(ValueError):
    """The key does not name an object of this storage; nothing was touched."""

    def __init__(self, key: str) -> None:
        super().__init__(f"not a storage key: {key!r}")


class NotStored(LookupError):
    """There is no object of this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"nothing is stored under {key!r}")


class StorageFull(Exception):
    """There is no room for more; what is stored already is whole."""

    def __init__(self) -> None:
        super().__init__("the storage is full: free some space, or give it more")


class StorageUnavailable(OSError):
    """The storage cannot be reached, or refuses; it may be there again soon."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as :meth:`Storage.entries` reports it; ``modified``: seconds since 1970."""

    key: str
    modified: float


@dataclass(frozen=True, slots=True)
class Stat:
    """An object: its bytes, when it was stored (seconds since 1970), a word for this content."""

    size: int
    modified: float
    etag: str


class Storage(Protocol):
    """What a place for files promises.  All of it is synchronous and may block.

    Every method that takes a key raises :class:`UnsafeKey` for what is none, and every one
    that writes raises :class:`StorageFull` where there is no room.  What lies behind a network
    raises :class:`StorageUnavailable` while it is away.
    """

    def check(self) -> None:
        """Raise ``OSError``, saying what is wrong, unless objects can be read here."""
        ...

    def temporary(self) -> Path:
        """Make an empty local file to write incoming bytes to, near where they will stay."""
        ...

    def adopt(self, key: str, source: Path) -> None:
        """Store the file durably under ``key``, replacing what was there, and consume it."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store the bytes durably under ``key``, replacing what was there."""
        ...

    def read(self, key: str) -> bytes | None:
        """Give a small object's bytes, or None if there is none."""
        ...

    def local(self, key: str) -> AbstractContextManager[Path]:
        """Give a local file with the object's bytes for the length of the block.

        It must not be changed.  Raises :class:`NotStored`.
        """
        ...

    def path(self, key: str) -> Path | None:
        """Give the object's own local file; None if there is no such object, or no such disk."""
        ...

    def stat(self, key: str) -> Stat | None:
        """Describe the object, or None if there is none."""
        ...

    def link(
        self, key: str, *, seconds: int, filename: str, media_type: str, inline: bool = False
    ) -> str | None:
        """Give an address that serves the object to anybody for so long, under this name.

        None: the caller must serve it.  Whether there is such an object is not asked.
        ``inline``: browsers show it, which is for bytes that we have made.
        """
        ...

    def delete(self, prefix: str) -> None:
        """Remove the object of this key and all objects below it; absent is fine."""
        ...

    def entries(self, prefix: str) -> Iterator[Stored]:
        """Name all objects below ``prefix``, in any order."""
        ...

    def sweep_temporary(self, before: float) -> None:
        """Remove temporary files last written before this time (seconds since 1970)."""
        ...


def checked(key: str) -> str:
    """Return the key if it is made of plain segments; rules out ``..``, NUL, absolute paths."""
    if not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise UnsafeKey(key)
    return key


@contextmanager
def room() -> Iterator[None]:
    """Turn the system's ways to say that a disk is full into :class:`StorageFull`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull from error
        raise
