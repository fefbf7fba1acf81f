"""A job by the id that a client gave."""

from typing import Any

from fastapi import HTTPException

from offload.queue import Queue
from offload.tasks.handle import JobHandle

AnyHandle = JobHandle[Any]


async def found(queue: Queue, job_id: str) -> AnyHandle:
    """Return the job.

    Raises:
        HTTPException: 404, it is unknown.
    """
    if (handle := await queue.aget_job(job_id)) is None:
        raise HTTPException(404, "Job not found")
    return handle
