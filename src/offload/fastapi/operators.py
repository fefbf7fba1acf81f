"""What the router's routes do for those who run the queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import HTTPException, Query
from pydantic import BaseModel

from offload.core.errors import OffloadError
from offload.core.states import State
from offload.fastapi.operator_schemas import WorkerResponse
from offload.fastapi.paging import Instant, PageSize
from offload.fastapi.process import worker_failed
from offload.fastapi.schemas import JobResponse
from offload.queue import Queue

READ_LIMIT = 5.0
"""Seconds in which a store that is ready has answered."""

Before = Annotated[str | None, Query(description="The id of the last job of the page before.")]

_logger = logging.getLogger("offload.fastapi")


class HealthResponse(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class WorkersCheck(BaseModel):
    """How many workers are alive, in whatever process."""

    count: int
    status: Literal["ok", "none"]


class Checks(BaseModel):
    """What was looked at."""

    storage: Literal["ok"] = "ok"
    workers: WorkersCheck
    embedded_worker: Literal["ok", "failed"]


class ReadinessResponse(BaseModel):
    """`degraded`: jobs are accepted, but nobody runs them, or not all who should."""

    status: Literal["ready", "degraded"]
    checks: Checks


class OperatorEndpoints:
    """All jobs, workers, health."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def jobs(self, page: PageSize) -> Callable[..., Awaitable[list[JobResponse]]]:
        """Return the endpoint that lists jobs in pages of such a size."""

        async def jobs(
            *,
            status: State | None = None,
            task: str | None = None,
            queue: str | None = None,
            tag: str | None = None,
            schedule: str | None = None,
            created_after: Instant = None,
            created_before: Instant = None,
            before: Before = None,
            limit: Annotated[int, page.query] = page.default,
        ) -> list[JobResponse]:
            """List jobs, newest first."""
            found = await self._queue.alist_jobs(
                status=status,
                task=task,
                queue=queue,
                tag=tag,
                schedule=schedule,
                created_after=created_after,
                created_before=created_before,
                before=before,
                limit=limit,
            )
            return [JobResponse.of(handle.job) for handle in found]

        return jobs

    async def workers(self) -> list[WorkerResponse]:
        """List the workers, also those whose last beat was too long ago."""
        return [WorkerResponse.of(row) for row in await self._queue.alist_workers()]

    async def health(self) -> HealthResponse:
        """Say that this process answers; nothing else is looked at."""
        return HealthResponse()

    async def readiness(self) -> ReadinessResponse:
        """Say whether the store can be read, and whether a worker is alive."""
        alive = await self._alive()
        failed = worker_failed(self._queue)
        return ReadinessResponse(
            status="ready" if alive and not failed else "degraded",
            checks=Checks(
                workers=WorkersCheck(count=alive, status="ok" if alive else "none"),
                embedded_worker="failed" if failed else "ok",
            ),
        )

    async def _alive(self) -> int:
        try:
            async with asyncio.timeout(READ_LIMIT):
                return sum(row.alive for row in await self._queue.alist_workers())
        except (OffloadError, OSError, TimeoutError):
            _logger.exception("not ready: the store cannot be read")
            raise HTTPException(503, "The job store cannot be read") from None
