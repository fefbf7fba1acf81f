"""Who runs and who waits, of one kind of request task."""

from collections import deque
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
        self.left: list[RequestTask[Any]] = []
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
