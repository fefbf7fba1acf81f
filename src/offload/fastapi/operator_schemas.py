"""What the operator's routes answer and take, beside jobs themselves.

Instants are integer Unix milliseconds, durations are seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

from offload.codec import to_json
from offload.core.instants import instant
from offload.core.metrics import TaskMetrics
from offload.core.records import Family, JobLog
from offload.queue.schedule_info import ScheduleInfo
from offload.store.base import QueueRow, WorkerRow
from offload.tasks.parts import JobPart


class JobLogResponse(BaseModel):
    """A line that a job logged."""

    id: int
    attempt: int
    level: str
    message: str
    extra: Mapping[str, Any] | None = None
    logged_at: int

    @classmethod
    def of(cls, log: JobLog) -> Self:
        """Show a logged line."""
        return cls(
            id=log.id,
            attempt=log.attempt,
            level=log.line.level,
            message=log.line.message,
            extra=log.line.extra,
            logged_at=log.logged_at,
        )


class JobPartResponse(BaseModel):
    """A partial result; the next page is what comes after its id."""

    id: int
    attempt: int
    value: Any
    published_at: int

    @classmethod
    def of(cls, part: JobPart) -> Self:
        """Show what a job published, as plain JSON."""
        return cls(
            id=part.id,
            attempt=part.attempt,
            value=to_json(part.value),
            published_at=part.published_at,
        )


class FamilyResponse(BaseModel):
    """The jobs that a job waits or waited for, and those that wait or waited for it."""

    parents: list[str]
    dependents: list[str]

    @classmethod
    def of(cls, family: Family) -> Self:
        """Show the ids."""
        return cls(parents=family.parents, dependents=family.dependents)


class SpreadResponse(BaseModel):
    """How durations lie: half of them, and 95 of 100, were not above these."""

    mean: float
    p50: float
    p95: float


class TaskMetricsResponse(BaseModel):
    """The newest attempts of a task in a few numbers."""

    count: int
    failures: int
    wait: SpreadResponse = Field(description="From the due time to the start.")
    ran: SpreadResponse
    memory: int | None = Field(default=None, description="The most bytes that one of them held.")

    @classmethod
    def of(cls, metrics: TaskMetrics) -> Self:
        """Show the numbers."""
        return cls.model_validate(metrics, from_attributes=True)


class ScheduleResponse(BaseModel):
    """A periodic task as it is stored."""

    name: str
    task_name: str
    trigger: str
    description: str
    tz: str
    overlap: str
    catch_up: str
    jitter: float
    paused: bool
    edited: bool = Field(description="It was added or changed at run time.")
    is_stale: bool = Field(description="This program's code does not have it: no tick fires here.")
    next_run: int | None = None
    last_run: int | None = None
    last_job_id: str | None = None

    @classmethod
    def of(cls, info: ScheduleInfo) -> Self:
        """Show a schedule."""
        return cls(
            name=info.name,
            task_name=info.task,
            trigger=info.trigger,
            description=info.description,
            tz=info.tz,
            overlap=info.overlap,
            catch_up=info.catch_up,
            jitter=info.jitter,
            paused=info.paused,
            edited=info.edited,
            is_stale=info.is_stale,
            next_run=_instant(info.next_run),
            last_run=_instant(info.last_run),
            last_job_id=info.last_job_id,
        )


class QueueResponse(BaseModel):
    """A queue that has pending or running jobs, or is paused."""

    name: str
    paused: bool
    pending: int
    running: int

    @classmethod
    def of(cls, row: QueueRow) -> Self:
        """Show a queue."""
        return cls(name=row.name, paused=row.paused, pending=row.pending, running=row.running)


class PauseResponse(BaseModel):
    """How a queue stands now, and whether this request made it so."""

    name: str
    paused: bool
    changed: bool


class WorkerResponse(BaseModel):
    """A worker as its last beat left it."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...] | None = Field(description="Null: it serves every queue.")
    concurrency: int
    started_at: int
    age: float = Field(description="Seconds since its last beat.")
    alive: bool

    @classmethod
    def of(cls, row: WorkerRow) -> Self:
        """Show a worker."""
        return cls.model_validate(row, from_attributes=True)


class RetryRequest(BaseModel):
    """Which dead letters to retry: those of `ids`, or with `all` every one."""

    ids: list[str] = Field(default=[], max_length=1000)
    all: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.ids) == self.all:
            raise ValueError('say which: {"ids": [...]}, or {"all": true}')
        return self


class RetryManyResponse(BaseModel):
    """The new jobs by the ids of their letters; letters that are not there are left out."""

    new_job_ids: dict[str, str]


class PurgeResponse(BaseModel):
    """How many were removed."""

    purged: int


def _instant(moment: datetime | None) -> int | None:
    return None if moment is None else instant("moment", moment)
