"""Rows to values and back."""

import json
from dataclasses import fields
from functools import lru_cache
from typing import Any

from offload.core.errors import StoreCorrupted
from offload.core.job import Job, NewJob
from offload.core.retry import RetryPolicy
from offload.core.schedule import Schedule
from offload.core.states import State
from offload.core.unique import UniqueKey
from offload.store.records import Row, job_values, json_text

NAMES = tuple(field.name for field in fields(Job))
COLUMNS = (
    *("max_retries" if name == "retry" else name for name in NAMES),
    *("backoff", "max_retry_delay", "retry_delays"),
)
JOB = ", ".join(COLUMNS)
_CLAIMED = {
    "state": "'running'",
    "worker": ":worker",
    "started_at": ":now",
    **{name: f"{name} + 1" for name in ("attempt", "lease", "version")},
    **dict.fromkeys(("progress", "message", "data"), "NULL"),
}
CLAIMED = ", ".join(_CLAIMED.get(name, name) for name in COLUMNS)
"""As `JOB`, but as the statement `claim` is going to change it."""
SCHEDULE = ", ".join(field.name for field in fields(Schedule))

WIDTH = len(NAMES)

STATES = {str(state): state for state in State}


@lru_cache(maxsize=256)
def _retry(max_retries: int, backoff: float, max_delay: float, delays: str | None) -> RetryPolicy:
    waits = () if delays is None else tuple(json.loads(delays))
    return RetryPolicy(max_retries, backoff, max_delay, waits)


def job_of(row: Row) -> Job:
    """Return the job of a row that was selected as `JOB`; further columns are ignored.

    Raises:
        StoreCorrupted: the row is damaged.
    """
    values = list(row[:WIDTH])
    try:
        values[_STATE] = STATES[values[_STATE]]
        values[_RETRY] = _retry(values[_RETRY], *row[WIDTH : WIDTH + 3])
        values[_TAGS] = () if values[_TAGS] is None else tuple(json.loads(values[_TAGS]))
        if values[_METADATA] is not None:
            values[_METADATA] = json.loads(values[_METADATA])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreCorrupted(f"the row of job {row[0]!r} is damaged ({error!r})") from error
    values[_CANCEL] = values[_CANCEL] == 1
    return Job(*values)


_STATE, _RETRY, _TAGS, _METADATA, _CANCEL = (
    NAMES.index(name) for name in ("state", "retry", "tags", "metadata", "cancel_requested")
)


def job_row(job: Job) -> dict[str, Any]:
    """Return a job's values by the names of `COLUMNS`."""
    return {**job_values(job), "tags": json.dumps(job.tags) if job.tags else None}


NO_KEY = (None, None, None, None)


def new_row(new: NewJob, job: Job) -> Row:
    """Return the bindings of `insert_job` for `new`, which is kept as `job`."""
    retry = job.retry
    phase = "blocked" if job.blockers else "ready" if job.run_at <= job.created_at else "later"
    return (
        job.id,
        job.task,
        job.queue,
        job.lane,
        phase,
        job.priority,
        job.run_at,
        job.created_at,
        job.blockers,
        retry.max_retries,
        retry.backoff,
        retry.max_delay,
        json.dumps(retry.delays) if retry.delays else None,
        job.timeout,
        job.expires_at,
        job.result_ttl,
        *(NO_KEY if new.unique is None else _key(new.unique, job.created_at)),
        new.on_parent_failure.value,
        new.inputs.value,
        json_text(job.metadata),
        json.dumps(job.tags) if job.tags else None,
        job.origin,
        job.schedule,
        job.tick,
        job.payload,
    )


def _key(unique: UniqueKey, now: int) -> Row:
    until = None if unique.window is None else now + round(unique.window * 1000)
    return unique.key, unique.key, unique.scope.value, until


def schedule_row(schedule: Schedule) -> Row:
    """Return the bindings of a schedule, in the order of `SCHEDULE`."""
    values = {name: getattr(schedule, name) for name in SCHEDULE.split(", ")}
    values["options"] = json_text(schedule.options)
    return tuple(values.values())
