"""What a disk may hold after a power cut.

Assumed, and no more:

- A sync that has returned has put the whole of its file on the disk, content and size. A sync
  of the folder has put its names there. SQLite syncs it with the first sync of a journal.
- What was written since may be there or not, each 512-byte sector on its own and in any order;
  where two writes meet, the later one wins if it is there. A sector is old or new, never a
  mixture, and a write leaves the bytes beside it alone (SQLite's "powersafe overwrite", which
  its unix file system claims of every disk).
- A file may have grown without the data of its new part, which then is zeros or rubbish.
- Names that were made or removed since may have been or not, each on its own. The file behind a
  name that is not there is lost, synced or not. The folder itself is there.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from tests.power.log import Change, Create, Delete, Event, Sync, Truncate, Write

SECTOR = 512

Image = dict[str, bytes]
Filler = Callable[[int], bytes]


class Fate(StrEnum):
    """What becomes of the changes that no sync has covered."""

    DROPPED = "dropped"
    """None is there."""
    KEPT = "kept"
    """All are."""
    CUT = "cut"
    """Those up to some moment are, the last of them in part."""
    LATE = "late"
    """Those since some moment are, the earlier ones not."""
    SCATTERED = "scattered"
    """Each is or not."""
    TORN = "torn"
    """Each sector of each is or not."""


class Disk:
    """Follows a log and tells, at any point, what would be left."""

    def __init__(self) -> None:
        """Start with an empty folder."""
        self._synced: dict[int, bytes] = {}
        self._unsynced: dict[int, list[Change]] = {}
        self._names: dict[str, int] = {}
        self._renames: dict[str, list[int | None]] = {}

    def follow(self, event: Event) -> None:
        """Take the next event of the log."""
        match event:
            case Write(file) | Truncate(file):
                self._unsynced.setdefault(file, []).append(event)
            case Create(name, file):
                self._renames.setdefault(name, []).append(file)
            case Delete(name, synced):
                self._renames.setdefault(name, []).append(None)
                if synced:
                    self._sync_folder()
            case Sync(file, folder):
                content = self._synced.get(file, b"")
                self._synced[file] = applied(content, self._unsynced.pop(file, ()), bytes)
                if folder:
                    self._sync_folder()

    def _sync_folder(self) -> None:
        self._names = self._named(self._renames)
        self._renames = {}

    def _named(self, renames: Mapping[str, list[int | None]]) -> dict[str, int]:
        latest = self._names | {name: files[-1] for name, files in renames.items() if files}
        return {name: file for name, file in latest.items() if file is not None}

    def image(self, fate: Fate, rng: random.Random) -> Image:
        """Return the files as they are found after a cut now."""
        renames = {name: _some(files, fate, rng) for name, files in self._renames.items()}
        names = self._named(renames)
        return {name: self._content(file, fate, rng) for name, file in sorted(names.items())}

    def _content(self, file: int, fate: Fate, rng: random.Random) -> bytes:
        before = self._synced.get(file, b"")
        unsynced = self._unsynced.get(file, [])
        filler: Filler = rng.choice((bytes, rng.randbytes))
        content = applied(before, survivors(unsynced, fate, rng), filler)
        if fate not in (Fate.DROPPED, Fate.KEPT) and rng.random() < 0.5:
            grown = len(applied(before, unsynced, bytes))
            content += filler(max(0, grown - len(content)))
        return content


def applied(content: bytes, changes: list[Change] | tuple[()], filler: Filler) -> bytes:
    """Return `content` after the changes; what lies between its end and a write is filled."""
    new = bytearray(content)
    for change in changes:
        match change:
            case Write(_, offset, data):
                new += filler(max(0, offset - len(new)))
                new[offset : offset + len(data)] = data
            case Truncate(_, size):
                new[size:] = filler(max(0, size - len(new)))
    return bytes(new)


def survivors(changes: list[Change], fate: Fate, rng: random.Random) -> list[Change]:
    """Return the changes, or parts of them, that reached the disk."""
    match fate:
        case Fate.DROPPED:
            return []
        case Fate.KEPT:
            return changes
        case Fate.CUT:
            moment = rng.randrange(len(changes) + 1)
            parts = [part for change in changes[moment : moment + 1] for part in sectors(change)]
            return changes[:moment] + parts[: rng.randrange(len(parts) + 1)]
        case Fate.LATE:
            return changes[rng.randrange(len(changes) + 1) :]
        case Fate.SCATTERED:
            return [change for change in changes if rng.random() < 0.5]
        case Fate.TORN:
            parts = [part for change in changes for part in sectors(change)]
            return [part for part in parts if rng.random() < 0.5]


def sectors(change: Change) -> Iterator[Change]:
    """Part a write where one sector of the disk ends and the next begins."""
    if isinstance(change, Truncate):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, start - start % SECTOR + SECTOR)
        data = change.data[start - change.offset : stop - change.offset]
        yield Write(change.file, start, data)
        start = stop


def _some(files: list[int | None], fate: Fate, rng: random.Random) -> list[int | None]:
    """Return how far a name got: a file system may lag behind, but keeps its order."""
    match fate:
        case Fate.DROPPED:
            return []
        case Fate.KEPT:
            return files
        case _:
            return files[: rng.randrange(len(files) + 1)]
