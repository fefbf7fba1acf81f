"""The FastAPI edge: a queue's routes, its lifespan, and a job's progress as a stream."""

from offload.fastapi.process import lifespan
from offload.fastapi.router import QueueRouter
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

__all__ = [
    "CancelResponse",
    "DeadLetterResponse",
    "JobErrorResponse",
    "JobResponse",
    "JobResultResponse",
    "QueueRouter",
    "RetryResponse",
    "StatsResponse",
    "job_events",
    "lifespan",
]
