"""The FastAPI edge: request tasks; a queue's routes, its lifespan, a job's progress as a stream."""

from offload.core.errors import DuplicateTask, TaskLimitReached, TaskRefused, TasksClosed
from offload.core.retry import RetryPolicy
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
from offload.fastapi.tasks import BackgroundTasks, RequestTasks, Tasks, add_tasks, get_tasks
from offload.inproc.manager import TaskManager
from offload.inproc.options import TaskErrorHandler
from offload.inproc.task import RequestTask, RequestTask as Task

__all__ = [
    "BackgroundTasks",
    "CancelResponse",
    "DeadLetterResponse",
    "DuplicateTask",
    "JobErrorResponse",
    "JobResponse",
    "JobResultResponse",
    "QueueRouter",
    "RequestTask",
    "RequestTasks",
    "RetryPolicy",
    "RetryResponse",
    "StatsResponse",
    "Task",
    "TaskErrorHandler",
    "TaskLimitReached",
    "TaskManager",
    "TaskRefused",
    "Tasks",
    "TasksClosed",
    "add_tasks",
    "get_tasks",
    "job_events",
    "lifespan",
]
