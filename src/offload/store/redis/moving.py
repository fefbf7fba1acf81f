"""What jobs are on the wire when they leave for another store, or come from one."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from offload.core.errors import StoreRefused
from offload.core.job import Job, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.parcel import Parcel
from offload.core.states import State
from offload.core.unique import Scope, UniqueKey
from offload.store.redis.requests import INPUTS, MOVE_CODES, SCOPES, line_of, long, request
from offload.store.redis.rows import STATE_CODES, row_of
from offload.store.redis.wire import Part

WAS = struct.Struct(">BBBb3I3qI3qdq")
LIMITS = struct.Struct(">dd")

BY_SCOPE = {code: scope for scope, code in SCOPES.items()}
BY_INPUTS = {code: inputs for inputs, code in INPUTS.items()}


def packed(job: Job, row: bytes, kept: Sequence[Any], parents: tuple[str, ...]) -> Parcel:
    """Return a job, its row, what the script `pack` says beside it and its parents as a parcel.

    Its records are still to be put in.
    """
    holds, limits, started, _, _ = kept
    numbers = row_of(row)
    asked = NewJob(
        job.id,
        job.task,
        unique=_key(job, numbers.scope, numbers.key_until) if holds else None,
        depends_on=parents,
        on_parent_failure=OnParentFailure.RUN if numbers.policy else OnParentFailure.CANCEL,
        inputs=BY_INPUTS[numbers.inputs],
        lane=None if job.lane is None else _lane(job.lane, limits),
    )
    return Parcel(numbers.seq, job, asked, int(started) if started else None)


def _key(job: Job, scope: int, until: int) -> UniqueKey | None:
    if job.unique_key is None:
        return None
    window = (until - job.created_at) / 1000 if BY_SCOPE[scope] is Scope.WINDOW else None
    return UniqueKey(job.unique_key, BY_SCOPE[scope], window=window)


def _lane(name: str, limits: bytes) -> Lane:
    interval, most = LIMITS.unpack(limits) if limits else (-1.0, -1.0)
    return Lane(name, None if interval < 0 else interval, None if most < 0 else int(most))


def arriving(parcel: Parcel) -> list[Part]:
    """Return the arguments for one job; see `arriving.lua`.

    Raises:
        StoreRefused: a number is too large.
    """
    job = parcel.job
    try:
        asked = request(_asked_again(parcel))
        return [*asked, _numbers(parcel), _texts(job), _records(parcel)]
    except struct.error as error:
        raise StoreRefused(f"job {job.id} cannot be stored: {error}") from None


def letter(job: Job) -> list[Part]:
    """Return the arguments for the job of a dead letter."""
    return arriving(Parcel(0, job, NewJob(job.id, job.task)))


def _asked_again(parcel: Parcel) -> NewJob:
    """Return a request for the job that it was; scripts put right when it was made."""
    job, asked = parcel.job, parcel.asked
    shown = None if job.unique_key is None else UniqueKey(job.unique_key)
    return replace(
        asked,
        queue=job.queue,
        payload=job.payload,
        priority=job.priority,
        run_at=job.run_at,
        retry=job.retry,
        timeout=job.timeout,
        expires=None if job.expires_at is None else 1.0,
        result_ttl=job.result_ttl,
        unique=asked.unique or shown,
        lane=asked.lane or (None if job.lane is None else Lane(job.lane)),
        metadata=job.metadata,
        tags=job.tags,
        origin=job.origin,
        schedule=job.schedule,
        tick=job.tick,
    )


def _numbers(parcel: Parcel) -> bytes:
    job, unique = parcel.job, parcel.asked.unique
    window = None if unique is None else unique.window
    return WAS.pack(
        STATE_CODES[job.state],
        unique is not None,
        job.state is State.PENDING and job.blockers > 0,
        -1 if job.progress is None else job.progress,
        job.version,
        job.attempt,
        job.lease,
        job.started_at or 0,
        job.finished_at or 0,
        job.run_at,
        job.crashes,
        job.created_at,
        job.expires_at or 0,
        0 if window is None else job.created_at + round(window * 1000),
        -1.0 if job.result_ttl is None else job.result_ttl,
        parcel.lane_started_at or 0,
    )


def _texts(job: Job) -> bytes:
    texts = (_encoded(job.error), _encoded(job.message), job.data, job.result)
    return b"".join(long(b"" if text is None else b"=" + text) for text in texts)


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _records(parcel: Parcel) -> bytes:
    job_id = parcel.job.id.encode()
    kinds = (
        [_error(row.attempt, row.failed_at, row.failure, job_id) for row in parcel.errors],
        [_log(row, parcel.job, job_id) for row in parcel.logs],
        [_metric(row, parcel.job, job_id) for row in parcel.metrics],
        [struct.pack(">Iq", row.attempt, row.published_at) + row.value for row in parcel.parts],
        [struct.pack(">q", row.repeated_at) + row.job_id.encode() for row in parcel.repeats],
    )
    return b"".join(long(b"".join(map(long, rows))) for rows in kinds)


def _error(attempt: int, failed_at: int, failure: Any, job_id: bytes) -> bytes:
    texts = (failure.type, failure.message, failure.traceback)
    said = b"".join(long(text.encode()) for text in texts)
    return struct.pack(">Iq", attempt, failed_at) + said + job_id


def _log(row: Any, job: Job, job_id: bytes) -> bytes:
    task = job.task.encode()
    named = struct.pack(">H", len(task)) + task + struct.pack(">H", len(job_id)) + job_id
    return struct.pack(">Iq", row.attempt, row.logged_at) + named + line_of(row.line)


def _metric(row: Any, job: Job, job_id: bytes) -> bytes:
    task, memory = job.task.encode(), -1 if row.memory is None else row.memory
    instants = row.recorded_at, round(row.wait * 1000), 0
    measured = struct.pack(">dqH", row.ran, memory, len(task))
    return (
        struct.pack(">IB3q", row.attempt, MOVE_CODES[row.move], *instants)
        + measured
        + task
        + job_id
    )
