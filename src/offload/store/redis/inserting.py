"""Plain requests that are alike: packed here, for the server serves nobody else meanwhile."""

import struct
from collections.abc import Sequence
from functools import lru_cache

from offload.core.alike import Alike
from offload.core.errors import StoreRefused
from offload.core.job import Inputs, NewJob, OnParentFailure
from offload.core.retry import RetryPolicy
from offload.core.states import State
from offload.store.redis.requests import INPUTS, head, tail
from offload.store.redis.rows import STATE_CODES, row_format

READY = 1
SEQ_AT, RUN_AT_AT, MADE_AT, INSTANT = 52, 60, 84, 8
"""Where a row without a worker has its number, when it is due and when it was made."""

Argument = bytes | str | int


def insertion(jobs: Sequence[NewJob]) -> list[Argument] | None:
    """Return the arguments for plain requests that are alike; None if these are not.

    Raises:
        TypeError, ValueError: something of it is no JSON.
        StoreRefused: a name is too long, or a number too large.
    """
    if len(jobs) == 1:
        (new,) = jobs
        return None if _is_special(new) else [*_shared(new), new.id, new.payload]
    if not isinstance(jobs, Alike) or _is_special(jobs.pattern):
        return None
    if len(set(jobs.ids)) < len(jobs):
        return None
    asked: list[Argument] = _shared(jobs.pattern)
    for pair in zip(jobs.ids, jobs.payloads, strict=True):
        asked += pair
    return asked


def _is_special(new: NewJob) -> bool:
    """Say whether a job must wait, or is in a list that not all jobs are in."""
    waits = new.delay > 0 or new.run_at is not None or new.depends_on
    listed = new.tags or new.lane or new.schedule is not None or new.expires is not None
    return bool(waits or listed or new.unique)


def _shared(new: NewJob) -> list[Argument]:
    return [*_rows(new), _begun(new), *_places(new.queue, new.task), -new.priority]


def _rows(new: NewJob) -> tuple[bytes, bytes, bytes]:
    """Return a row but for its number and when it was made, which only the server knows."""
    runs_anyhow = new.on_parent_failure is OnParentFailure.RUN
    try:
        names = _tail(new.queue, new.task)
        return _packed(names, new.priority, new.inputs, runs_anyhow, new.result_ttl)
    except struct.error as error:
        raise StoreRefused(f"job {new.id} cannot be stored: {error}") from None


_tail = lru_cache(maxsize=1024)(tail)


@lru_cache(maxsize=1024)
def _packed(
    names: bytes,
    priority: int,
    inputs: Inputs,
    runs_anyhow: bool,  # noqa: FBT001 - an argument of a cache
    ttl: float | None,
) -> tuple[bytes, bytes, bytes]:
    flags = (STATE_CODES[State.PENDING], READY, *[0] * 8, runs_anyhow, INPUTS[inputs])
    row = row_format(0).pack(
        *flags, ttl is not None, -1,
        1, 0, 0, 0, 0, 0, b"",  # version, attempt, lease, start, end, worker
        0, 0, 0, 0, 0,  # metric, number, due time, crashes, blockers
        priority, 0, 0, 0, -1.0 if ttl is None else ttl, 0, 0,
    )  # fmt: skip
    row += names
    return row[:SEQ_AT], row[RUN_AT_AT + INSTANT : MADE_AT], row[MADE_AT + INSTANT :]


def _begun(new: NewJob) -> bytes:
    if new.metadata is not None:
        return head(new)
    return _headed(new.task, new.queue, new.retry, new.timeout, new.origin)


@lru_cache(maxsize=1024)
def _headed(
    task: str, queue: str, retry: RetryPolicy, timeout: float | None, origin: str | None
) -> bytes:
    return head(NewJob("", task, queue, b"", retry=retry, timeout=timeout, origin=origin))


@lru_cache(maxsize=1024)
def _places(queue: str, task: str) -> tuple[str, str]:
    """Return the line of such jobs and their crowd, as the scripts name them."""
    line = f"{len(queue.encode())}:{queue}"
    return line, line + task
