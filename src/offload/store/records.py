"""Rows of side records to values, for the drivers that keep them in SQL tables."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from offload.core.job import Job, NewJob
from offload.core.records import AttemptError, Failure, JobLog, LogLine, Metric, Part, Repeat
from offload.core.schedule import CatchUp, Overlap, Schedule
from offload.core.states import Move, State

Row = tuple[Any, ...]


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
    values["paused"] = bool(values["paused"])
    values["edited"] = bool(values["edited"])
    return Schedule(**values)


def job_values(job: Job) -> dict[str, Any]:
    """Return what a job is by the names of its columns; its tags are still a tuple."""
    values = {each.name: getattr(job, each.name) for each in fields(Job) if each.name != "retry"}
    retry = job.retry
    values["state"] = job.state.value
    values["metadata"] = json_text(job.metadata)
    values["max_retries"], values["backoff"] = retry.max_retries, retry.backoff
    values["max_retry_delay"] = retry.max_delay
    values["retry_delays"] = json.dumps(retry.delays) if retry.delays else None
    return values


KEPT = ("phase", "held_key", "key_scope", "key_until", "on_parent_failure", "inputs")
"""The columns of a job beside what it is to see."""


def kept_values(job: Job, asked: NewJob, now: int) -> dict[str, Any]:
    """Return the values of `KEPT`."""
    phase = "blocked" if job.blockers else "ready" if job.run_at <= now else "later"
    key = asked.unique
    window = None if key is None or key.window is None else round(key.window * 1000)
    return {
        "phase": phase if job.state is State.PENDING else None,
        "held_key": None if key is None else key.key,
        "key_scope": None if key is None else key.scope.value,
        "key_until": None if window is None else job.created_at + window,
        "on_parent_failure": asked.on_parent_failure.value,
        "inputs": asked.inputs.value,
    }
