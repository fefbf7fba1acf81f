"""What the router of request tasks answers. Instants are integer Unix milliseconds.

Nothing shows a task's arguments: they may be secrets, and are let go when it ends.
"""

from traceback import format_exception_only
from typing import Any, Self

from pydantic import BaseModel, Field

from offload.codec import to_json
from offload.core.request import Mode, Overlap, RequestStatus
from offload.inproc.runner import RunnerStats
from offload.inproc.task import RequestTask
from offload.inproc.ticker import LocalSchedule


class TaskResponse(BaseModel):
    """A request task as it stands."""

    id: str
    name: str
    status: RequestStatus
    mode: Mode
    attempt: int = Field(description="How often the function has been called.")
    created_at: int
    started_at: int | None
    finished_at: int | None
    error: str | None = Field(description="The last error: its type and message.")
    reason: str | None = Field(description="Why it was cancelled or dropped.")
    recovered: bool = Field(description="Its error handler has made up for its failure.")
    job_id: str | None = Field(description="The job that it has become, or becomes.")

    @classmethod
    def of(cls, task: RequestTask[Any]) -> Self:
        """Show a task."""
        return cls(**_shown(task))


class TaskDetailResponse(TaskResponse):
    """A request task with its result."""

    result: Any = None

    @classmethod
    def of(cls, task: RequestTask[Any]) -> Self:
        """Show a task and, if it has succeeded, its result as plain JSON."""
        return cls(**_shown(task), result=to_json(task.result))


class TaskStatsResponse(BaseModel):
    """How many request tasks this process has."""

    active: int = Field(description="Running.")
    pending: int = Field(description="Not begun yet, or waiting for their next attempt.")
    left: int = Field(description="Given up, while their thread still runs.")
    ended: dict[RequestStatus, int] = Field(description="By status, since the process began.")

    @classmethod
    def of(cls, stats: RunnerStats) -> Self:
        """Show the numbers."""
        return cls.model_validate(stats, from_attributes=True)


class LocalScheduleResponse(BaseModel):
    """A periodic request task of this process."""

    name: str
    description: str
    tz: str | None
    overlap: Overlap
    scope: str = Field(description="process, or cluster: one of all processes fires it.")
    leads: bool = Field(description="This process fires it.")
    paused: bool
    next_run: int | None
    last_run: int | None
    skipped: int = Field(description="How many ticks found an earlier run unfinished.")
    running: list[str] = Field(description="The ids of its request tasks that have not ended.")

    @classmethod
    def of(cls, schedule: LocalSchedule) -> Self:
        """Show a schedule."""
        return cls(
            name=schedule.name,
            description=schedule.description,
            tz=schedule.trigger.tz,
            overlap=schedule.overlap,
            scope=schedule.scope,
            leads=schedule.leading is None or schedule.leading.leads,
            paused=schedule.paused,
            next_run=None if schedule.paused else schedule.next_at,
            last_run=schedule.last_at,
            skipped=schedule.skipped,
            running=[task.id for task in schedule.runs],
        )


def _shown(task: RequestTask[Any]) -> dict[str, Any]:
    error = task.error
    return {
        "id": task.id,
        "name": task.name,
        "status": task.status,
        "mode": task.mode,
        "attempt": task.attempt,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "error": None if error is None else "".join(format_exception_only(error)).strip(),
        "reason": task.reason,
        "recovered": task.recovered,
        "job_id": task.job_id,
    }
