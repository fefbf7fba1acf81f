"""One run of one job, from its claim to its outcome."""

import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from offload.codec import Signature
from offload.core.decide import Lapsed, Outcome, Raised, Released, Returned, Stopped
from offload.core.errors import (
    Abort,
    CancelRequested,
    JobTimeout,
    LeaseLost,
    LimitExceeded,
    PayloadError,
    Retry,
    Snooze,
    TaskNotRegistered,
)
from offload.core.job import Job
from offload.core.records import Failure, Report
from offload.tasks.context import JobContext

if TYPE_CHECKING:
    import asyncio

    from offload.tasks.registry import AnyTask

MESSAGE_LIMIT = 2_000
TRACEBACK_LIMIT = 20_000
STRANGE_AGAIN = 10.0
"""Seconds for which a job of a task that is unknown here is left to workers that know it."""

_DECIDING = threading.Lock()
"""Held while runs begin or end: for so short a time that one does for all."""


class Stop(Enum):
    """Why a run is asked to stop."""

    CANCEL = "cancelled while running"
    TIMEOUT = "timed out"
    LOST = "another worker has taken the job over"
    SHUTDOWN = "the worker stops"


class Owner(Protocol):
    """Whom runs belong to; its methods are called from any thread."""

    def start(self, run: "Run") -> None:
        """Hand a run to its executor."""

    def begun(self, run: "Run") -> None:
        """Hear that the function starts."""

    def said(self, run: "Run", report: Report) -> None:
        """Take news; see `Reporter`."""

    def ended(self, run: "Run", outcome: Outcome) -> None:
        """Hear, once, how the run ended."""


class Run:
    """A claimed job being run; whoever ends it first decides, later ends are ignored."""

    # Few runs ever have one of these, and there are many runs.
    stop: Stop | None = None
    timers: "tuple[asyncio.TimerHandle, ...]" = ()
    is_over = False
    number = 0
    """What it is called between two processes."""
    follower: "Run | None" = None
    """The next run of its line."""
    ran: float | None = None
    """Seconds that the function ran, if it did."""
    memory: int | None = None
    """The most bytes that the process of the function held, where that can be told."""
    _has_begun = False
    _context: JobContext | None = None

    def __init__(self, job: Job, task: "AnyTask", owner: Owner) -> None:
        """Prepare to run `job` for `owner`."""
        self.job = job
        self.task = task
        self._owner = owner

    @property
    def context(self) -> JobContext:
        """What the function sees; made when it is first needed, for it may run elsewhere."""
        return self._context or self._made_context()

    def _made_context(self) -> JobContext:
        with _DECIDING:
            if self._context is None:
                self._context = JobContext(self.job, self, self.signature)
            return self._context

    @property
    def signature(self) -> Signature:
        """How the task's values travel."""
        return self.task.signature

    def follow(self) -> "Run | None":
        """Return the next run of the line if it belongs to the same executor, else pass it on."""
        follower = self.follower
        if follower is None or follower.task.executor == self.task.executor:
            return follower
        self._owner.start(follower)
        return None

    def followers(self) -> "Iterator[Run]":
        """Go through the runs that come after this one in its line."""
        ahead = self.follower
        while ahead is not None:
            yield ahead
            ahead = ahead.follower

    def ask(self, stop: Stop) -> None:
        """Note why the run should stop, and tell the function if it looks."""
        self.stop = stop
        match stop:
            case Stop.TIMEOUT:
                self.context.ask_to_stop(JobTimeout(self.timed_out()))
            case Stop.LOST:
                self.context.ask_to_stop(LeaseLost(stop.value))
            case Stop.CANCEL | Stop.SHUTDOWN:
                self.context.ask_to_stop(CancelRequested(stop.value))

    def timed_out(self) -> str:
        """Say what the timeout was."""
        return f"the task ran longer than its timeout of {self.job.timeout:g} s"

    def begin(self) -> bool:
        """Start, unless the run was ended before it could; the executor asks right before."""
        with _DECIDING:
            self._has_begun = not self.is_over
            return self._has_begun

    def start_clock(self) -> None:
        """Let the timeout run from now: what comes before the function is not its time."""
        self.context.begin()
        self._owner.begun(self)

    def report(self, report: Report) -> None:
        """Pass on what the function says; see `Reporter`."""
        self._owner.said(self, report)

    def call(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Call the function, within the middleware."""
        if not self.task.hooks.middleware:
            return self.task.function(*args, **kwargs)
        with self._within():
            return self.task.function(*args, **kwargs)

    async def acall(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Call the coroutine function, within the middleware."""
        if not self.task.hooks.middleware:
            return await self.task.function(*args, **kwargs)
        with self._within():
            return await self.task.function(*args, **kwargs)

    def _within(self) -> ExitStack:
        with ExitStack() as stack:
            for middleware in self.task.hooks.middleware:
                stack.enter_context(middleware(self.context))
            return stack.pop_all()

    def end_unbegun(self, outcome: Outcome) -> bool:
        """End the run if its function has not begun, and say whether that was so."""
        with _DECIDING:
            if self.is_over or self._has_begun:
                return False
            self.is_over = True
        self._owner.ended(self, outcome)
        return True

    def end(self, outcome: Outcome) -> bool:
        """Report how the run ended, unless that was done already; safe from any thread."""
        with _DECIDING:
            if self.is_over:
                return False
            self.is_over = True
        if self.ran is None and self._context is not None:
            self.ran = self._context.elapsed
        # It knows this run, and this run the rest of its line: all of that would be garbage.
        self._context = None
        self._owner.ended(self, outcome)
        return True

    def returned(self, value: object) -> Outcome:
        """Return the outcome of a function that gave `value`.

        What cannot be encoded is a final failure: running the body again would repeat its
        effects and end the same way.
        """
        try:
            return Returned(self.signature.encode_result(value))
        except PayloadError as error:
            return Raised(failure_of(error), retryable=False)

    def raised(self, error: BaseException) -> Outcome:
        """Return the outcome of a function that raised `error`."""
        if isinstance(error, Abort | PayloadError | TaskNotRegistered):
            return Raised(failure_of(error), retryable=False)
        if isinstance(error, Retry):
            return Raised(failure_of(error), delay=error.delay)
        if isinstance(error, Snooze):
            return Released(error.delay)
        if isinstance(error, CancelRequested) and self.stop in (Stop.CANCEL, Stop.SHUTDOWN):
            return self.stopped()
        return Raised(failure_of(error), retryable=self._retries(type(error)))

    def overdue(self, addition: str = "") -> Outcome:
        """Return the outcome of a function that was stopped for its time."""
        failure = Failure("JobTimeout", self.timed_out() + addition)
        return Raised(failure, retryable=self._retries(JobTimeout))

    def broken(self, reason: str) -> Outcome:
        """Return the outcome of a function whose process was killed by a limit."""
        failure = Failure(LimitExceeded.__name__, reason)
        return Raised(failure, retryable=self._retries(LimitExceeded))

    def _retries(self, kind: type[BaseException]) -> bool:
        if issubclass(kind, self.task.no_retry_on):
            return False
        return self.task.retry_on is None or issubclass(kind, self.task.retry_on)

    def stopped(self) -> Outcome:
        """Return the outcome of a run that stopped because it was asked to."""
        match self.stop:
            case Stop.TIMEOUT:
                return self.overdue()
            case Stop.SHUTDOWN:
                return Released()
            case Stop.LOST:
                return Lapsed(Stop.LOST.value)  # refused by the fence, and so it should be
            case Stop.CANCEL | None:
                return Stopped()


def begin_all(runs: Iterable[Run]) -> list[Run]:
    """Start all of these that were not ended before they could; see `Run.begin`."""
    with _DECIDING:
        begun = [run for run in runs if not run.is_over]
        for run in begun:
            run._has_begun = True  # noqa: SLF001 - of the same module
        return begun


def failure_of(error: BaseException) -> Failure:
    """Return an error as text, without the frames of offload itself."""
    frames = traceback.extract_tb(error.__traceback__)
    kept = [frame for frame in frames if "offload/worker/" not in frame.filename.replace("\\", "/")]
    lines = traceback.format_list(kept) + traceback.format_exception_only(error)
    text = "Traceback (most recent call last):\n" + "".join(lines)
    return Failure(
        type(error).__name__, str(error)[:MESSAGE_LIMIT], text[-TRACEBACK_LIMIT:].strip()
    )
