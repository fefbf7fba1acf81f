"""Histories made by hand: each step happens a second after the one before."""

from collections import Counter
from typing import Any, Self

from tests.kill.history import (
    Acted,
    Asked,
    Began,
    Cancelled,
    Dies,
    Event,
    Exited,
    Fault,
    Kept,
    Left,
    Over,
    Process,
    Started,
    Stored,
)
from tests.kill.rules import Findings, check

LEASE = 2.0
POISON = 3
SUPERVISOR = 100
"""The worker's first process; functions run in the ones that are told by `on`."""


class Tale:
    """What happened, told in order. It is about job "a" on process 101 if nothing else is said."""

    def __init__(self) -> None:
        """Begin."""
        self.now = 0.0
        self.events: list[Event] = [Began(at=0.0, seed=0, lease=LEASE, poison=POISON)]

    def add(self, kind: type[Event], **said: Any) -> Self:
        self.now += 1.0
        self.events.append(kind(at=self.now, **said))
        return self

    def ask(self, job: str = "a", **said: Any) -> Self:
        return self.add(Asked, **{"job": job, "attempts": 3} | said)

    def store(self, job: str = "a", to: str | None = None) -> Self:
        return self.add(Stored, job=job, to=to or job)

    def enqueue(self, job: str = "a", **said: Any) -> Self:
        return self.ask(job, **said).store(job)

    def start(self, lease: int, job: str = "a", attempt: int | None = None, on: int = 101) -> Self:
        self.add(Process, pid=on, parents=(on // 10 * 10,), worker="w")
        return self.add(Started, job=job, lease=lease, attempt=attempt or lease, pid=on)

    def act(self, lease: int, job: str = "a") -> Self:
        return self.add(Acted, job=job, lease=lease)

    def leave(self, lease: int, how: str = "returned", job: str = "a") -> Self:
        return self.add(Left, job=job, lease=lease, how=how)

    def run(self, lease: int, job: str = "a", on: int = 101) -> Self:
        return self.start(lease, job, on=on).act(lease, job).leave(lease, job=job)

    def fail(self, lease: int, on: int = 101) -> Self:
        return self.start(lease, on=on).leave(lease, "failed")

    def die(self, lease: int, on: int = 101) -> Self:
        return self.start(lease, on=on).add(Dies, job="a", lease=lease, pid=on)

    def fault(self, how: str, *pids: int, seconds: float = 0.5) -> Self:
        return self.add(
            Fault, how=how, whom="all", worker="w", pids=pids, until=self.now + 1 + seconds
        )

    def outage(self, seconds: float) -> Self:
        """Have the server away for so long; the next step comes when it is back."""
        until = self.now + 1 + seconds
        self.add(Fault, how="kill", whom="server", worker="", pids=(), until=until)
        return self.wait(seconds)

    def cancel(self, *, done: bool = True) -> Self:
        return self.add(Cancelled, job="a", done=done)

    def exit(self, pid: int, code: int) -> Self:
        return self.add(Exited, worker="w", pid=pid, code=code)

    def wait(self, seconds: float) -> Self:
        self.now += seconds
        return self

    def keep(self, state: str = "complete", job: str = "a", **said: Any) -> Self:
        """Say how a job is stored; one that is complete is so by its first lease."""
        usual: dict[str, Any] = {"attempt": 1, "lease": 1, "crashes": 0}
        if state == "complete":
            usual["result"] = said.get("lease", 1)
        return self.add(Kept, **{"job": job, "state": state} | usual | said)

    def end(self, **said: Any) -> Findings:
        """Close the history in good order, but for what is said, and check it."""
        states = Counter(event.state for event in self.events if isinstance(event, Kept))
        states["completed"] = states.pop("complete", 0)
        usual = {"stats": dict(states), "integrity": "ok", "orphans": 0, "drained": 0.0}
        return check(self.add(Over, **usual | said).events)


def lost(*attempts: int) -> tuple[tuple[int, str, str], ...]:
    """Return the error records of attempts whose worker died."""
    return tuple((attempt, "WorkerLost", "gone") for attempt in attempts)


def failed(*leases: int) -> tuple[tuple[int, str, str], ...]:
    """Return the error records of attempts that failed as planned."""
    return tuple((lease, "ValueError", f"lease {lease}") for lease in leases)
