"""One run of one job, from its claim to its outcome."""

import asyncio
import threading
import traceback
from collections.abc import Callable, Iterator
from enum import Enum

from offload.codec import Signature
from offload.core.decide import Lapsed, Outcome, Raised, Released, Returned, Stopped
from offload.core.errors import (
    Abort,
    CancelRequested,
    JobTimeout,
    LeaseLost,
    PayloadError,
    Retry,
    TaskNotRegistered,
)
from offload.core.job import Failure, Job
from offload.tasks.context import JobContext, Reporter
from offload.tasks.registry import AnyTask

MESSAGE_LIMIT = 2_000
TRACEBACK_LIMIT = 20_000


class Stop(Enum):
    """Why a run is asked to stop."""

    CANCEL = "cancelled while running"
    TIMEOUT = "timed out"
    LOST = "another worker has taken the job over"
    SHUTDOWN = "the worker stops"


class Run:
    """A claimed job being run; whoever ends it first decides, later ends are ignored."""

    def __init__(
        self,
        job: Job,
        task: AnyTask,
        reporter: Reporter,
        ended: Callable[[Job, Outcome], None],
        clock: Callable[["Run"], None] | None = None,
    ) -> None:
        """Prepare to run `job`.

        `ended` is called once, and `clock` when the function starts, both from any thread.
        """
        self.job = job
        self.task = task
        self.context = JobContext(job, reporter)
        self.stop: Stop | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self._next: tuple[Run, Callable[[Run], None]] | None = None
        self._ended = ended
        self._clock = clock
        self._lock = threading.Lock()
        self._has_begun = False
        self.is_over = False

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
        if self._clock is not None:
            self._clock(self)

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
        self._ended(self.job, outcome)
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
        if isinstance(error, CancelRequested) and self.stop in (Stop.CANCEL, Stop.SHUTDOWN):
            return self.stopped()
        return Raised(failure_of(error))

    def stopped(self) -> Outcome:
        """Return the outcome of a run that stopped because it was asked to."""
        match self.stop:
            case Stop.TIMEOUT:
                return Raised(Failure("JobTimeout", self.timed_out()))
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
