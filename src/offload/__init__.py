"""Background work for FastAPI, from one line in a request handler to a fleet of machines."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

# Found when they are asked for: each worker has processes that need little of all this, and a
# process holds in memory what it has imported. The names stand here three times because type
# checkers and editors read imports and `__all__` only where they are written out, and a running
# program has nothing of the former. mypy and the contract tests see that all three agree.
_HOMES = {
    "offload.client.locks": "Lock",
    "offload.core.unique": "Unique",
    "offload.queue": "Queue",
    "offload.queue.schedule_info": "ScheduleInfo",
    "offload.tasks.canvas": "chain chord group",
    "offload.tasks.context": "JobContext current_job",
    "offload.tasks.group": "JobGroup",
    "offload.tasks.handle": "JobHandle",
    "offload.tasks.hooks": "JobEvent",
    "offload.tasks.limits": "Limits",
    "offload.tasks.parts": "JobPart",
    "offload.tasks.task": "Task",
    "offload.worker.isolated": "isolated",
    "offload.core.errors": """
        Abort ArgumentError CancelRequested ConfigurationError DependencyError DuplicateJob
        IsolatedError JobCancelled JobDead JobError JobFailed JobNotEnded JobNotFound JobPurged
        JobTimeout LeaseLost LimitExceeded LockLost NoCurrentJob OffloadError PayloadError
        PayloadTooLarge ProcessDied Retry ScheduleNotFound Snooze StoreCorrupted StoreError
        StoreFull StoreRefused StoreUnavailable TaskDefinitionError TaskNotRegistered
    """,
}
_PLACES = {name: home for home, names in _HOMES.items() for name in names.split()}

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


if not TYPE_CHECKING:  # a checker would believe in any name

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_PLACES[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
