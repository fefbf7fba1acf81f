"""A timekeeper in a process of its own, by a clock that the test moves: `FILE CLOCK`."""

import asyncio
import mmap
import sys
from pathlib import Path

from offload import Queue
from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from offload.worker.timekeeper import Timekeeper

START = 1_700_000_000_000


class SharedClock(ManualClock):
    """A clock that all processes of a test read, and one moves."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)

    def now(self) -> int:
        return int.from_bytes(self._page[:8], "little")

    def move_to(self, instant: int) -> None:
        self._page[:8] = instant.to_bytes(8, "little")


def made(path: Path) -> Queue:
    """Return a queue with a schedule in its code."""
    queue = Queue(db_path=str(path))

    @queue.periodic(every=1, name="each")
    def tick() -> None: ...

    return queue


async def keep(path: Path, clock: Path) -> None:
    store = SQLiteStore(path, clock=SharedClock(clock), synchronous="NORMAL")
    await store.open()
    await Timekeeper(store, made(path).tasks).run()


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1]), Path(sys.argv[2])))
