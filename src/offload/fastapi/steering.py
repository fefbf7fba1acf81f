"""What the router's routes change, for those who run the queue."""

import contextlib
from collections.abc import Iterator
from typing import Annotated

from fastapi import HTTPException, Query

from offload.core.errors import (
    ConfigurationError,
    DuplicateJob,
    JobNotEnded,
    JobNotFound,
    ScheduleNotFound,
    TaskNotRegistered,
)
from offload.fastapi.operator_schemas import (
    PauseResponse,
    PurgeResponse,
    QueueResponse,
    RetryManyResponse,
    RetryRequest,
    ScheduleResponse,
)
from offload.fastapi.schemas import RetryResponse
from offload.queue import Queue
from offload.queue.operating import PURGE_AGE

Age = Annotated[float, Query(ge=0, le=1e9, allow_inf_nan=False, description="In seconds.")]


class SteeringEndpoints:
    """Replays, dead letters, schedules, queues."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def replay(self, job_id: str) -> RetryResponse:
        """Enqueue a fresh job of the same call for a job that has ended."""
        with _answered():
            return RetryResponse(new_job_id=(await self._queue.areplay(job_id)).id)

    async def retry_many(self, wanted: RetryRequest) -> RetryManyResponse:
        """Enqueue a fresh job for each of many dead letters, which are then gone."""
        if wanted.all:
            return RetryManyResponse(new_job_ids=await self._queue.aretry_all_dead())
        return RetryManyResponse(new_job_ids=await self._queue.aretry_dead_many(wanted.ids))

    async def purge_dead(self, older_than: Age = PURGE_AGE) -> PurgeResponse:
        """Remove dead letters that are older."""
        return PurgeResponse(purged=await self._queue.apurge_dead(older_than))

    # --- schedules -----------------------------------------------------------------------

    async def schedules(self) -> list[ScheduleResponse]:
        """List the stored schedules by name."""
        return [ScheduleResponse.of(info) for info in await self._queue.alist_periodic()]

    async def trigger(self, name: str) -> RetryResponse:
        """Enqueue a job of a schedule now, paused or not."""
        with _answered():
            return RetryResponse(new_job_id=(await self._queue.atrigger_periodic(name)).id)

    async def pause_schedule(self, name: str) -> ScheduleResponse:
        """Let no tick of a schedule fire until it is resumed."""
        with _answered():
            return ScheduleResponse.of(await self._queue.apause_periodic(name))

    async def resume_schedule(self, name: str) -> ScheduleResponse:
        """Let ticks fire again, from now on."""
        with _answered():
            return ScheduleResponse.of(await self._queue.aresume_periodic(name))

    # --- queues --------------------------------------------------------------------------

    async def queues(self) -> list[QueueResponse]:
        """List the queues that have pending or running jobs or are paused, by name."""
        return [QueueResponse.of(row) for row in await self._queue.aqueues()]

    async def pause(self, name: str) -> PauseResponse:
        """Let no worker take jobs of a queue; what runs goes on."""
        return PauseResponse(name=name, paused=True, changed=await self._queue.apause(name))

    async def resume(self, name: str) -> PauseResponse:
        """Let workers take jobs of a queue again."""
        return PauseResponse(name=name, paused=False, changed=await self._queue.aresume(name))


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """Turn what cannot be done into answers: 404 for what is unknown, 409 for bad moments."""
    try:
        yield
    except JobNotFound:
        raise HTTPException(404, "Job not found") from None
    except ScheduleNotFound:
        raise HTTPException(404, "Schedule not found") from None
    except (ConfigurationError, DuplicateJob, JobNotEnded, TaskNotRegistered) as error:
        raise HTTPException(409, str(error)) from None
