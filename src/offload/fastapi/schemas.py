"""What the router answers: Pydantic models, so that OpenAPI knows each key and state.

Instants are integer Unix milliseconds.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, Field

from offload.core.job import Job
from offload.core.records import AttemptError, DeadLetter
from offload.core.states import State


class StatsResponse(BaseModel):
    """How many jobs are in each state."""

    pending: int = 0
    running: int = 0
    completed: int = Field(default=0, description="Jobs whose status is `complete`.")
    failed: int = 0
    dead: int = 0
    cancelled: int = 0


class JobResponse(BaseModel):
    """A job as it stands; its arguments are not shown."""

    id: str
    queue: str
    task_name: str
    status: State
    priority: int
    progress: int = Field(description="0 to 100; 0 until the task reports any.")
    retry_count: int = Field(description="Attempts started after the first.")
    max_retries: int
    created_at: int
    scheduled_at: int = Field(description="When it may start, or might have.")
    started_at: int | None = None
    completed_at: int | None = None
    error: str | None = Field(default=None, description="The last error: its type and message.")
    timeout_ms: int | None = None
    unique_key: str | None = None
    metadata: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Show a stored job."""
        return cls(
            id=job.id,
            queue=job.queue,
            task_name=job.task,
            status=job.state,
            priority=job.priority,
            progress=job.progress or 0,
            retry_count=_retries(job),
            max_retries=job.retry.max_retries,
            created_at=job.created_at,
            scheduled_at=job.run_at,
            started_at=job.started_at,
            completed_at=job.finished_at,
            error=job.error,
            timeout_ms=None if job.timeout is None else round(job.timeout * 1000),
            unique_key=job.unique_key,
            metadata=job.metadata,
        )


class JobErrorResponse(BaseModel):
    """One failed attempt."""

    id: int
    job_id: str
    attempt: int
    error: str = Field(description="The traceback, as Python prints it.")
    failed_at: int

    @classmethod
    def of(cls, error: AttemptError) -> Self:
        """Show a failed attempt; one without a traceback (a lost worker) by its summary."""
        return cls(
            id=error.id,
            job_id=error.job_id,
            attempt=error.attempt,
            error=error.failure.traceback or error.failure.summary(),
            failed_at=error.failed_at,
        )


class JobResultResponse(BaseModel):
    """The result of a job that is `complete`; else its state, and its error if it has one."""

    id: str
    status: State
    result: Any = None
    error: str | None = None


class CancelResponse(BaseModel):
    """Whether this request cancelled the job."""

    cancelled: bool


class DeadLetterResponse(BaseModel):
    """A job whose attempts were used up."""

    id: str
    original_job_id: str
    queue: str
    task_name: str
    error: str | None = None
    retry_count: int
    failed_at: int
    metadata: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """Show a dead letter."""
        return cls(
            id=letter.id,
            original_job_id=letter.job.id,
            queue=letter.job.queue,
            task_name=letter.job.task,
            error=letter.job.error,
            retry_count=_retries(letter.job),
            failed_at=letter.failed_at,
            metadata=letter.job.metadata,
        )


class RetryResponse(BaseModel):
    """The job that was made: from a dead letter, as a replay, or of a schedule."""

    new_job_id: str


class ErrorResponse(BaseModel):
    """Why a request could not be answered."""

    detail: str


def _retries(job: Job) -> int:
    return max(job.attempt - 1, 0)
