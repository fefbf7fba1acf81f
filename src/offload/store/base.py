"""The store port: what every driver owes to the code above it.

All methods are batches in, batches out, and run on the queue's own event loop, never on the
user's. Docstrings state obligations. A driver that cannot do something says so in
`Capabilities`; it never does half of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from offload.core.job import AttemptError, DeadLetter, Finish, Held, Job, NewJob, Report
from offload.core.states import State

FORGET_WORKERS = 3600.0
"""Seconds for which a dead worker is still listed, for whoever wonders what became of it."""


class Channel(StrEnum):
    """What a process can wait for; a wake-up is a hint, the stored rows are the truth."""

    READY = "ready"
    """Something may be claimable."""
    CHANGED = "changed"
    """A job made progress or ended."""
    CONTROL = "control"
    """A running job was asked to stop."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do beyond the port."""

    url: str | None
    """How another process opens the same store; None if none can."""
    any_thread: bool = False
    """Whether, once open, it takes calls from any thread and event loop, and from driven callers
    (see `store.loop`); otherwise all but `cursor` belongs to the loop that opened it. `wait`
    always does."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life for everything that a worker holds. `worker` names its incarnation."""

    worker: str
    lease: float
    """Seconds after which, without another beat, its jobs are taken over."""
    host: str = ""
    pid: int = 0
    queues: tuple[str, ...] | None = None
    concurrency: int = 0


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the store sees it; `age` is the seconds since its last beat."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...] | None
    concurrency: int
    started_at: int
    age: float
    alive: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought: the jobs, and the seconds until the next one becomes due."""

    jobs: list[Job]
    next_due: float | None = None


@dataclass(frozen=True, slots=True)
class Lapse:
    """A running job whose worker is gone, and how it went."""

    job: Job
    reason: str


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to search for; newest first, `before` is the last id of the page before."""

    states: tuple[State, ...] = ()
    task: str | None = None
    queue: str | None = None
    tag: str | None = None
    before: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much a prune removed."""

    jobs: int = 0
    dead_letters: int = 0
    errors: int = 0


class Store(Protocol):
    """Where jobs live."""

    capabilities: Capabilities

    async def open(self) -> None:
        """Make the store ready, creating or migrating what is missing. Twice is once."""

    async def close(self) -> None:
        """Finish what was accepted and let go of everything. Twice is once."""

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store the jobs, all or none, durably, and return each in order.

        A job whose id is already stored is not stored again; one whose unique key is held by
        a pending or running job resolves to that job, also inside one batch. Both return the
        job that is there, so a repeated enqueue gives exactly one job.
        """

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Give this worker up to `limit` jobs (of all queues if `queues` is None).

        A job qualifies if it is pending, due and not expired. Order: priority (higher first),
        then due time, then age. Each claim raises the job's lease and counts an attempt.
        Jobs that have become due or have expired are promoted first, bounded.
        """

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record that the worker lives, and return every job that it holds."""

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply each ending whose lease is the newest and whose job is running; say which were.

        Result, state, error record and dead letter of one job become visible together. An
        ending under an older lease changes nothing. The lease decides, never its age. A job that
        was asked to stop does not run again: what would make it pending cancels it.
        """

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store news from running jobs under the fence of `finish`; say which were accepted."""

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or with `running` ask a running one to stop.

        True if this call did it; False if the job is unknown or in any other state.
        """

    async def retry_dead(self, dead_id: str, new_id: str) -> Job | None:
        """Insert a fresh job for a dead letter, naming its origin, and remove the letter.

        None if there is no such letter (another caller may have retried it already).
        """

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        errors_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove finished jobs with all their side records, dead letters, and error records.

        Ages are in seconds since the end; None removes nothing of that kind. A job's own
        `result_ttl` comes before `jobs_older_than` and is always obeyed. Dead letters never go
        with their job. At most `limit` of each kind, so that one call stays short. Workers that
        hold nothing and have been silent for `FORGET_WORKERS` seconds past their lease go too.
        """

    # --- liveness ------------------------------------------------------------------------

    async def retire(self, worker: str) -> None:
        """Forget a worker: whatever it still holds lapses at once."""

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Return running jobs whose worker has not beaten for its lease, or is not known."""

    # --- reads ---------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Return the jobs in the order asked for, None for each that is not there."""

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Return a page of jobs, newest first."""

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count the jobs by state; every state is present."""

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Return the failed attempts of a job, oldest first."""

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Return a page of dead letters, newest first."""

    async def workers(self) -> list[WorkerRow]:
        """Return the workers that have beaten and were not retired."""

    # --- waking --------------------------------------------------------------------------

    def cursor(self, channel: Channel) -> int:
        """Return where the channel stands now: take it *before* reading, pass it to `wait`."""

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Return as soon as the channel has moved past `cursor`, after `limit` seconds at most.

        May return early for nothing. News of another process may, rarely, only come with the
        limit.
        """
