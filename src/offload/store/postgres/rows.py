"""Rows to values and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from offload.core.job import Job, NewJob
from offload.core.records import AttemptError, Failure, JobLog, LogLine, Metric, Part, Repeat
from offload.core.retry import RetryPolicy
from offload.core.schedule import CatchUp, Overlap, Schedule
from offload.core.states import Move, State
from offload.store.postgres.arrays import binary, floats, numbers, texts

Row = tuple[Any, ...]
Values = dict[str, Any]

NAMES = tuple(field.name for field in fields(Job))
JOB = ", ".join(
    (
        *("max_retries" if name == "retry" else name for name in NAMES),
        *("backoff", "max_retry_delay", "retry_delays"),
    )
)
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


def new_rows(jobs: Sequence[NewJob], blockers: int = 0) -> Values:
    """Return the bindings of `insert_jobs`, a list a column; durations are in milliseconds."""
    retries = [new.retry for new in jobs]
    keys = [new.unique for new in jobs]
    return {
        "id": texts([new.id for new in jobs]),
        "task": texts([new.task for new in jobs]),
        "queue": texts([new.queue for new in jobs]),
        "lane": texts([None if new.lane is None else new.lane.name for new in jobs]),
        "priority": numbers([new.priority for new in jobs]),
        "delay": numbers([milliseconds(new.delay) for new in jobs]),
        "run_at": numbers([new.run_at for new in jobs]),
        "blockers": numbers([blockers] * len(jobs)),
        "max_retries": numbers([retry.max_retries for retry in retries]),
        "backoff": floats([retry.backoff for retry in retries]),
        "max_retry_delay": floats([retry.max_delay for retry in retries]),
        "retry_delays": texts([delays_text(retry) for retry in retries]),
        "timeout": floats([new.timeout for new in jobs]),
        "expires": numbers([milliseconds(new.expires) for new in jobs]),
        "result_ttl": floats([new.result_ttl for new in jobs]),
        "unique_key": texts([None if key is None else key.key for key in keys]),
        "key_scope": texts([None if key is None else key.scope.value for key in keys]),
        "key_window": numbers([None if key is None else milliseconds(key.window) for key in keys]),
        "on_parent_failure": texts([new.on_parent_failure.value for new in jobs]),
        "inputs": texts([new.inputs.value for new in jobs]),
        "metadata": texts([json_text(new.metadata) for new in jobs]),
        "tags": texts([texts(new.tags) if new.tags else None for new in jobs]),
        "origin": texts([new.origin for new in jobs]),
        "schedule": texts([new.schedule for new in jobs]),
        "tick": numbers([new.tick for new in jobs]),
        "payload": binary([new.payload for new in jobs]),
    }


def milliseconds(seconds: float | None) -> int | None:
    """Return a duration as the store adds it to its clock."""
    return None if seconds is None else round(seconds * 1000)


def delays_text(retry: RetryPolicy) -> str | None:
    """Return the delays of a policy as they are stored."""
    return json.dumps(retry.delays) if retry.delays else None


def json_text(value: Mapping[str, object] | None) -> str | None:
    """Return plain JSON as it is stored."""
    return None if value is None else json.dumps(dict(value))


def error_of(row: Row) -> AttemptError:
    """Return the attempt error of a row of the statement `errors`."""
    return AttemptError(row[0], row[1], row[2], Failure(row[3], row[4], row[5]), row[6])


def log_of(row: Row) -> JobLog:
    """Return the logged line of a row of the statement `logs`."""
    line = LogLine(row[4], row[5], None if row[6] is None else json.loads(row[6]))
    return JobLog(row[0], row[1], row[2], row[3], line, row[7])


def metric_of(row: Row) -> Metric:
    """Return the metric of a row of the statement `metrics`."""
    job_id, task, attempt, move = row[1:5]
    return Metric(row[0], job_id, task, attempt, Move(move), *row[5:])


def part_of(row: Row) -> Part:
    """Return the partial result of a row of the statement `parts`."""
    return Part(*row)


def repeat_of(row: Row) -> Repeat:
    """Return the repeat of a row of the statement `repeats`."""
    return Repeat(*row)


def schedule_of(row: Row) -> Schedule:
    """Return the schedule of a row that was selected as `SCHEDULE`."""
    values = dict(zip((field.name for field in fields(Schedule)), row, strict=True))
    values["options"] = None if values["options"] is None else json.loads(values["options"])
    values["overlap"] = Overlap(values["overlap"])
    values["catch_up"] = CatchUp(values["catch_up"])
    return Schedule(**values)


def schedule_row(schedule: Schedule) -> Values:
    """Return the bindings of `put_schedule`."""
    values = {field.name: getattr(schedule, field.name) for field in fields(Schedule)}
    values["options"] = json_text(schedule.options)
    values["overlap"] = schedule.overlap.value
    values["catch_up"] = schedule.catch_up.value
    return values
