"""Lanes in which jobs wait, as a claim sees them."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from offload.core.lane import opens_at

Waiting = TypeVar("Waiting")


@dataclass(slots=True)
class ReadyLane(Generic[Waiting]):
    """A lane in which jobs wait, and the first of them."""

    name: str
    interval: float | None
    started_at: int | None
    free: int | None
    """Places that no running job has; None if there is no such limit."""
    queues: list[str] = field(default_factory=list)
    line: list[Waiting] = field(default_factory=list)

    def places(self, limit: int, now: int) -> int:
        """Return how many of its jobs may start now."""
        if opens_at(self.interval, self.started_at, now) > now:
            return 0
        most = limit if self.free is None else min(limit, self.free)
        return most if self.interval is None else min(most, 1)

    def opens_next(self, taken: int, now: int) -> int | None:
        """Return when time opens the lane for the jobs that are left; None if time does not."""
        if len(self.line) <= taken or self.free == taken:
            return None
        opens = opens_at(self.interval, now if taken else self.started_at, now)
        return opens if opens > now else None
