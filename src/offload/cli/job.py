"""How one job is shown, with all that is kept of it."""

import json
from collections.abc import Sequence

from offload.cli import documents
from offload.cli.documents import Document
from offload.cli.output import Column, ago, block, emit, facts, heading, span, table
from offload.core.job import Job
from offload.core.records import AttemptError, Family, JobLog, Metric, Repeat
from offload.core.states import told
from offload.tasks.handle import JobHandle
from offload.tasks.parts import JobPart

MB = 1 << 20


def show_job(handle: JobHandle[object], *, as_json: bool) -> None:
    """Print a job, its records and its relations."""
    job, family, repeats = handle.job, handle.family(), handle.repeats()
    errors, logs, parts = handle.errors(), handle.logs(), handle.parts()
    metrics = handle.metrics()
    if as_json:
        emit(_document(job) | {
            "errors": [documents.error(error) for error in errors],
            "logs": [documents.log(log) for log in logs],
            "parts": [documents.part(part) for part in parts],
            "metrics": [documents.metric(metric) for metric in metrics],
            "family": {"parents": family.parents, "dependents": family.dependents},
            "repeats": [documents.repeat(repeat) for repeat in repeats],
        })  # fmt: skip
        return
    _facts(job)
    _relations(family, repeats)
    _attempts(metrics)
    _logs(logs)
    _parts(parts)
    _errors(errors)


def _document(job: Job) -> Document:
    called = documents.payload(job.payload)
    return {"job": documents.job(job), "arguments": called, "result": documents.payload(job.result)}


def _facts(job: Job) -> None:
    progress = None if job.progress is None else f"{job.progress} %"
    facts(
        {
            "job": job.id,
            "task": job.task,
            "status": str(job.state),
            "queue": job.queue,
            "priority": str(job.priority),
            "attempt": f"{job.attempt} of {job.retry.max_retries + 1}",
            "arguments": _json(documents.payload(job.payload)),
            "result": None if job.result is None else _json(documents.payload(job.result)),
            "error": job.error,
            "progress": " ".join(filter(None, (progress, job.message))) or None,
            "enqueued": ago(job.created_at),
            "due": ago(job.run_at) if job.started_at is None else None,
            "started": None if job.started_at is None else ago(job.started_at),
            "ended": None if job.finished_at is None else ago(job.finished_at),
            "timeout": None if job.timeout is None else span(job.timeout),
            "worker": job.worker,
            "unique key": job.unique_key,
            "tags": ", ".join(job.tags) or None,
            "metadata": None if job.metadata is None else _json(job.metadata),
            "schedule": job.schedule,
            "origin": job.origin,
        }
    )


def _relations(family: Family, repeats: Sequence[Repeat]) -> None:
    for title, ids in (
        ("Waits for", family.parents),
        ("Waited for by", family.dependents),
        ("Repeated by", [repeat.job_id for repeat in repeats]),
    ):
        if ids:
            heading(title)
            block("\n".join(ids))


def _attempts(metrics: Sequence[Metric]) -> None:
    if not metrics:
        return
    heading("Attempts")
    columns = [
        Column("attempt", is_number=True),
        Column("waited", is_number=True),
        Column("ran", is_number=True),
        Column("memory", is_number=True),
        Column("then"),
        Column("ended"),
    ]
    table(columns, [_numbers(metric) for metric in metrics])


def _numbers(metric: Metric) -> list[str]:
    memory = "-" if metric.memory is None else f"{metric.memory / MB:,.0f} MB"
    how, when = told(metric.move), ago(metric.recorded_at)
    return [str(metric.attempt), span(metric.wait), span(metric.ran), memory, how, when]


def _logs(logs: Sequence[JobLog]) -> None:
    if not logs:
        return
    heading("Logs")
    rows = [[ago(log.logged_at), log.line.level, _line(log)] for log in logs]
    table([Column("when"), Column("level"), Column("message", cut="right")], rows)


def _line(log: JobLog) -> str:
    return log.line.message + (f" {_json(log.line.extra)}" if log.line.extra else "")


def _parts(parts: Sequence[JobPart]) -> None:
    if not parts:
        return
    heading("Parts")
    rows = [[str(part.id), _json(documents.part(part)["value"])] for part in parts]
    table([Column("part", is_number=True), Column("value", cut="right")], rows)


def _errors(errors: Sequence[AttemptError]) -> None:
    for error in errors:
        heading(f"Error of attempt {error.attempt}, {ago(error.failed_at)}")
        block(error.failure.traceback or error.failure.summary())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
