"""What the store keeps, and the one way in which a job's row changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from offload.core.job import Job, NewJob
from offload.core.lane import Lane
from offload.core.records import AttemptError, DeadLetter, JobLog, Metric, Part, Repeat
from offload.core.schedule import Schedule
from offload.core.states import Move, State, target
from offload.core.unique import UniqueKey
from offload.store.base import Beat, Channel
from offload.store.clock import Clock
from offload.store.signals import Signals


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker's last beat, by the lease clock."""

    beat: Beat
    started_at: int
    boot: str
    ticks: float


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is or was held, by the lease clock; its token outlives each holder."""

    token: int
    owner: str | None
    ttl: float
    boot: str
    ticks: float


@dataclass(slots=True)
class Tables:
    """All rows. Dictionaries and lists are in the order in which their rows came."""

    clock: Clock
    signals: Signals = field(default_factory=Signals)
    jobs: dict[str, Job] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """Where each job stands among all that ever came."""
    due: set[str] = field(default_factory=set)
    """Pending jobs that were found due, and stay so if the clock is set back."""
    waiters: dict[str, NewJob] = field(default_factory=dict)
    """How each job that has parents was asked for."""
    keys: dict[str, tuple[str, UniqueKey]] = field(default_factory=dict)
    """The job that holds each unique key, or was the last to do so."""
    lanes: dict[str, Lane] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    """When the last job of each lane was claimed."""
    paused: set[str] = field(default_factory=set)
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    errors: list[AttemptError] = field(default_factory=list)
    logs: list[JobLog] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    workers: dict[str, Seen] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def put(self, job: Job) -> Job:
        """Store a job that has changed."""
        changed = self.jobs[job.id] = replace(job, version=job.version + 1)
        self.due.discard(job.id)
        self.line_up(changed)
        self.signals.notify(Channel.CHANGED)
        return changed

    def arrive(self, job: Job) -> None:
        """Store a job that was not there."""
        self.jobs[job.id] = job
        self.places[job.id] = next(self.ids)
        self.line_up(job)

    def line_up(self, job: Job) -> None:
        """Note if a job only waits for somebody who claims it."""
        if job.state is State.PENDING and not job.blockers and job.run_at <= self.clock.now():
            self.due.add(job.id)

    def held(self, job_id: str, lease: int) -> Job | None:
        """Return the running job if this is its newest lease."""
        job = self.jobs.get(job_id)
        if job is None or job.state is not State.RUNNING or job.lease != lease:
            return None
        return job

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Leave what `enqueue` and `fire` change as it was if the block raises."""
        before = replace(
            self,
            jobs=self.jobs.copy(),
            due=self.due.copy(),
            waiters=self.waiters.copy(),
            keys=self.keys.copy(),
            lanes=self.lanes.copy(),
            schedules=self.schedules.copy(),
        )
        try:
            yield
        except BaseException:
            self.jobs, self.due, self.waiters = before.jobs, before.due, before.waiters
            self.keys, self.lanes, self.schedules = before.keys, before.lanes, before.schedules
            raise


def given_up(job: Job, reason: str, now: int, move: Move = Move.CANCEL) -> Job:
    """Return a pending job as one that ends without having run."""
    return replace(job, state=target(job.state, move), error=reason, finished_at=now)
