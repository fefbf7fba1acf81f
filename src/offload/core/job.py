"""The values that travel between a program, a store and a worker.

Instants are integer Unix milliseconds as the store's clock gives them; durations are seconds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from offload.core.lane import Lane
from offload.core.light import light
from offload.core.retry import RetryPolicy
from offload.core.states import FINAL, State
from offload.core.unique import UniqueKey


class OnParentFailure(StrEnum):
    """What becomes of a job whose parent ends without a result."""

    CANCEL = "cancel"
    """It is cancelled, and so are those that depend on it."""
    RUN = "run"
    """It runs all the same; the parent's result is None."""


class Inputs(StrEnum):
    """What a job gets of its parents' results, as its first argument."""

    NONE = "none"
    FIRST = "first"
    """The first parent's result."""
    LIST = "list"
    """The list of all results, in the order of `depends_on`."""


@light
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
    unique: UniqueKey | None = None
    depends_on: tuple[str, ...] = ()
    """Ids of jobs that must end first; they may be in the same batch, before this one."""
    on_parent_failure: OnParentFailure = OnParentFailure.CANCEL
    inputs: Inputs = Inputs.NONE
    lane: Lane | None = None
    metadata: Mapping[str, object] | None = None
    tags: tuple[str, ...] = ()
    origin: str | None = None
    schedule: str | None = None
    tick: int | None = None
    """The due time of the schedule that this job is for; None for one that was triggered."""


@light
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
    message: str | None = None
    """What the task said of its progress; it goes with the next attempt, as `progress` does."""
    data: bytes | None = None
    """JSON that the task gave with its progress."""
    result: bytes | None = None
    error: str | None = None
    unique_key: str | None = None
    cancel_requested: bool = False
    blockers: int = 0
    """How many of its parents have not ended yet; until none is left, nobody claims it."""
    lane: str | None = None
    metadata: Mapping[str, object] | None = None
    tags: tuple[str, ...] = ()
    origin: str | None = None
    """The job that this one repeats: retried from its dead letter, or replayed."""
    schedule: str | None = None
    tick: int | None = None

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
        unique_key=None if new.unique is None else new.unique.key,
        lane=None if new.lane is None else new.lane.name,
        metadata=None if new.metadata is None else json.loads(json.dumps(dict(new.metadata))),
        tags=new.tags,
        origin=new.origin,
        schedule=new.schedule,
        tick=new.tick,
    )


def repeated(ended: Job, new_id: str) -> NewJob:
    """Return a fresh request for a job that has ended, which it names as its origin.

    It starts with a full budget and without the unique key: its holder may run again by now.
    """
    return NewJob(
        id=new_id,
        task=ended.task,
        queue=ended.queue,
        payload=ended.payload,
        priority=ended.priority,
        retry=ended.retry,
        timeout=ended.timeout,
        result_ttl=ended.result_ttl,
        lane=None if ended.lane is None else Lane(ended.lane),
        metadata=ended.metadata,
        tags=ended.tags,
        origin=ended.id,
    )


def fed(payload: bytes, inputs: Inputs, results: Sequence[bytes]) -> bytes:
    """Return a payload, `[[args], {kwargs}]` in JSON, with the parents' results put in."""
    if inputs is Inputs.NONE or not results:
        return payload
    first = b"[" + b",".join(results) + b"]" if inputs is Inputs.LIST else results[0]
    rest = payload.removeprefix(b"[[")
    return b"[[" + first + (b"" if rest.startswith(b"]") else b",") + rest


def begun(job: Job, asked: NewJob, parents: Sequence[Job]) -> Job:
    """Return a job as its parents, in the order asked for, let it begin.

    It is blocked, cancelled because one of them has no result, or ready with their results.
    """
    job = replace(job, blockers=len({each.id for each in parents if not each.is_final}))
    failed = [each for each in parents if each.is_final and each.state is not State.COMPLETE]
    if failed and asked.on_parent_failure is OnParentFailure.CANCEL:
        error = orphaned(failed[0])
        return replace(job, state=State.CANCELLED, error=error, finished_at=job.created_at)
    if job.blockers:
        return job
    results = [each.result or b"null" for each in parents]
    return replace(job, payload=fed(job.payload, asked.inputs, results))


def orphaned(parent: Job) -> str:
    """Return the error of a job that was cancelled because this parent has no result."""
    return f"dependency {parent.id} {parent.state}"
