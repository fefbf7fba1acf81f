"""What is said of a job while it runs and when it ends, and the records that stay of it.

Instants are integer Unix milliseconds as the store's clock gives them; durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from offload.core.job import Job
from offload.core.light import light
from offload.core.states import Move


def storable(text: str) -> str:
    """Escape what not every store can keep: lone surrogates, as of odd file names, and NUL."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is stored: text, never an object that a reader would have to rebuild."""

    type: str
    message: str
    traceback: str = ""

    def __post_init__(self) -> None:
        """Make the texts storable."""
        for name in ("type", "message", "traceback"):
            object.__setattr__(self, name, storable(getattr(self, name)))

    def summary(self) -> str:
        """Return the error in one line; the whole of it is in `message` and `traceback`."""
        line, *more = self.message.strip().splitlines() or [""]
        return (f"{self.type}: {line}" if line else self.type) + (" …" if more else "")


@light
@dataclass(frozen=True, slots=True)
class Finish:
    """What becomes of a claimed job, to be applied only if `lease` is still the newest."""

    job_id: str
    lease: int
    move: Move
    delay: float = 0.0
    result: bytes | None = None
    failure: Failure | None = None
    crashed: bool = False
    ran: float | None = None
    """Seconds that the function ran; None if it did not, and then no metric is kept."""
    memory: int | None = None
    """The most bytes that the function's process held while it ran, where that can be told."""

    @property
    def gives_back_attempt(self) -> bool:
        """Whether this ending leaves the job's retries untouched."""
        return self.move is Move.RELEASE

    def stopped(self) -> "Finish":
        """Return this ending for a job that was asked to stop, and so must not run again."""
        failure = Failure("Cancelled", "cancelled while running")
        return replace(self, move=Move.CANCEL, failure=failure)

    @property
    def error(self) -> str | None:
        """The line to show for this ending; being cancelled is no error of any type."""
        if self.failure is None:
            return None
        return self.failure.message if self.move is Move.CANCEL else self.failure.summary()


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a task logged; `extra` is plain JSON."""

    level: str
    message: str
    extra: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """News from a running job, fenced like its end. What is None or empty stays as it was."""

    job_id: str
    lease: int
    progress: int | None = None
    message: str | None = None
    data: bytes | None = None
    logs: tuple[LogLine, ...] = ()
    parts: tuple[bytes, ...] = ()
    """Encoded partial results, in the order in which the task published them."""


@dataclass(frozen=True, slots=True)
class Held:
    """A job that the store believes a worker to be running."""

    job_id: str
    lease: int
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class AttemptError:
    """One failed attempt, kept beside its job."""

    id: int
    job_id: str
    attempt: int
    failure: Failure
    failed_at: int


@dataclass(frozen=True, slots=True)
class JobLog:
    """A logged line as it is kept; `id` rises."""

    id: int
    job_id: str
    task: str
    attempt: int
    line: LogLine
    logged_at: int


@dataclass(frozen=True, slots=True)
class Part:
    """A partial result as it is kept. `id` rises: who has seen one asks for what comes after."""

    id: int
    job_id: str
    attempt: int
    value: bytes
    published_at: int


@dataclass(frozen=True, slots=True)
class Metric:
    """One attempt in numbers."""

    id: int
    job_id: str
    task: str
    attempt: int
    move: Move
    wait: float
    """Seconds from its due time to its claim."""
    ran: float
    memory: int | None
    recorded_at: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """That a job was repeated by another, from its dead letter or as a replay."""

    origin: str
    job_id: str
    repeated_at: int


@dataclass(frozen=True, slots=True)
class Family:
    """The jobs that a job waits or waited for, and those that wait or waited for it."""

    parents: list[str] = field(default_factory=list)
    dependents: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job whose attempts were used up, kept for inspection and replay; it outlives its job."""

    id: str
    job: Job
    """The job as it died; the row it had may have been purged since."""
    failed_at: int
