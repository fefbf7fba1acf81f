"""The store port: what every driver owes to the code above it.

All methods are batches in, batches out, and run on the queue's own event loop, never on the
user's. Docstrings state obligations. A driver that cannot do something says so in
`Capabilities`; it never does half of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from offload.core.job import Job, NewJob
from offload.core.parcel import Parcel
from offload.core.records import (
    AttemptError,
    DeadLetter,
    Family,
    Finish,
    Held,
    JobLog,
    Metric,
    Part,
    Repeat,
    Report,
)
from offload.core.schedule import Edit, Fire, Schedule
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
    SCHEDULES = "schedules"
    """A schedule was put, changed or removed; that one has fired moves nothing."""
    LOCKS = "locks"
    """Somebody let go of a lock; that its time is over moves nothing."""


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
class QueueRow:
    """A queue that has jobs, or is paused."""

    name: str
    paused: bool
    pending: int
    running: int


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to search for; newest first, `before` is the last id of the page before.

    If that job is gone, the page begins with the job of the next lower id: ids rise with time.
    """

    states: tuple[State, ...] = ()
    task: str | None = None
    queue: str | None = None
    tag: str | None = None
    schedule: str | None = None
    created_after: int | None = None
    """Enqueued at this instant or later."""
    created_before: int | None = None
    """Enqueued before this instant."""
    before: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which logs or metrics to read: the newest `limit`, oldest first."""

    job_id: str | None = None
    task: str | None = None
    level: str | None = None
    since: int | None = None
    """Recorded at this instant or later."""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much a prune removed; `records` are errors, logs and metrics."""

    jobs: int = 0
    dead_letters: int = 0
    records: int = 0


class Store(Protocol):
    """Where jobs live."""

    capabilities: Capabilities

    async def open(self) -> None:
        """Make the store ready, creating or migrating what is missing. Twice is once."""

    async def close(self) -> None:
        """Finish what was accepted and let go of everything. Twice is once."""

    async def now(self) -> int:
        """Return the wall clock by which this store judges what is due."""

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Store the jobs, all or none, durably, and return each in order, as all of them left it.

        A job whose id is already stored is not stored again: the job that is there is returned,
        so a repeated enqueue gives exactly one job. One whose unique key is held, also by an
        earlier job of the batch, is dealt with as its `OnConflict` says; a holder that is replaced
        ends as `cancel` would end it. A key of scope PENDING is free from the first claim on, for
        good; one of RUNNING from the job's end; one of WINDOW when its seconds are over, and not
        before.

        A job with parents is blocked until all of them have ended, and is then due at its own
        time. A parent before it in the batch that was answered with another job stands for that
        one. If a parent has ended, or ends, without a result, `on_parent_failure` decides; a
        job cancelled for that has the error `orphaned(parent)`, and cascades, a generation after
        the other. `Inputs` are put into the payload as soon as the last parent has ended (a
        parent without a result gives `null`).

        A job's lane gets the limits of the newest job that has any.

        Raises:
            DuplicateJob: a unique key is held, and its conflict is to reject.
            DependencyError: a parent is unknown, here and before it in the batch.
        """

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Give this worker up to `limit` jobs (of all queues if `queues` is None).

        A job qualifies if it is pending, due, not blocked, not expired, its queue is not paused,
        and its lane has a place: fewer than `max_running` of it are running, and `interval`
        has passed since its last start (each start counts, whatever became of it). Order:
        priority (higher first), then due time, then age. Each claim raises the job's lease and
        counts an attempt. Jobs that have become due or have expired are promoted first, bounded;
        what was found due stays so if the clock is set back. `next_due` also tells when a lane
        opens by time; a lane that opens by the end of a job moves the channel READY.
        """

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record that the worker lives, and return every job that it holds."""

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply each ending whose lease is the newest and whose job is running; say which were.

        Result, state, error record, metric, dead letter and what becomes of the jobs that
        waited for it become visible together. An ending under an older lease changes nothing.
        The lease decides, never its age. A job that was asked to stop does not run again: what
        would make it pending cancels it. A release keeps the job's due time unless it has a
        delay; a retry is due after its delay.
        """

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store news from running jobs under the fence of `finish`; say which were accepted."""

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or with `running` ask a running one to stop.

        True if this call did it; False if the job is unknown or in any other state.
        """

    async def retry_dead(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Insert a fresh job for each dead letter, naming its origin, and remove the letter.

        `new_ids` are the new jobs' ids by those of the letters; the answer has the new jobs by
        the letters' ids, without letters that are not there (another caller may have retried
        them). A `Repeat` is kept of each.
        """

    async def replay(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Insert a fresh job for each job that has ended, which stays as it is; as `retry_dead`."""

    async def set_paused(self, queue: str, *, paused: bool) -> bool:
        """Let nobody claim jobs of this queue, or again; whether that changed anything.

        Jobs that run go on. Resuming moves the channel READY.
        """

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        records_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove finished jobs with all that is kept of them, dead letters, and old records.

        Ages are in seconds since the end; None removes nothing of that kind. A job's own
        `result_ttl` comes before `jobs_older_than` and is always obeyed. But a job stays while it
        still holds its unique key, and while a job that depends on it is blocked. With a job go
        its errors, logs, parts, metrics, the dependencies on both sides of it and the record of
        its repeats; its dead letter does not. A record that was made when its job was gone goes
        with the job that repeats it. At most `limit` of each kind, so that one call stays short.
        Workers that hold nothing and have been silent for `FORGET_WORKERS` seconds past their
        lease go too.
        """

    # --- liveness ------------------------------------------------------------------------

    async def retire(self, worker: str) -> None:
        """Forget a worker: whatever it still holds lapses at once."""

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Return running jobs whose worker has not beaten for its lease, or is not known."""

    # --- schedules and locks -------------------------------------------------------------

    async def put_schedules(self, schedules: Sequence[Schedule]) -> None:
        """Store the schedules that a program defines, whatever other workers do meanwhile.

        One that is there already takes over the definition, unless it was edited at run time
        (`edited`), and keeps `paused`, what fired last and, unless its trigger or time zone
        changed, its next tick. One that comes with `edited` replaces whatever is there.
        """

    async def schedules(self) -> list[Schedule]:
        """Return all schedules, by name."""

    async def edit_schedule(self, name: str, edit: Edit) -> Schedule | None:
        """Change a schedule; None if there is none.

        All but `paused` and `next_at` marks it as edited.
        """

    async def delete_schedule(self, name: str) -> bool:
        """Remove a schedule; its jobs stay."""

    async def fire(self, fires: Sequence[Fire]) -> list[list[Job] | None]:
        """Enqueue the jobs of due ticks and move their schedules on, each tick once.

        None for a fire whose schedule is gone, paused, or no longer waits for that tick:
        somebody else was first. Under `Overlap.SKIP` nothing is enqueued while a job of the
        schedule is pending or running, and at most one of the jobs, the last, otherwise.
        """

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Give the lock to `owner` for `ttl` seconds, or extend what it holds.

        Returns the lock's fencing token, which rises with each new holder and stays the same
        when it is extended; None while somebody else holds it.
        """

    async def release(self, name: str, owner: str) -> bool:
        """Let go of a lock; False if `owner` does not hold it any more."""

    # --- reads ---------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Return the jobs in the order asked for, None for each that is not there."""

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Return a page of jobs, newest first."""

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count the jobs by state; every state is present."""

    async def queues(self) -> list[QueueRow]:
        """Return the queues that have pending or running jobs or are paused, by name."""

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Return the failed attempts of a job, oldest first."""

    async def logs(self, wanted: RecordFilter) -> list[JobLog]:
        """Return what tasks logged."""

    async def metrics(self, wanted: RecordFilter) -> list[Metric]:
        """Return attempts in numbers; `wanted.level` does not apply."""

    async def parts(self, job_id: str, after: int, limit: int) -> list[Part]:
        """Return what a job has published after the part `after` (0: from the first), in order."""

    async def family(self, job_id: str) -> Family:
        """Return the parents of a job, in the order asked for, and its dependents."""

    async def repeats(self, job_id: str) -> list[Repeat]:
        """Return how a job was retried from its dead letter or replayed, oldest first."""

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


class Joined(Protocol):
    """A caller's connection through which jobs are stored in the caller's own transaction."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Store the jobs as `Store.enqueue` does, if and when the caller's transaction commits.

        Workers are woken then. A refusal leaves the transaction as it was. With a synchronous
        connection it never waits for an event loop.
        """


@runtime_checkable
class Blocking(Protocol):
    """What a store may offer beyond the port: to serve threads that block without its loop."""

    async def enqueue_here(self, jobs: Sequence[NewJob]) -> Sequence[Job] | None:
        """As `enqueue`, on the thread of a driven caller; None if that has to be `enqueue`.

        Called with the store open, from any thread. What it leaves to `enqueue` may be stored.
        """


@runtime_checkable
class Joining(Protocol):
    """What a store may offer beyond the port: to write in transactions of its callers."""

    async def join(self, connection: object) -> Joined | None:
        """Return the way through a driver's connection; None if it does not reach this store.

        Called with the open store, where the connection belongs: on its caller's thread and loop.
        """


@runtime_checkable
class Moving(Protocol):
    """What a store may offer beyond the port: to give its jobs away, and to take them over.

    Each of its calls can be repeated, so that whoever moves jobs may be killed at any moment.
    """

    async def pack(self, after: int, limit: int) -> list[Parcel]:
        """Return jobs in the order in which they came, from behind the place `after` (0: all).

        All that is kept of each comes with it. Running jobs are left out.
        """

    async def unpack(self, parcels: Sequence[Parcel]) -> list[bool]:
        """Store jobs as they are, all or none, durably; say which of them were not there.

        A job whose id is stored already stays as it is, and so does what is kept of it. A key
        that another job holds stays with that one. A lane that has limits keeps them. A job that
        was blocked waits for those of its parents that are here, before it in the batch too; what
        they have come to meanwhile counts as for `Store.enqueue`. It is nobody's child of parents
        that are not here.
        """

    async def forget(self, versions: Mapping[str, int]) -> list[bool]:
        """Remove jobs with all that is kept of them, one after the other; say which were.

        A job goes only in the version that is named, while it is not running, and after all that
        depend on it.
        """

    async def put_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Store dead letters durably; one whose id is stored already stays as it is."""

    async def drop_letters(self, ids: Sequence[str]) -> None:
        """Remove these dead letters, and nothing else."""
