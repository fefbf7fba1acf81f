"""Background work for FastAPI, from one line in a request handler to a fleet of machines."""

from offload.client.locks import Lock
from offload.core.errors import (
    Abort,
    ArgumentError,
    CancelRequested,
    ConfigurationError,
    DependencyError,
    DuplicateJob,
    IsolatedError,
    JobCancelled,
    JobDead,
    JobError,
    JobFailed,
    JobNotEnded,
    JobNotFound,
    JobPurged,
    JobTimeout,
    LeaseLost,
    LimitExceeded,
    LockLost,
    NoCurrentJob,
    OffloadError,
    PayloadError,
    PayloadTooLarge,
    ProcessDied,
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
from offload.core.unique import Unique
from offload.queue import Queue
from offload.queue.schedule_info import ScheduleInfo
from offload.tasks.canvas import chain, chord, group
from offload.tasks.context import JobContext, current_job
from offload.tasks.group import JobGroup
from offload.tasks.handle import JobHandle
from offload.tasks.hooks import JobEvent
from offload.tasks.limits import Limits
from offload.tasks.parts import JobPart
from offload.tasks.task import Task
from offload.worker.isolated import isolated

__all__ = [
    "Abort",
    "ArgumentError",
    "CancelRequested",
    "ConfigurationError",
    "DependencyError",
    "DuplicateJob",
    "IsolatedError",
    "JobCancelled",
    "JobContext",
    "JobDead",
    "JobError",
    "JobEvent",
    "JobFailed",
    "JobGroup",
    "JobHandle",
    "JobNotEnded",
    "JobNotFound",
    "JobPart",
    "JobPurged",
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
    "ProcessDied",
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
    "Unique",
    "chain",
    "chord",
    "current_job",
    "group",
    "isolated",
]
