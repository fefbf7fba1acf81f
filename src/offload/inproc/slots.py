"""Who runs and who waits, of one kind of request task."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from offload.inproc.task import RequestTask


class Slots:
    """So many run at once; the others wait in the order in which they came."""

    def __init__(self, most: int) -> None:
        """Let `most` run."""
        self.most = most
        self.active = 0
        self.unfinished = 0
        """How many there are, wherever they stand: those of a request that goes on, too."""
        self.left: set[RequestTask[Any]] = set()
        """Those that were given up, and whose thread still runs and so keeps its slot."""
        self._line: deque[RequestTask[Any]] = deque()

    @property
    def waiting(self) -> int:
        """How many there are for which there is no slot."""
        return max(0, self.unfinished - self.most)

    def take(self, task: RequestTask[Any]) -> bool:
        """Give the task a slot, or let it wait for `next`."""
        if self.active < self.most:
            self.active += 1
            return True
        self._line.append(task)
        return False

    def next(self) -> RequestTask[Any] | None:
        """Hand the slot of one that has ended to the first that waits; else it is free."""
        while self._line:
            task = self._line.popleft()
            if not (task.status.final or task.leaves):
                return task
        self.active -= 1
        return None


class Slot:
    """The slot that one attempt holds: given back once, by whoever is last to need it."""

    def __init__(self, slots: Slots, free: Callable[[Slots], None]) -> None:
        """Hold it; `free` gives it to the next."""
        self.slots = slots
        self._free = free
        self._kept = False

    def free(self) -> None:
        """Give it back, unless a thread keeps it."""
        if not self._kept:
            self._free(self.slots)

    def leave(self, task: RequestTask[Any], thread: "asyncio.Future[Any]") -> None:
        """Give up on a thread, which nobody can stop; its slot is free when it ends."""
        self._kept = True
        self.slots.left.add(task)

        def ended(_: "asyncio.Future[Any]") -> None:
            self.slots.left.discard(task)
            self._free(self.slots)

        thread.add_done_callback(ended)
