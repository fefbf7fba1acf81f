"""Every error that offload raises, in one tree.

* OffloadError
  x ConfigurationError         a wrong option, named with its valid values
    + TaskDefinitionError      the task cannot be defined like this
  x TaskNotRegistered          nothing by that name is known here
  x ScheduleNotFound           no periodic task has that name
  x PayloadError               arguments or a result that cannot be carried
    + ArgumentError            they do not fit the task's signature
    + PayloadTooLarge
  x StoreError                 the store could not do it
    + StoreUnavailable         for now: trying again is sensible
    + StoreFull                no space left; nothing was half-written
    + StoreCorrupted
    + StoreRefused             it will not take this value, however often it is tried
  x DuplicateJob               a unique key is held, and the call said to reject then
  x DependencyError            a parent is unknown, or has ended without a result
  x JobError                   waiting for a job ended without a result
    + JobFailed
      - JobDead
    + JobCancelled
    + JobNotFound              the id is unknown
      - JobPurged              it was there, and is gone
    + JobNotEnded              it is still pending or running
  x IsolatedError              a function that `isolated` ran gave no result
    + ProcessDied              its process ended before it did
  x LockLost                   a lock could not be extended in time; others may hold it
  x NoCurrentJob               `current_job` was used outside a task
  x TaskRefused                a request task was not taken
    + TaskLimitReached         there is no room for it now
    + TasksClosed              this process is shutting down
    + DuplicateTask            an unfinished one has its key
  x Abort, Retry, Snooze       raised *by* a task to say how its attempt ends
  x LeaseLost, JobTimeout, CancelRequested, LimitExceeded   raised *into* a task

Waiting too long raises the built-in `TimeoutError`, as `asyncio` and `concurrent.futures` do.
"""

from math import inf, nan


class OffloadError(Exception):
    """The root of the tree: `except OffloadError` catches all that offload raises on purpose."""


class ConfigurationError(OffloadError, ValueError):
    """An option has a value it cannot have; the message names the valid ones."""


class TaskDefinitionError(ConfigurationError):
    """A function cannot become a task as it is written."""


class TaskNotRegistered(OffloadError, LookupError):
    """No task of that name is known in this process: import the module that defines it first."""


class ScheduleNotFound(OffloadError, LookupError):
    """No schedule of that name is stored."""


class PayloadError(OffloadError, ValueError):
    """A value cannot be carried as JSON; the message names it and the way out."""


class ArgumentError(PayloadError, TypeError):
    """The arguments do not fit the task's signature, so the job was not enqueued."""


class PayloadTooLarge(PayloadError):
    """Arguments or a result are over the size cap: pass a reference (a path, a key) instead."""


class StoreError(OffloadError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or is locked for now; the same call may succeed later."""


class StoreFull(StoreError):
    """The store has no space left. Nothing was half-written; free some space and call again."""


class StoreCorrupted(StoreError):
    """The store's file is damaged or not a store: restore it from a backup."""


class StoreRefused(StoreError):
    """The store will not take this value; trying again would not help."""


class DuplicateJob(OffloadError):
    """Another job holds the unique key: `job_id` is its id. Nothing was enqueued."""

    def __init__(self, key: str, job_id: str) -> None:
        """Name the key and its holder."""
        super().__init__(f"unique key {key!r} is held by job {job_id}")
        self.key = key
        self.job_id = job_id


class DependencyError(OffloadError):
    """A job cannot wait for this parent. Nothing was enqueued."""


class JobError(OffloadError):
    """A job ended without a result. `job_id` says which, `reason` what its last error was."""

    def __init__(self, job_id: str, reason: str, message: str) -> None:
        """Keep the parts that a handler may want beside the readable message."""
        super().__init__(message)
        self.job_id = job_id
        self.reason = reason


class JobFailed(JobError):
    """The task raised an error that must not be retried."""


class JobDead(JobFailed):
    """All attempts are used up; the job is a dead letter and can be retried from there."""


class JobCancelled(JobError):
    """The job was cancelled, or expired before it could start."""


class JobNotFound(JobError):
    """No such job: the id is unknown, or the job was purged."""


class JobPurged(JobNotFound):
    """The job was there and is gone: its time to live was over, or somebody purged it."""


class JobNotEnded(JobError):
    """The job is still pending or running, and only one that has ended can be repeated."""


class IsolatedError(OffloadError):
    """A function that `isolated` ran gave no result.

    `kind` is the name of the error's type and `traceback` its text there: the error itself stays
    in the other process.
    """

    def __init__(self, kind: str, reason: str, traceback: str | None = None) -> None:
        """Keep the parts that a handler may want beside the readable message."""
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason
        self.traceback = traceback


class ProcessDied(IsolatedError):
    """The process ended before its function did: a crash, `os._exit`, or somebody killed it."""


class LockLost(OffloadError):
    """A lock was not extended in time: somebody else may have held it, or hold it now."""


class NoCurrentJob(OffloadError, RuntimeError):
    """`current_job` was used outside a running task."""


class TaskRefused(OffloadError):
    """A request task was not taken, and will not run."""


class TaskLimitReached(TaskRefused):
    """There is no room for another request task: `retry_after` is when to try again, in seconds."""

    def __init__(self, limit: int, retry_after: float) -> None:
        """Name the limit."""
        super().__init__(
            f"max_pending={limit} request tasks are waiting already: try again later, "
            "raise the limit, or pass a queue task, which waits in its queue"
        )
        self.retry_after = retry_after


class TasksClosed(TaskRefused):
    """This process is shutting down and takes no more request tasks; queue tasks it still does."""


class DuplicateTask(TaskRefused, ValueError):
    """An unfinished request task has this key: `task_id` is its id."""

    def __init__(self, key: str, task_id: str) -> None:
        """Name the key and its holder."""
        super().__init__(f"{key!r} is running already: it is request task {task_id}")
        self.key = key
        self.task_id = task_id


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else nan


class Abort(OffloadError):
    """Raise it in a task to end the job as `failed`, whatever its retries: `raise Abort("why")`."""


class Retry(OffloadError):
    """Raise it in a task to end this attempt and try again: `raise Retry(delay=30)`.

    `delay` is in seconds; without it the task's own backoff decides. It uses an attempt.
    """

    def __init__(self, reason: str = "retry requested", *, delay: float | None = None) -> None:
        """Remember the wanted delay in seconds.

        Raises:
            ConfigurationError: it is negative, or no number.
        """
        if delay is not None and not 0 <= _number(delay) < inf:
            raise ConfigurationError(f"delay={delay!r}: must be a number of seconds, 0 or more")
        super().__init__(reason)
        self.delay = delay


class Snooze(OffloadError):
    """Raise it in a task to give the job back: `raise Snooze(60)`. It uses no attempt.

    The job is due again after `delay` seconds. Nothing limits how often a job does this.
    """

    def __init__(self, delay: float, reason: str = "snoozed") -> None:
        """Remember the delay in seconds.

        Raises:
            ConfigurationError: it is not above 0, or no number.
        """
        if not 0 < _number(delay) < inf:
            raise ConfigurationError(f"delay={delay!r}: must be a number of seconds above 0")
        super().__init__(reason)
        self.delay = delay


class JobTimeout(OffloadError):
    """Raised into a task that has run longer than its `timeout`."""


class CancelRequested(OffloadError):
    """Raised by `current_job.check_cancelled()` when somebody asked this job to stop."""


class LeaseLost(OffloadError):
    """This run no longer owns its job: another worker has taken it over, reports are refused."""


class LimitExceeded(OffloadError):
    """Raised into a task that used more than its `limits` allow; the message says which."""
