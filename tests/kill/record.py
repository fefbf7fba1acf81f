"""A history put in order: what became of each job, and which faults hit which processes."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from math import inf

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

KILL_GRACE = 0.5
"""Seconds that a killed process may take to be gone, be it only to be scheduled."""
SAID = 1.0
"""Seconds within which a worker has told the store of a death."""
HORIZON = 60.0
"""Seconds after which a fault explains nothing any more: its process id may be another's."""


@dataclass(slots=True)
class Execution:
    """One run of a job's function, under one lease."""

    lease: int
    starts: list[Started] = field(default_factory=list)
    acts: list[float] = field(default_factory=list)
    left: Left | None = None
    pids: tuple[int, ...] = ()
    """Its process and the ones above it, up to the worker's first."""

    @property
    def began(self) -> float:
        """When it first began."""
        return min((start.at for start in self.starts), default=inf)

    @property
    def attempt(self) -> int:
        """Which attempt it was, 0 if it never began."""
        return self.starts[0].attempt if self.starts else 0

    @property
    def ended(self) -> float:
        """When its function ended by its own account; never, if its process was killed."""
        return inf if self.left is None else self.left.at

    @property
    def how(self) -> str:
        """How it ended by its own account, "" if it could not say."""
        return "" if self.left is None else self.left.how


@dataclass(slots=True)
class Record:
    """All that is known of a job."""

    job: str
    asked: list[Asked] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    """Enqueues that gave this job, of its own id or of another with its key."""
    cancelled: list[Cancelled] = field(default_factory=list)
    executions: dict[int, Execution] = field(default_factory=dict)
    deaths: list[Dies] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    @property
    def runs(self) -> list[Execution]:
        """The executions in the order of their leases."""
        return [self.executions[lease] for lease in sorted(self.executions)]

    def of_lease(self, lease: int) -> Execution:
        """Return the execution under this lease."""
        return self.executions.setdefault(lease, Execution(lease))


class World:
    """A whole history."""

    def __init__(self, events: Iterable[Event]) -> None:
        """Take in the events, in the order of the file."""
        self.jobs: dict[str, Record] = {}
        self.answers: list[Stored] = []
        self.faults: list[Fault] = []
        self.exits: list[Exited] = []
        self.began = Began(seed=0, lease=0.0, poison=0)
        self.over: Over | None = None
        self._above: dict[int, tuple[int, ...]] = {}
        self._by_pid: dict[int, list[Fault]] = defaultdict(list)
        self._away: list[Fault] = []
        for event in events:
            self._take(event)
        self._outages = list(self._long_outages())

    def record(self, job: str) -> Record:
        """Return what is known of a job."""
        if job not in self.jobs:
            self.jobs[job] = Record(job)
        return self.jobs[job]

    def hit(self, pid: int) -> list[Fault]:
        """Return the faults that hit a process of this id."""
        return self._by_pid.get(pid, [])

    def cause(self, run: Execution, before: float = inf) -> Fault | None:
        """Return a fault that hit the run's process, or one above it, while it ran.

        It counts from when the run began until `before`, when another took its place: a kill
        also after the function's end, for its report was perhaps not stored; a stop also a lease
        before its beginning, for the claim came earlier, and a worker that was stopped learns
        what it lost only with its next beat.
        """
        until = min(max(before, run.began), run.began + HORIZON)
        if run.left is not None:
            until = min(max(before, run.began), run.ended + HORIZON)
        for pid in run.pids:
            for fault in self.hit(pid):
                grace = self.began.lease if fault.how == "stop" else KILL_GRACE
                if fault.at <= until and fault.until + grace >= run.began:
                    return fault
        for fault in self._outages:
            if fault.at <= until and fault.until + self.began.lease >= run.began:
                return fault
        return None

    def _long_outages(self) -> Iterator[Fault]:
        """Yield when the server was away for so long that leases could be over.

        One of less than half a lease explains nothing: beats come more often. But those that
        follow each other within that time are one.
        """
        half, first = self.began.lease / 2, None
        for fault in [*self._away, None]:
            if first is not None and (fault is None or fault.at - first.until > half):
                if first.until - first.at > half:
                    yield first
                first = None
            if fault is not None:
                first = replace(fault if first is None else first, until=fault.until)

    def silenced(self, death: Dies) -> bool:
        """Whether something else befell the worker at once, so that it could not tell of it."""
        return any(
            fault.how != "poison" and fault.at <= death.at + SAID and fault.until >= death.at
            for pid in self.record(death.job).of_lease(death.lease).pids
            for fault in self.hit(pid)
        ) or any(
            fault.at <= death.at + SAID and fault.until + SAID >= death.at
            for fault in self._outages
        )

    def returns(self) -> list[float]:
        """Return how many seconds after each outage a job ran that was enqueued after it, too.

        One that was followed by another before that is no return.
        """
        ran = sorted(
            (min(answer.at for answer in record.stored), record.runs[0].began)
            for record in self.jobs.values()
            if record.stored and record.runs
        )
        found = []
        for fault, later in zip_longest(self._away, self._away[1:]):
            since = ran[bisect_left(ran, (fault.until, 0.0)) :]
            at = min((began for _, began in since if began >= fault.until), default=inf)
            if at < (inf if later is None else later.at):
                found.append(at - fault.until)
        return found

    def was_hit(self, run: Execution) -> bool:
        """Whether a fault came over the run before its function had ended."""
        return any(
            fault.at <= min(run.ended, run.began + HORIZON) and fault.until >= run.began
            for pid in run.pids
            for fault in self.hit(pid)
        )

    def _take(self, event: Event) -> None:
        match event:
            case Asked():
                self.record(event.job).asked.append(event)
            case Stored():
                self.answers.append(event)
                self.record(event.to).stored.append(event)
            case Cancelled():
                self.record(event.job).cancelled.append(event)
            case Kept():
                self.record(event.job).kept.append(event)
            case Process():
                self._above[event.pid] = event.parents
            case Fault():
                self._note(event)
            case Exited():
                self.exits.append(event)
            case Began():
                self.began = event
            case Over():
                self.over = event
            case _:
                self._run(event)

    def _run(self, event: Event) -> None:
        match event:
            case Started():
                run = self.record(event.job).of_lease(event.lease)
                run.starts.append(event)
                run.pids = (event.pid, *self._above.get(event.pid, ()))
            case Acted():
                self.record(event.job).of_lease(event.lease).acts.append(event.at)
            case Left():
                self.record(event.job).of_lease(event.lease).left = event
            case Dies(at=at, pid=pid):
                self.record(event.job).deaths.append(event)
                self._note(Fault(at=at, how="poison", whom="one", worker="", pids=(pid,), until=at))

    def _note(self, fault: Fault) -> None:
        self.faults.append(fault)
        if fault.whom == "server":
            self._away.append(fault)
        for pid in fault.pids:
            self._by_pid[pid].append(fault)
