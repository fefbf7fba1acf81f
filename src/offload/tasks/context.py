"""What a running function can say and ask: `current_job`."""

import itertools
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, cast

from offload.codec import RESULT_LIMIT, Signature, encode_plain, encode_untyped, to_json
from offload.core.errors import CancelRequested, JobTimeout, LeaseLost, NoCurrentJob, PayloadError
from offload.core.instants import moment
from offload.core.job import Job
from offload.core.records import LogLine, Report, storable

if TYPE_CHECKING:
    from offload.transactions.markers import Once

LEVELS = ("debug", "info", "warning", "error", "critical")
MESSAGE_LIMIT = 4_000
"""Characters of a message; the rest is cut off."""
DATA_LIMIT = 16 * 1024
"""Bytes of the data beside a progress or a log line."""
MOST_LINES = 10_000
"""Lines that are kept of one run: a log that never ends must not fill the store."""

_MAKING = threading.Lock()
"""Held while an event is made: few jobs ever wait for one, and each would cost them all."""


class Reporter(Protocol):
    """Where the news of running jobs go."""

    def report(self, report: Report) -> None:
        """Take news, from any thread; they are stored soon, and before the job's end.

        Of progress, message and data the newest counts; logs and parts keep their order. Waits
        a while if more has come than can be stored. Then logs are left out, which the log says.

        Raises:
            StoreUnavailable: there is still no room for what was published.
        """


class JobContext:
    """One run of one job, as the function sees it.

    Its methods may be called from any thread. `id` is also the idempotency key to hand to
    others, and `fencing_token` rises with every run of the job: a system that remembers the
    highest one it has seen can refuse a run that was taken over.
    """

    def __init__(self, job: Job, reporter: Reporter, signature: Signature) -> None:
        """Describe `job` as it was claimed; `signature` is that of its task."""
        self.job = job
        self._reporter = reporter
        self._signature = signature
        self._began: float | None = None
        self._lines = itertools.count(1)
        self._stop: Exception | None = None
        self._stopped: threading.Event | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def idempotency_key(self) -> str:
        """The same for every run of the job, and for no other job: its id."""
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

    @property
    def tags(self) -> tuple[str, ...]:
        """The words by which the job can be found."""
        return self.job.tags

    @property
    def schedule(self) -> str | None:
        """The name of the schedule that the job is of; None if it was enqueued otherwise."""
        return self.job.schedule

    @property
    def tick(self) -> datetime | None:
        """When the schedule wanted the job to run, in UTC; None if nothing but a call did."""
        return None if self.job.tick is None else moment(self.job.tick)

    @property
    def elapsed(self) -> float | None:
        """Seconds since the function started; None if it has not."""
        return None if self._began is None else time.monotonic() - self._began

    @property
    def remaining(self) -> float | None:
        """Seconds until the job's timeout, never below 0; None if it has none."""
        if self.job.timeout is None:
            return None
        return max(0.0, self.job.timeout - (self.elapsed or 0.0))

    def update_progress(
        self, percent: int, message: str | None = None, data: object = None
    ) -> None:
        """Tell watchers how far the job is, 0 to 100. Cheap: at most one write per 50 ms.

        A message, or data that is anything JSON, stays until it is replaced.

        Raises:
            ValueError: `percent` is no whole number from 0 to 100.
            PayloadTooLarge, PayloadError: `data` takes more than 16 KiB, or cannot be written.
        """
        if percent not in range(101):
            raise ValueError(f"progress {percent!r}: must be a whole number from 0 to 100")
        self._report(
            progress=percent,
            message=None if message is None else storable(message[:MESSAGE_LIMIT]),
            data=None if data is None else encode_plain(data, "data", DATA_LIMIT),
        )

    def log(self, message: str, level: str = "info", **extra: object) -> None:
        """Keep a line with the job; `extra` is shown as JSON, what is too long is cut off.

        Raises:
            ValueError: there is no such level.
        """
        if level not in LEVELS:
            raise ValueError(f"level={level!r}: use one of {', '.join(LEVELS)}")
        number = next(self._lines)
        if number < MOST_LINES:
            line = LogLine(level, storable(message[:MESSAGE_LIMIT]), _plain(extra))
            self._report(logs=(line,))
        elif number == MOST_LINES:
            note = f"no more lines are kept of this run: it has logged {MOST_LINES:,}"
            self._report(logs=(LogLine("warning", note),))

    def publish(self, value: object) -> None:
        """Hand out a partial result. All are kept, in their order, and stored before the end.

        Raises:
            PayloadTooLarge, PayloadError: it takes more than 1 MiB, or cannot be carried.
            StoreUnavailable: more waits than can be stored.
        """
        self._report(parts=(encode_untyped(value, "what was published", RESULT_LIMIT),))

    def transaction(self, connection: object, step: str = "") -> "Once":
        """Return a block whose effects on a database happen once, however often the job runs.

        `with current_job.transaction(connection) as first:` or, for a connection that is
        asynchronous, `async with`. `first` is true if no run of the job has done the block; its
        `result` is kept for the others. The end of the block commits. A job with several such
        blocks gives each a `step` of its own.

        Raises:
            ConfigurationError: the connection is of no library that is known here.
        """
        # It loads asyncio, which most processes of functions do without.
        from offload.transactions.markers import Once  # noqa: PLC0415

        return Once(connection, self.job.id, self.job.lease, step, self._signature)

    def _report(
        self,
        progress: int | None = None,
        message: str | None = None,
        data: bytes | None = None,
        logs: tuple[LogLine, ...] = (),
        parts: tuple[bytes, ...] = (),
    ) -> None:
        job = self.job
        self._reporter.report(Report(job.id, job.lease, progress, message, data, logs, parts))

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

    def begin(self) -> None:
        """Let `elapsed` count from now; the worker's side of it."""
        self._began = time.monotonic()

    def ask_to_stop(self, reason: CancelRequested | JobTimeout | LeaseLost) -> None:
        """Make `check_cancelled` raise `reason`; the worker's side of it."""
        self._stop = reason
        with _MAKING:
            if self._stopped is not None:
                self._stopped.set()


def _plain(extra: Mapping[str, object]) -> Mapping[str, object] | None:
    if not extra:
        return None
    try:
        encode_plain(extra, "extra", DATA_LIMIT)
    except PayloadError as error:
        return {"left_out": str(error)}
    return cast("Mapping[str, object]", to_json(extra))


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


def running() -> tuple[Job, Reporter] | None:
    """Return the job that runs here, and where its news go; None where no job runs."""
    found = _current.get(None)
    return None if found is None else (found.job, found._reporter)  # noqa: SLF001 - of this module


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
