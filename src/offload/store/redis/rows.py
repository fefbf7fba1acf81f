"""Jobs as the scripts show them."""

import json
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from offload.core.errors import StoreCorrupted
from offload.core.job import Job
from offload.core.retry import RetryPolicy
from offload.core.states import State
from offload.store.redis.requests import LENGTH

STATES = dict(enumerate(State, 1))
"""By the numbers that rows have for them; the scripts have the same order."""
STATE_CODES = {state: code for code, state in STATES.items()}
COMPLETE = STATE_CODES[State.COMPLETE]


Reply = list[Any]
Head = tuple[Any, ...]
LENGTH_AT = 42
"""Where a row has the length of its worker's name."""


@cache
def row_format(length: int) -> struct.Struct:
    """Return the format of the rows of workers whose names have this length."""
    return struct.Struct(f">13Bb3I2qH{length}s3q2I4qd2q")


def _numbers(row: bytes) -> Head:
    return row_format(row[LENGTH_AT] << 8 | row[LENGTH_AT + 1]).unpack_from(row)


@cache
def _job_format(length: int) -> struct.Struct:
    """Return the same format without what is no part of a job as it is seen."""
    return struct.Struct(f">BxB10xb3I2qH{length}s16xq2I3q8xd16x")


MOST_HEADS = 1024
_heads: dict[bytes, Head] = {}


def _head(data: bytes) -> Head:
    """Return what a body begins with; most jobs of a task have the same."""
    head = _heads.get(data)
    if head is None:
        head = _read_head(data)
        # Metadata seldom come again, and belong to whoever gets them.
        if b'"metadata"' not in data:
            if len(_heads) == MOST_HEADS:
                _heads.clear()
            _heads[data] = head
    return head


def _read_head(data: bytes) -> Head:
    said = json.loads(data)
    retries, backoff, longest, *delays = said["retry"]
    return (
        said["task"],
        said["queue"],
        RetryPolicy(retries, backoff, longest, tuple(delays)),
        said.get("timeout"),
        said.get("key"),
        said.get("lane"),
        said.get("metadata"),
        tuple(said.get("tags", ())),
        said.get("origin"),
        said.get("schedule"),
        said.get("tick"),
    )


SEEN = 4
NO_REST = (None, None, None, None)
NOTHING = b"null"
"""What a complete job has returned of which no result is kept; see `endings.lua`."""


def jobs_of(reply: Reply, start: int) -> list[Job | None]:
    """Return the jobs that a reply shows from a place on.

    Raises:
        StoreCorrupted: a row is damaged.
    """
    return [
        None if reply[place + 1] is None else job_of(reply[place : place + SEEN])
        for place in range(start, len(reply), SEEN)
    ]


def all_jobs_of(reply: Reply, start: int) -> list[Job]:
    """Return the jobs that a reply shows, which are all there."""
    return [job_of(reply[place : place + SEEN]) for place in range(start, len(reply), SEEN)]


def job_of(shown: Sequence[Any]) -> Job:
    """Return one job as `show` in the scripts shows it.

    Raises:
        StoreCorrupted: it is damaged.
    """
    job_id, row, body, rest = shown
    error, message, data, result = rest or NO_REST
    try:
        (
            state, cancel, progress, version, attempt, lease, started_at, finished_at, length,
            worker, run_at, crashes, blockers, priority, created_at, expires_at, ttl,
        ) = _job_format(row[LENGTH_AT] << 8 | row[LENGTH_AT + 1]).unpack_from(row)  # fmt: skip
        (size,) = LENGTH.unpack_from(body)
        task, queue, retry, timeout, key, lane, metadata, tags, origin, schedule, tick = _head(
            body[4 : 4 + size]
        )
    except (LookupError, TypeError, ValueError, struct.error) as damage:
        raise StoreCorrupted(f"job {job_id!r} is damaged ({damage!r})") from damage
    if state == COMPLETE and result is None:
        result = NOTHING
    holder = worker.decode() if length else None
    said = None if message is None else message.decode()
    why = None if error is None else error.decode()
    return Job(
        job_id.decode(), task, queue, STATES[state], body[4 + size :], priority, run_at,
        created_at, retry, attempt, lease, crashes, version, holder, started_at or None,
        finished_at or None, timeout, expires_at or None, None if ttl < 0 else ttl,
        None if progress < 0 else progress, said, data, result, why, key, cancel == 1, blockers,
        lane, metadata, tags, origin, schedule, tick,
    )  # fmt: skip


class Kept(NamedTuple):
    """Numbers of a row that are no part of a job as it is seen."""

    has_parents: int
    scope: int
    policy: int
    inputs: int
    metrics: int
    seq: int
    key_until: int
    errors: int
    logs: int


def row_of(row: bytes) -> Kept:
    """Return what only stores want to know."""
    numbers = _numbers(row)
    return Kept._make(numbers[place] for place in KEPT_AT)


KEPT_AT = (6, 9, 10, 11, 21, 22, 29, 31, 32)


def number_of(row: bytes) -> int:
    """Return a job's place in the order in which all of them came."""
    number: int = _numbers(row)[22]
    return number
