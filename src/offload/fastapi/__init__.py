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
from offload.fastapi.sse import event_stream, job_events
from offload.fastapi.task_schemas import (
    LocalScheduleResponse,
    TaskDetailResponse,
    TaskResponse,
    TaskStatsResponse,
)
from offload.fastapi.tasks import BackgroundTasks, RequestTasks, Tasks, add_tasks, get_tasks
from offload.fastapi.tasks_router import TasksRouter
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
    "LocalScheduleResponse",
    "QueueRouter",
    "RequestTask",
    "RequestTasks",
    "RetryPolicy",
    "RetryResponse",
    "StatsResponse",
    "Task",
    "TaskDetailResponse",
    "TaskErrorHandler",
    "TaskLimitReached",
    "TaskManager",
    "TaskRefused",
    "TaskResponse",
    "TaskStatsResponse",
    "Tasks",
    "TasksClosed",
    "TasksRouter",
    "add_tasks",
    "event_stream",
    "get_tasks",
    "job_events",
    "lifespan",
]
