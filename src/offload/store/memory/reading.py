"""What can be seen, and in which order."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from offload.core.job import Job
from offload.core.records import JobLog, Metric
from offload.core.states import LIVE, State
from offload.store.base import JobFilter, QueueRow, RecordFilter
from offload.store.memory.tables import Tables

Row = TypeVar("Row", JobLog, Metric)


def search(db: Tables, wanted: JobFilter) -> list[Job]:
    """Return a page, newest first."""
    jobs = list(db.jobs.values())
    if wanted.before is not None:
        jobs = jobs[: _end(list(db.jobs), wanted.before)]
    return [job for job in reversed(jobs) if _matches(job, wanted)][: wanted.limit]


def _end(ids: list[str], before: str) -> int:
    """Return how many jobs came before this one, or up to the one that it came after."""
    if before in ids:
        return ids.index(before)
    lower = max((job_id for job_id in ids if job_id < before), default=None)
    return 0 if lower is None else ids.index(lower) + 1


def _matches(job: Job, wanted: JobFilter) -> bool:
    return (
        (not wanted.states or job.state in wanted.states)
        and wanted.task in {None, job.task}
        and wanted.queue in {None, job.queue}
        and wanted.schedule in {None, job.schedule}
        and (wanted.tag is None or wanted.tag in job.tags)
        and (wanted.created_after is None or job.created_at >= wanted.created_after)
        and (wanted.created_before is None or job.created_at < wanted.created_before)
    )


def stats(db: Tables, queue: str | None) -> Mapping[State, int]:
    """Count by state."""
    counts = dict.fromkeys(State, 0)
    for job in db.jobs.values():
        if queue is None or job.queue == queue:
            counts[job.state] += 1
    return counts


def queues(db: Tables) -> list[QueueRow]:
    """Return the queues in which something waits, runs, or is kept from it."""
    names = {job.queue for job in db.jobs.values() if job.state in LIVE} | db.paused
    rows = []
    for name in sorted(names):
        counts = stats(db, name)
        rows.append(QueueRow(name, name in db.paused, counts[State.PENDING], counts[State.RUNNING]))
    return rows


def logs(db: Tables, wanted: RecordFilter) -> list[JobLog]:
    """Return the newest lines, oldest first."""
    rows = [
        row
        for row in _of(db.logs, wanted)
        if wanted.level in {None, row.line.level}
        and (wanted.since is None or row.logged_at >= wanted.since)
    ]
    return rows[max(0, len(rows) - wanted.limit) :]


def metrics(db: Tables, wanted: RecordFilter) -> list[Metric]:
    """Return the newest attempts, oldest first."""
    rows = [
        row
        for row in _of(db.metrics, wanted)
        if wanted.since is None or row.recorded_at >= wanted.since
    ]
    return rows[max(0, len(rows) - wanted.limit) :]


def _of(rows: Iterable[Row], wanted: RecordFilter) -> list[Row]:
    return [
        row
        for row in rows
        if wanted.job_id in {None, row.job_id} and wanted.task in {None, row.task}
    ]
