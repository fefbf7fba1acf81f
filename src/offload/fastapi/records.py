"""What the router's routes show of a job besides itself, to those who run the queue."""

from typing import Annotated

from fastapi import Query

from offload.fastapi.finding import found
from offload.fastapi.operator_schemas import (
    FamilyResponse,
    JobLogResponse,
    JobPartResponse,
    TaskMetricsResponse,
)
from offload.fastapi.paging import Instant
from offload.queue import Queue

Lines = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[int, Query(ge=0, le=2**53, description="The id of the last part that was seen.")]


class RecordEndpoints:
    """Logs, partial results, relations, numbers."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def logs(
        self, job_id: str, *, level: str | None = None, limit: Lines = 100
    ) -> list[JobLogResponse]:
        """List the newest lines that a job logged, oldest first."""
        await found(self._queue, job_id)
        lines = await self._queue.ajob_logs(job_id, level=level, limit=limit)
        return [JobLogResponse.of(line) for line in lines]

    async def parts(
        self, job_id: str, *, after: After = 0, limit: Lines = 100
    ) -> list[JobPartResponse]:
        """List what a job has published, in order; the next page begins after the last id."""
        await found(self._queue, job_id)
        parts = await self._queue.ajob_parts(job_id, after, limit)
        return [JobPartResponse.of(part) for part in parts]

    async def family(self, job_id: str) -> FamilyResponse:
        """Show which jobs a job waits or waited for, and which for it."""
        handle = await found(self._queue, job_id)
        return FamilyResponse.of(await handle.afamily())

    async def metrics(
        self, *, task: str | None = None, since: Instant = None
    ) -> dict[str, TaskMetricsResponse]:
        """Show the newest attempts in a few numbers for each task."""
        numbers = await self._queue.ametrics(task, since=since)
        return {name: TaskMetricsResponse.of(each) for name, each in numbers.items()}
