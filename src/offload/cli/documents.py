"""What `--json` prints: the keys are a promise.

They are those of the router where it shows the same. Instants are Unix milliseconds, durations
seconds.
"""

from datetime import datetime
from typing import Any

from offload.codec import decode_untyped, to_json
from offload.core.errors import PayloadError
from offload.core.instants import instant
from offload.core.job import Job
from offload.core.records import AttemptError, DeadLetter, JobLog, Metric, Repeat
from offload.core.states import told
from offload.queue.schedule_info import ScheduleInfo
from offload.store.base import QueueRow, WorkerRow
from offload.store.health import Finding
from offload.tasks.parts import JobPart

Document = dict[str, Any]


def job(found: Job) -> Document:
    """Show a job."""
    return {
        "id": found.id,
        "queue": found.queue,
        "task_name": found.task,
        "status": str(found.state),
        "priority": found.priority,
        "progress": found.progress or 0,
        "message": found.message,
        "retry_count": max(found.attempt - 1, 0),
        "max_retries": found.retry.max_retries,
        "created_at": found.created_at,
        "scheduled_at": found.run_at,
        "started_at": found.started_at,
        "completed_at": found.finished_at,
        "error": found.error,
        "timeout_ms": None if found.timeout is None else round(found.timeout * 1000),
        "unique_key": found.unique_key,
        "metadata": found.metadata,
        "tags": list(found.tags),
        "blocked_by": found.blockers,
        "cancel_requested": found.cancel_requested,
        "worker": found.worker,
        "origin": found.origin,
        "schedule": found.schedule,
    }


def payload(data: bytes | None) -> Any:
    """Show arguments or a result as plain JSON; damaged bytes as text."""
    if data is None:
        return None
    try:
        return to_json(decode_untyped(data))
    except PayloadError:
        return data.decode(errors="backslashreplace")


def error(found: AttemptError) -> Document:
    """Show a failed attempt."""
    return {
        "id": found.id,
        "attempt": found.attempt,
        "error": found.failure.summary(),
        "traceback": found.failure.traceback,
        "failed_at": found.failed_at,
    }


def log(found: JobLog) -> Document:
    """Show a logged line."""
    return {
        "id": found.id,
        "attempt": found.attempt,
        "level": found.line.level,
        "message": found.line.message,
        "extra": found.line.extra,
        "logged_at": found.logged_at,
    }


def part(found: JobPart) -> Document:
    """Show a partial result."""
    return {
        "id": found.id,
        "attempt": found.attempt,
        "value": to_json(found.value),
        "published_at": found.published_at,
    }


def metric(found: Metric) -> Document:
    """Show an attempt in numbers."""
    return {
        "attempt": found.attempt,
        "ended": told(found.move),
        "wait": found.wait,
        "ran": found.ran,
        "memory": found.memory,
        "recorded_at": found.recorded_at,
    }


def repeat(found: Repeat) -> Document:
    """Show that a job was repeated."""
    return {"job_id": found.job_id, "repeated_at": found.repeated_at}


def letter(found: DeadLetter) -> Document:
    """Show a dead letter."""
    return {
        "id": found.id,
        "original_job_id": found.job.id,
        "queue": found.job.queue,
        "task_name": found.job.task,
        "error": found.job.error,
        "retry_count": max(found.job.attempt - 1, 0),
        "failed_at": found.failed_at,
        "metadata": found.job.metadata,
    }


def schedule(found: ScheduleInfo) -> Document:
    """Show a schedule."""
    return {
        "name": found.name,
        "task_name": found.task,
        "trigger": found.trigger,
        "description": found.description,
        "tz": found.tz,
        "overlap": found.overlap,
        "catch_up": found.catch_up,
        "jitter": found.jitter,
        "paused": found.paused,
        "edited": found.edited,
        "is_stale": found.is_stale,
        "next_run": milliseconds(found.next_run),
        "last_run": milliseconds(found.last_run),
        "last_job_id": found.last_job_id,
    }


def queue(found: QueueRow) -> Document:
    """Show a queue."""
    return {
        "name": found.name,
        "paused": found.paused,
        "pending": found.pending,
        "running": found.running,
    }


def worker(found: WorkerRow) -> Document:
    """Show a worker."""
    return {
        "id": found.id,
        "host": found.host,
        "pid": found.pid,
        "queues": None if found.queues is None else list(found.queues),
        "concurrency": found.concurrency,
        "started_at": found.started_at,
        "age": found.age,
        "alive": found.alive,
    }


def finding(found: Finding) -> Document:
    """Show what the doctor found."""
    return {
        "check": found.check,
        "level": str(found.level),
        "found": found.found,
        "remedy": found.remedy or None,
    }


def milliseconds(moment: datetime | None) -> int | None:
    """Show a moment."""
    return None if moment is None else instant("moment", moment)
