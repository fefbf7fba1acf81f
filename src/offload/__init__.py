"""Background work for FastAPI, from one line in a request handler to a fleet of machines."""

from offload.client.locks import Lock
from offload.core.errors import (
    Abort,
    ArgumentError,
    CancelRequested,
    ConfigurationError,
    JobCancelled,
    JobDead,
    JobError,
    JobFailed,
    JobNotFound,
    JobTimeout,
    LeaseLost,
    LimitExceeded,
    LockLost,
    NoCurrentJob,
    OffloadError,
    PayloadError,
    PayloadTooLarge,
    Retry,
    ScheduleNotFound,
    Snooze,
    StoreCorrupted,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    TaskDefinitionError,
    TaskNotRegistered,
)
from offload.queue import Queue
from offload.queue.schedule_info import ScheduleInfo
from offload.tasks.context import JobContext, current_job
from offload.tasks.handle import JobHandle
from offload.tasks.hooks import JobEvent
from offload.tasks.limits import Limits
from offload.tasks.task import Task

__all__ = [
    "Abort",
    "ArgumentError",
    "CancelRequested",
    "ConfigurationError",
    "JobCancelled",
    "JobContext",
    "JobDead",
    "JobError",
    "JobEvent",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "JobTimeout",
    "LeaseLost",
    "LimitExceeded",
    "Limits",
    "Lock",
    "LockLost",
    "NoCurrentJob",
    "OffloadError",
    "PayloadError",
    "PayloadTooLarge",
    "Queue",
    "Retry",
    "ScheduleInfo",
    "ScheduleNotFound",
    "Snooze",
    "StoreCorrupted",
    "StoreError",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "Task",
    "TaskDefinitionError",
    "TaskNotRegistered",
    "current_job",
]
