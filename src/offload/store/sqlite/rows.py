"""Rows to jobs and back."""

import json
from typing import Any

from offload.core.job import Job
from offload.core.records import AttemptError, Failure
from offload.core.retry import RetryPolicy
from offload.core.states import State

Row = tuple[Any, ...]

COLUMNS = (
    "id", "task", "queue", "state", "payload", "priority", "run_at", "created_at",
    "max_retries", "backoff", "max_retry_delay", "attempt", "lease", "crashes", "version",
    "worker", "started_at", "finished_at", "timeout", "expires_at", "result_ttl", "progress",
    "result", "error", "unique_key", "cancel_requested", "metadata", "tags", "origin",
)  # fmt: skip

JOB = ", ".join(COLUMNS)
JOBS_JOB = ", ".join(f"jobs.{name}" for name in COLUMNS)


def job_of(row: Row) -> Job:
    """Return the job of a row that was selected as `JOB`; further columns are ignored."""
    return Job(
        id=row[0],
        task=row[1],
        queue=row[2],
        state=State(row[3]),
        payload=row[4],
        priority=row[5],
        run_at=row[6],
        created_at=row[7],
        retry=RetryPolicy(row[8], row[9], row[10]),
        attempt=row[11],
        lease=row[12],
        crashes=row[13],
        version=row[14],
        worker=row[15],
        started_at=row[16],
        finished_at=row[17],
        timeout=row[18],
        expires_at=row[19],
        result_ttl=row[20],
        progress=row[21],
        result=row[22],
        error=row[23],
        unique_key=row[24],
        cancel_requested=bool(row[25]),
        metadata=None if row[26] is None else json.loads(row[26]),
        tags=() if row[27] == "[]" else tuple(json.loads(row[27])),
        origin=row[28],
    )


def new_row(job: Job) -> Row:
    """Return the bindings of `insert_job`; what a new job has not yet is left to the schema."""
    return (
        job.id,
        job.task,
        job.queue,
        "ready" if job.run_at <= job.created_at else "later",
        job.payload,
        job.priority,
        job.run_at,
        job.created_at,
        job.retry.max_retries,
        job.retry.backoff,
        job.retry.max_delay,
        job.timeout,
        job.expires_at,
        job.result_ttl,
        job.unique_key,
        None if job.metadata is None else json.dumps(dict(job.metadata)),
        json.dumps(job.tags) if job.tags else "[]",
        job.origin,
    )


def error_of(row: Row) -> AttemptError:
    """Return the attempt error of a row of the statement `errors`."""
    return AttemptError(row[0], row[1], row[2], Failure(row[3], row[4], row[5]), row[6])
