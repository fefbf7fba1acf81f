"""One run of one job, from its claim to its outcome."""

import asyncio
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from enum import Enum
from functools import cached_property
from typing import Any

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
from offload.core.records import Failure
from offload.tasks.context import JobContext, Reporter
from offload.tasks.registry import AnyTask

MESSAGE_LIMIT = 2_000
TRACEBACK_LIMIT = 20_000
STRANGE_AGAIN = 10.0
"""Seconds for which a job of a task that is unknown here is left to workers that know it."""


class Stop(Enum):
    """Why a run is asked to stop."""

    CANCEL = "cancelled while running"
    TIMEOUT = "timed out"
    LOST = "another worker has taken the job over"
    SHUTDOWN = "the worker stops"


Ended = Callable[[Job, Outcome, float | None, int | None], None]
"""Hears how a run ended, how many seconds its function ran, and the bytes that it took."""


class Run:
    """A claimed job being run; whoever ends it first decides, later ends are ignored."""

    def __init__(
        self,
        job: Job,
        task: AnyTask,
        reporter: Reporter,
        ended: Ended,
        started: Callable[["Run"], None],
    ) -> None:
        """Prepare to run `job`.

        `ended` is called once, and `started` when the function starts, both from any thread.
        """
        self.job = job
        self.task = task
        self.stop: Stop | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self._next: tuple[Run, Callable[[Run], None]] | None = None
        self._reporter = reporter
        self._ended = ended
        self._started = started
        self._lock = threading.Lock()
        self._has_begun = False
        self.is_over = False
        self.ran: float | None = None
        """Seconds that the function ran, if another process ran it and said so."""
        self.memory: int | None = None
        """The most bytes that the process of the function held, where that can be told."""

    @cached_property
    def context(self) -> JobContext:
        """What the function sees; made when it is first needed, for it may run elsewhere."""
        return JobContext(self.job, self._reporter, self.signature)

    @property
    def signature(self) -> Signature:
        """How the task's values travel."""
        return self.task.signature

    def precede(self, follower: "Run", start: Callable[["Run"], None]) -> None:
        """Let `follower` run after this one; `start`, from any thread, hands it to its executor."""
        self._next = (follower, start)

    def follow(self) -> "Run | None":
        """Return the next run of the line if it belongs to the same executor, else pass it on."""
        if self._next is None:
            return None
        follower, start = self._next
        if follower.task.executor == self.task.executor:
            return follower
        start(follower)
        return None

    def followers(self) -> "Iterator[Run]":
        """Go through the runs that come after this one in its line."""
        ahead = self._next
        while ahead is not None:
            yield ahead[0]
            ahead = ahead[0]._next  # noqa: SLF001 - of the same class

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
        with self._lock:
            self._has_begun = not self.is_over
            return self._has_begun

    def start_clock(self) -> None:
        """Let the timeout run from now: what comes before the function is not its time."""
        self.context.begin()
        self._started(self)

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
        return self._end(outcome, if_begun=False)

    def end(self, outcome: Outcome) -> bool:
        """Report how the run ended, unless that was done already; safe from any thread."""
        return self._end(outcome, if_begun=True)

    def _end(self, outcome: Outcome, *, if_begun: bool) -> bool:
        with self._lock:
            if self.is_over or (self._has_begun and not if_begun):
                return False
            self.is_over = True
        ran = self.context.elapsed if self.ran is None else self.ran
        self._ended(self.job, outcome, ran, self.memory)
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


def failure_of(error: BaseException) -> Failure:
    """Return an error as text, without the frames of offload itself."""
    frames = traceback.extract_tb(error.__traceback__)
    kept = [frame for frame in frames if "offload/worker/" not in frame.filename.replace("\\", "/")]
    lines = traceback.format_list(kept) + traceback.format_exception_only(error)
    text = "Traceback (most recent call last):\n" + "".join(lines)
    return Failure(
        type(error).__name__, str(error)[:MESSAGE_LIMIT], text[-TRACEBACK_LIMIT:].strip()
    )
