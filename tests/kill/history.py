"""What happened in a run, one line an event, appended to one file by all its processes.

Times are seconds of CLOCK_MONOTONIC, which is one clock for all processes of a machine. A line
is one `write` to a file opened O_APPEND, so lines of different processes never mix.
"""

import json
import lzma
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


def now() -> float:
    """Return the time, in seconds."""
    return round(time.monotonic(), 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a moment."""

    at: float = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Began(Event):
    """The run; `lease` in seconds, `poison` is how many deaths bury a job."""

    seed: int
    lease: float
    poison: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Event):
    """A producer is about to enqueue a job, maybe again; `delay` and `backoff` in seconds."""

    job: str
    attempts: int
    delay: float = 0.0
    backoff: float = 0.0
    key: str | None = None
    may_be_cancelled: bool = False
    is_poison: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Event):
    """The enqueue has returned; `to` is the job that it gave, another one for a held key."""

    job: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """A call to cancel has returned `done`."""

    job: str
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(Event):
    """A process that runs functions, before the first of them; `parents` up to the worker."""

    pid: int
    parents: tuple[int, ...]
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A function has begun; `attempt` counts from 1."""

    job: str
    lease: int
    attempt: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted(Event):
    """A function has had its effect."""

    job: str
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(Event):
    """A function is about to end: "returned", "failed" as it should, or "stopped"."""

    job: str
    lease: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dies(Event):
    """A function is about to kill its process."""

    job: str
    lease: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Event):
    """What the harness did from `at` to `until`.

    To processes, "kill" or "stop" of "all" or "one", of a "producer" or of the "server"; to what
    leads from them to the server, their "link": "reset", "half-close", "lose" a reply, "freeze".
    """

    how: str
    whom: str
    worker: str
    pids: tuple[int, ...]
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited(Event):
    """A worker's first process has ended."""

    worker: str
    pid: int
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Event):
    """A job as it is stored at the end; `errors` are (attempt, type, message)."""

    job: str
    state: str
    attempt: int
    lease: int
    crashes: int
    result: int | None = None
    errors: tuple[tuple[int, str, str], ...] = ()
    letters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Over(Event):
    """The end: what the store counted, whether what it keeps is sound, who is still there."""

    stats: dict[str, int]
    integrity: str
    orphans: int
    drained: float
    """Seconds from the last fault until the last job was final."""


KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind
    for kind in (
        Began, Asked, Stored, Cancelled, Process, Started, Acted, Left, Dies, Fault, Exited,
        Kept, Over,
    )
}  # fmt: skip


class Pen:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, event: Event) -> None:
        """Append one line, at once and whole."""
        os.write(self._fd, encode(event))

    def close(self) -> None:
        os.close(self._fd)


def encode(event: Event) -> bytes:
    """Return the line of an event, without what it does not say."""
    said = {
        name: value
        for name, value in asdict(event).items()
        if value is not None and value is not False
    }
    words = {"event": type(event).__name__.lower(), **said}
    return json.dumps(words, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Event:
    """Return the event of a line."""
    words: dict[str, Any] = json.loads(line)
    kind = KINDS[words.pop("event")]
    return kind(**{name: _tuples(value) for name, value in words.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def read(path: Path) -> Iterator[Event]:
    """Read a history, compressed or not."""
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as lines:
        yield from map(decode, lines)


def write(path: Path, events: Iterable[Event]) -> None:
    """Write a whole history."""
    path.write_bytes(b"".join(map(encode, events)))
