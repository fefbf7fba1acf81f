"""Rows to values and back."""

import json
from dataclasses import fields
from functools import lru_cache
from typing import Any

from offload.core.job import Job, NewJob
from offload.core.records import (
    Finish,
)
from offload.core.retry import RetryPolicy
from offload.core.schedule import Schedule
from offload.core.states import Move, State, target
from offload.store.postgres.arrays import Asked, texts
from offload.store.records import Row, job_values, json_text

Values = dict[str, Any]

NAMES = tuple(field.name for field in fields(Job))
COLUMNS = (
    *("max_retries" if name == "retry" else name for name in NAMES),
    *("backoff", "max_retry_delay", "retry_delays"),
)
JOB = ", ".join(COLUMNS)
SCHEDULE = ", ".join(field.name for field in fields(Schedule))

WIDTH = len(NAMES)
PRIORITY, RUN_AT = NAMES.index("priority"), NAMES.index("run_at")

STATES = {str(state): state for state in State}


@lru_cache(maxsize=256)
def _retry(max_retries: int, backoff: float, max_delay: float, delays: str | None) -> RetryPolicy:
    waits = () if delays is None else tuple(json.loads(delays))
    return RetryPolicy(max_retries, backoff, max_delay, waits)


_STATE, _RETRY, _TAGS, _METADATA = (
    NAMES.index(name) for name in ("state", "retry", "tags", "metadata")
)


def job_of(row: Row) -> Job:
    """Return the job of a row that was selected as `JOB`; further columns are ignored."""
    values = list(row[:WIDTH])
    values[_STATE] = STATES[values[_STATE]]
    values[_RETRY] = _retry(values[_RETRY], *row[WIDTH : WIDTH + 3])
    values[_TAGS] = () if values[_TAGS] is None else tuple(values[_TAGS])
    if values[_METADATA] is not None:
        values[_METADATA] = json.loads(values[_METADATA])
    return Job(*values)


def job_row(job: Job) -> Values:
    """Return a job's values by the names of `COLUMNS`."""
    return {**job_values(job), "tags": texts(job.tags) if job.tags else None}


def _due_after(end: Finish) -> int | None:
    """Return after how long it is due again; None leaves a released job its place in the line."""
    keeps = end.move is Move.RELEASE and not end.delay
    return None if keeps else milliseconds(end.delay)


JOBS: Asked[NewJob] = Asked(
    {
        "id": ("text", lambda new: new.id),
        "task": ("text", lambda new: new.task),
        "queue": ("text", lambda new: new.queue),
        "lane": ("text", lambda new: None if new.lane is None else new.lane.name),
        "priority": ("bigint", lambda new: new.priority),
        "delay": ("bigint", lambda new: milliseconds(new.delay)),
        "run_at": ("bigint", lambda new: new.run_at),
        "max_retries": ("int", lambda new: new.retry.max_retries),
        "backoff": ("float8", lambda new: new.retry.backoff),
        "max_retry_delay": ("float8", lambda new: new.retry.max_delay),
        "retry_delays": ("text", lambda new: delays_text(new.retry)),
        "timeout": ("float8", lambda new: new.timeout),
        "expires": ("bigint", lambda new: milliseconds(new.expires)),
        "result_ttl": ("float8", lambda new: new.result_ttl),
        "unique_key": ("text", lambda new: None if new.unique is None else new.unique.key),
        "key_scope": ("text", lambda new: None if new.unique is None else new.unique.scope.value),
        "key_window": (
            "bigint",
            lambda new: None if new.unique is None else milliseconds(new.unique.window),
        ),
        "on_parent_failure": ("text", lambda new: new.on_parent_failure.value),
        "inputs": ("text", lambda new: new.inputs.value),
        "metadata": ("text", lambda new: json_text(new.metadata)),
        "tags": ("text", lambda new: texts(new.tags) if new.tags else None),
        "origin": ("text", lambda new: new.origin),
        "schedule": ("text", lambda new: new.schedule),
        "tick": ("bigint", lambda new: new.tick),
        "payload": ("bytea", lambda new: new.payload),
    }
)
"""What is asked for of new jobs; durations are in milliseconds."""

ENDS: Asked[Finish] = Asked(
    {
        "id": ("text", lambda end: end.job_id),
        "lease": ("bigint", lambda end: end.lease),
        "state": ("text", lambda end: target(State.RUNNING, end.move).value),
        "move": ("text", lambda end: end.move.value),
        "result": ("bytea", lambda end: end.result),
        "error": ("text", lambda end: end.error),
        "crashed": ("int", lambda end: int(end.crashed)),
        "given_back": ("int", lambda end: int(end.gives_back_attempt)),
        "delay": ("bigint", _due_after),
        "ran": ("float8", lambda end: end.ran),
        "memory": ("bigint", lambda end: end.memory),
    }
)
"""What is asked for of runs that end."""

COMPLETES: Asked[Finish] = Asked(
    {name: ENDS.columns[name] for name in ("id", "lease", "result", "ran", "memory")}
)
"""What is asked for of those that are successes."""


def can_be_there(name: object) -> bool:
    """Say whether anything of that name can be stored: what cannot, need not be looked for."""
    if not isinstance(name, str):
        return True
    return "\0" not in name and name == name.encode(errors="replace").decode()


def milliseconds(seconds: float | None) -> int | None:
    """Return a duration as the store adds it to its clock."""
    return None if seconds is None else round(seconds * 1000)


def delays_text(retry: RetryPolicy) -> str | None:
    """Return the delays of a policy as they are stored."""
    return json.dumps(retry.delays) if retry.delays else None


def schedule_row(schedule: Schedule) -> Values:
    """Return the bindings of `put_schedule`."""
    values = {field.name: getattr(schedule, field.name) for field in fields(Schedule)}
    values["options"] = json_text(schedule.options)
    values["overlap"] = schedule.overlap.value
    values["catch_up"] = schedule.catch_up.value
    return values
