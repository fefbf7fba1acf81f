"""What a running function can say and ask: `current_job`."""

import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol, cast

from offload.core.errors import CancelRequested, JobTimeout, LeaseLost, NoCurrentJob
from offload.core.job import Job

_MAKING = threading.Lock()
"""Held while an event is made: few jobs ever wait for one, and each would cost them all."""


class Reporter(Protocol):
    """Where the news of a running job go; safe to call from any thread."""

    def progress(self, job: Job, percent: int) -> None:
        """Take note of how far the job is; written soon, the newest value wins."""


class JobContext:
    """One run of one job, as the function sees it.

    Its methods may be called from any thread. `id` is also the idempotency key to hand to
    others, and `fencing_token` rises with every run of the job: a system that remembers the
    highest one it has seen can refuse a run that was taken over.
    """

    def __init__(self, job: Job, reporter: Reporter) -> None:
        """Describe `job` as it was claimed."""
        self.job = job
        self._reporter = reporter
        self._stop: Exception | None = None
        self._stopped: threading.Event | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def task_name(self) -> str:
        """The name under which the function is registered."""
        return self.job.task

    @property
    def queue_name(self) -> str:
        """The queue that the job came through."""
        return self.job.queue

    @property
    def retry_count(self) -> int:
        """How many attempts came before this one."""
        return self.job.attempt - 1

    @property
    def fencing_token(self) -> int:
        """The lease under which this run may report."""
        return self.job.lease

    @property
    def metadata(self) -> Mapping[str, object]:
        """What was stored with the job, empty if nothing was."""
        return self.job.metadata or {}

    def update_progress(self, percent: int) -> None:
        """Tell watchers how far the job is, 0 to 100. Cheap: at most one write per 50 ms.

        Raises:
            ValueError: `percent` is no whole number from 0 to 100.
        """
        if percent not in range(101):
            raise ValueError(f"progress {percent!r}: must be a whole number from 0 to 100")
        self._reporter.progress(self.job, percent)

    def check_cancelled(self) -> None:
        """Raise if this run should stop: call it in the loops of long synchronous tasks.

        Raises:
            CancelRequested: somebody asked the job to stop.
            JobTimeout: the task has run longer than its timeout.
            LeaseLost: another worker has taken the job over.
        """
        if self._stop is not None:
            raise self._stop

    def wait_stopped(self, seconds: float) -> bool:
        """Sleep up to `seconds`, less if the run is asked to stop; return whether it was."""
        with _MAKING:
            stopped = self._stopped = self._stopped or threading.Event()
        # Looked at after the event is there: whoever asks now, sets it.
        return self._stop is not None or stopped.wait(seconds)

    def ask_to_stop(self, reason: CancelRequested | JobTimeout | LeaseLost) -> None:
        """Make `check_cancelled` raise `reason`; the worker's side of it."""
        self._stop = reason
        with _MAKING:
            if self._stopped is not None:
                self._stopped.set()


_current: ContextVar[JobContext] = ContextVar("offload_current_job")


def context() -> JobContext:
    """Return the running job's context.

    Raises:
        NoCurrentJob: no job runs here.
    """
    try:
        return _current.get()
    except LookupError:
        raise NoCurrentJob(
            "current_job is only there while a worker runs a task: "
            "call the task with .delay(), or guard the use"
        ) from None


def enter(running: JobContext) -> None:
    """Make `running` the current job of this context, which belongs to it alone."""
    _current.set(running)


class _CurrentJob:
    def __getattr__(self, name: str) -> object:
        return getattr(context(), name)


current_job = cast("JobContext", _CurrentJob())
"""The job that the calling function runs for, in threads, coroutines and processes alike.

Using it where no job runs raises `NoCurrentJob`.
"""
