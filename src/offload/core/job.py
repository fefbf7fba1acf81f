"""The values that travel between a program, a store and a worker.

Instants are integer Unix milliseconds as the store's clock gives them; durations are seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from offload.core.retry import RetryPolicy
from offload.core.states import FINAL, Move, State


@dataclass(frozen=True, slots=True)
class NewJob:
    """A request to run a task, made by the caller; its id makes a repeated enqueue harmless."""

    id: str
    task: str
    queue: str = "default"
    payload: bytes = b"[[],{}]"
    priority: int = 0
    delay: float = 0.0
    run_at: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float | None = None
    expires: float | None = None
    result_ttl: float | None = None
    unique_key: str | None = None
    metadata: Mapping[str, object] | None = None
    tags: tuple[str, ...] = ()
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored: a snapshot, never changed in place."""

    id: str
    task: str
    queue: str
    state: State
    payload: bytes
    priority: int
    run_at: int
    created_at: int
    retry: RetryPolicy
    attempt: int = 0
    """Attempts started so far; a released attempt is given back."""
    lease: int = 0
    """The fencing token: it rises with each claim, and only its holder may report."""
    crashes: int = 0
    version: int = 1
    """Rises with every change that a watcher can see."""
    worker: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    timeout: float | None = None
    expires_at: int | None = None
    result_ttl: float | None = None
    progress: int | None = None
    result: bytes | None = None
    error: str | None = None
    unique_key: str | None = None
    cancel_requested: bool = False
    metadata: Mapping[str, object] | None = None
    tags: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def may_wait(self) -> bool:
        """Whether a worker may hold this job, as claimed, before its function can start.

        If that worker dies, nobody knows whether the function had: it counts as an attempt. So
        a job on its last attempt, or one whose process has died before, starts at once or not.
        """
        return self.crashes == 0 and self.attempt <= self.retry.max_retries

    @property
    def is_final(self) -> bool:
        """Whether nothing can change this job any more."""
        return self.state in FINAL


def stored(new: NewJob, now: int) -> Job:
    """Return the job that a store keeps for `new`, accepted at `now` (its own clock)."""
    due = new.run_at if new.run_at is not None else now + round(new.delay * 1000)
    return Job(
        id=new.id,
        task=new.task,
        queue=new.queue,
        state=State.PENDING,
        payload=new.payload,
        priority=new.priority,
        run_at=max(due, now),
        created_at=now,
        retry=new.retry,
        timeout=new.timeout,
        expires_at=None if new.expires is None else now + round(new.expires * 1000),
        result_ttl=new.result_ttl,
        unique_key=new.unique_key,
        metadata=None if new.metadata is None else json.loads(json.dumps(dict(new.metadata))),
        tags=new.tags,
        origin=new.origin,
    )


def revived(dead: Job, new_id: str) -> NewJob:
    """Return a fresh request for the job behind a dead letter, which it names as its origin.

    It starts with a full budget and without the unique key: its holder may run again by now.
    """
    return NewJob(
        id=new_id,
        task=dead.task,
        queue=dead.queue,
        payload=dead.payload,
        priority=dead.priority,
        retry=dead.retry,
        timeout=dead.timeout,
        result_ttl=dead.result_ttl,
        metadata=dead.metadata,
        tags=dead.tags,
        origin=dead.id,
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is stored: text, never an object that a reader would have to rebuild."""

    type: str
    message: str
    traceback: str = ""

    def __post_init__(self) -> None:
        """Escape what not every store can keep: lone surrogates, as of odd file names, and NUL."""
        for name in ("type", "message", "traceback"):
            text = getattr(self, name).encode(errors="backslashreplace").decode()
            object.__setattr__(self, name, text.replace("\0", "\\x00"))

    def summary(self) -> str:
        """Return the error in one line; the whole of it is in `message` and `traceback`."""
        line, *more = self.message.strip().splitlines() or [""]
        return (f"{self.type}: {line}" if line else self.type) + (" …" if more else "")


@dataclass(frozen=True, slots=True)
class Finish:
    """What becomes of a claimed job, to be applied only if `lease` is still the newest."""

    job_id: str
    lease: int
    move: Move
    delay: float = 0.0
    result: bytes | None = None
    failure: Failure | None = None
    crashed: bool = False

    @property
    def gives_back_attempt(self) -> bool:
        """Whether this ending leaves the job's retries untouched."""
        return self.move is Move.RELEASE

    def stopped(self) -> "Finish":
        """Return this ending for a job that was asked to stop, and so must not run again."""
        failure = Failure("Cancelled", "cancelled while running")
        return replace(self, move=Move.CANCEL, failure=failure)

    @property
    def error(self) -> str | None:
        """The line to show for this ending; being cancelled is no error of any type."""
        if self.failure is None:
            return None
        return self.failure.message if self.move is Move.CANCEL else self.failure.summary()


@dataclass(frozen=True, slots=True)
class Report:
    """News from a running job, fenced like its end."""

    job_id: str
    lease: int
    progress: int


@dataclass(frozen=True, slots=True)
class Held:
    """A job that the store believes a worker to be running."""

    job_id: str
    lease: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class AttemptError:
    """One failed attempt, kept beside its job."""

    id: int
    job_id: str
    attempt: int
    failure: Failure
    failed_at: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job whose attempts were used up, kept for inspection and replay; it outlives its job."""

    id: str
    job: Job
    """The job as it died; the row it had may have been purged since."""
    failed_at: int
