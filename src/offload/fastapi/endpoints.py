"""What the router's routes do, for everybody who may ask for a job.

The docstrings of the methods are what OpenAPI shows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import HTTPException, Query, Request, Response

from offload.codec import to_json
from offload.core.errors import JobNotFound, PayloadError
from offload.core.states import State
from offload.fastapi.finding import AnyHandle, found
from offload.fastapi.paging import PageSize
from offload.fastapi.schemas import (
    CancelResponse,
    DeadLetterResponse,
    JobErrorResponse,
    JobResponse,
    JobResultResponse,
    RetryResponse,
    StatsResponse,
)
from offload.fastapi.sse import job_events
from offload.fastapi.stopping import STOPPING
from offload.queue import Queue

Seconds = Annotated[float, Query(ge=0, le=300, allow_inf_nan=False)]


class JobEndpoints:
    """Jobs by their ids, counts, and dead letters."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def stats(self) -> StatsResponse:
        """Count the jobs by status."""
        return StatsResponse(**await self._queue.astats())

    async def job(self, job_id: str) -> JobResponse:
        """Show a job."""
        return JobResponse.of((await found(self._queue, job_id)).job)

    async def errors(self, job_id: str) -> list[JobErrorResponse]:
        """List the failed attempts of a job, oldest first."""
        await found(self._queue, job_id)
        return [JobErrorResponse.of(error) for error in await self._queue.ajob_errors(job_id)]

    async def result(self, job_id: str, timeout: Seconds = 0) -> JobResultResponse:
        """Show the result of a job, waiting for it up to `timeout` seconds.

        A job that has not ended by then is shown as it stands. One that fails, dies or is
        cancelled, meanwhile or before, is shown with its status and error.
        """
        handle = await found(self._queue, job_id)
        if timeout and not handle.job.is_final:
            await _wait(handle, timeout)
            handle = await found(self._queue, job_id)
        return await _shown(handle)

    async def progress(
        self, job_id: str, request: Request, *, include_results: bool = False
    ) -> Response:
        """Stream the job's progress and status as server-sent events until it ends.

        With `include_results`, each partial result that the job publishes is an event too.
        """
        return await job_events(self._queue, job_id, request, include_results=include_results)

    async def cancel(self, job_id: str, *, running: bool = False) -> CancelResponse:
        """Cancel a job that is pending; with `running`, ask one that is running to stop."""
        await found(self._queue, job_id)
        cancelled = await self._queue.acancel_job(job_id)
        if running and not cancelled:
            cancelled = await self._queue.acancel_running_job(job_id)
        return CancelResponse(cancelled=cancelled)

    def dead_letters(self, page: PageSize) -> Callable[..., Awaitable[list[DeadLetterResponse]]]:
        """Return the endpoint that lists dead letters in pages of such a size."""

        async def dead_letters(
            limit: Annotated[int, page.query] = page.default,
            offset: Annotated[int, Query(ge=0)] = 0,
        ) -> list[DeadLetterResponse]:
            """List the jobs whose attempts were used up, newest first."""
            letters = await self._queue.adead_letters(limit=limit, offset=offset)
            return [DeadLetterResponse.of(letter) for letter in letters]

        return dead_letters

    async def retry(self, dead_id: str) -> RetryResponse:
        """Enqueue a fresh job for a dead letter, which is then gone."""
        try:
            return RetryResponse(new_job_id=await self._queue.aretry_dead(dead_id))
        except JobNotFound:
            raise HTTPException(404, "Dead letter not found") from None


async def _wait(handle: AnyHandle, timeout: float) -> None:
    """Return when the job has ended, after `timeout`, or when the server is asked to stop."""
    ending = asyncio.ensure_future(handle.aresult(timeout=timeout))
    try:
        with STOPPING.watched():
            await STOPPING.wait(ending, timeout)
    finally:
        ending.cancel()
        # How it ended is read from the store afterwards; here an error is no news.
        await asyncio.gather(ending, return_exceptions=True)


async def _shown(handle: AnyHandle) -> JobResultResponse:
    shown = JobResultResponse(id=handle.id, status=handle.job.state, error=handle.error)
    if handle.job.state is State.COMPLETE:
        try:
            shown.result = to_json(await handle.aresult())
        except PayloadError as error:
            # The task's annotation was changed after it had run: the job is still complete.
            shown.error = str(error)
    return shown
