"""What a worker and the processes that run its functions say to each other, as bytes.

A frame is a kind, a number and a body. Payloads and results are JSON already and travel as they
are. Nothing here can name code that is then run: no pickle, and only tasks that the receiver has
registered.
"""

import marshal
import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from operator import attrgetter
from typing import Any

from offload.core.decide import Lapsed, Outcome, Raised, Released, Stopped
from offload.core.job import Job
from offload.core.records import Failure
from offload.core.retry import RetryPolicy
from offload.core.states import State

CHUNK = 256 * 1024
"""How much to read at a time."""
LINE_BITS = 8
"""A run's number is that of its line, then its place in it."""
HEAD = struct.Struct("!BQI")


class Kind(IntEnum):
    """What a frame says; the number is that of a run, for `LINE` that of its first."""

    SETUP = 1
    LINE = 2
    STOP = 3
    ABANDON = 4
    READY = 5
    FAILED = 6
    BEGUN = 7
    REPORT = 8
    RETURNED = 9
    ENDED = 10


Frame = tuple[int, int, bytes]


def frame(kind: Kind, number: int = 0, body: bytes = b"") -> bytes:
    """Return a frame as it travels."""
    return HEAD.pack(kind, number, len(body)) + body


def opens_line(number: int) -> bool:
    """Say whether this is the number of the first run of a line."""
    return number % (1 << LINE_BITS) == 0


class Frames:
    """Cuts what arrives into frames, wherever the pieces end."""

    def __init__(self) -> None:
        """Start between two frames."""
        self._rest = b""

    def split(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes."""
        if self._rest:
            data = self._rest + data
        found: list[Frame] = []
        at, end = 0, len(data)
        while (body := at + HEAD.size) <= end:
            kind, number, size = HEAD.unpack_from(data, at)
            if body + size > end:
                break
            at = body + size
            found.append((kind, number, data[body:at]))
        self._rest = data[at:]
        return found


# --- jobs --------------------------------------------------------------------------------


row_of = attrgetter(
    "id", "task", "queue", "attempt", "lease", "timeout", "metadata", "tags", "schedule", "tick"
)
"""What a function may know of its job, all but the payload, as a tuple."""


def job_of(row: Sequence[Any], payload: bytes) -> Job:
    """Return the job of a row."""
    job_id, task, queue, attempt, lease, timeout, metadata, tags, schedule, tick = row
    return Job(  # by position as far as that goes, which is twice as fast
        job_id, task, queue, State.RUNNING, payload, 0, 0, 0, _ANY_RETRY, attempt, lease,
        timeout=timeout,
        metadata=metadata,
        tags=tuple(tags),
        schedule=schedule,
        tick=tick,
    )  # fmt: skip


_ANY_RETRY = RetryPolicy()


def pack(jobs: Sequence[Job]) -> bytes:
    """Return the body of a `LINE`.

    Only the supervisor writes it, so its reader need not be safe from it; and it is written and
    read by the same Python. JSON costs both sides together 2 µs a job more.
    """
    return marshal.dumps([(row_of(job), job.payload) for job in jobs])


def unpack(body: bytes) -> list[Job]:
    """Return the jobs of a `LINE`."""
    return [job_of(row, payload) for row, payload in marshal.loads(body)]  # noqa: S302 - see `pack`


# --- outcomes ----------------------------------------------------------------------------


_RAN = struct.Struct("!d")
_RETURNED = struct.Struct(HEAD.format + "d")


def returned(number: int, result: bytes, ran: float | None) -> bytes:
    """Return a whole `RETURNED`: the seconds that the function ran, then its result."""
    return _RETURNED.pack(Kind.RETURNED, number, _RAN.size + len(result), ran or 0.0) + result


def heard_returned(body: bytes) -> tuple[float, bytes]:
    """Return the seconds and the result."""
    [ran] = _RAN.unpack_from(body)
    return ran, body[_RAN.size :]


def told(outcome: Outcome) -> dict[str, Any]:
    """Return any outcome but `Returned`, whose result travels as it is, for JSON."""
    match outcome:
        case Raised(failure, retryable, delay):
            text = [failure.type, failure.message, failure.traceback]
            return {"failure": text, "retryable": retryable, "delay": delay}
        case Stopped(reason):
            return {"stopped": reason}
        case Lapsed(reason):
            return {"lapsed": reason}
        case Released(delay):
            return {"released": delay}
        case _:
            raise ValueError(f"{outcome!r} travels as it is")


def heard(answer: Mapping[str, Any]) -> Outcome:
    """Return the outcome that was told."""
    match answer:
        case {"failure": [kind, message, text], "retryable": retryable, "delay": delay}:
            return Raised(Failure(kind, message, text), retryable, delay)
        case {"stopped": reason}:
            return Stopped(reason)
        case {"lapsed": reason}:
            return Lapsed(reason)
        case _:
            return Released(answer["released"])
