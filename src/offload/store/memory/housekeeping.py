"""What is old goes."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from offload.core.job import Job
from offload.core.records import AttemptError, JobLog, Metric
from offload.core.states import State
from offload.store.base import FORGET_WORKERS, Pruned
from offload.store.memory.dependencies import awaited, cut
from offload.store.memory.enqueueing import holders
from offload.store.memory.tables import Tables

Row = TypeVar("Row")
Record = AttemptError | JobLog | Metric


def prune(
    db: Tables,
    jobs_older_than: float | None,
    dead_older_than: float | None,
    records_older_than: float | None,
    limit: int,
) -> Pruned:
    """Remove what has outlived its age, at most `limit` jobs, letters and records."""
    jobs = _outlived(db, jobs_older_than)[:limit]
    lost = remove(db, {job.id for job in jobs})
    letters = _aged(db, db.letters.values(), lambda row: row.failed_at, dead_older_than)[:limit]
    for letter in letters:
        del db.letters[letter.id]
    records = _aged(db, _records(db), _recorded_at, records_older_than)[:limit]
    gone = {record.id for record in records}
    _keep(db, lambda record: record.id not in gone)
    _forget_workers(db)
    return Pruned(len(jobs), len(letters), lost + len(records))


def _outlived(db: Tables, older_than: float | None) -> list[Job]:
    needed = awaited(db) | holders(db)
    return [
        job
        for job in db.jobs.values()
        if _is_old(job, older_than, db.clock.now()) and job.id not in needed
    ]


def _is_old(job: Job, older_than: float | None, now: int) -> bool:
    age = job.result_ttl if job.result_ttl is not None else older_than
    return job.finished_at is not None and age is not None and now - job.finished_at > age * 1000


def remove(db: Tables, ids: set[str]) -> int:
    """Remove jobs with all that is kept of them; return how many records that were."""
    before = len(_records(db))
    origins = {db.jobs[job_id].origin for job_id in ids}
    for job_id in ids:
        cut(db, job_id)
        del db.jobs[job_id]
    gone = ids | (origins - db.jobs.keys())
    db.keys = {key: held for key, held in db.keys.items() if held[0] not in ids}
    db.parts = [part for part in db.parts if part.job_id not in ids]
    db.repeats = [repeat for repeat in db.repeats if repeat.origin not in gone]
    _keep(db, lambda record: record.job_id not in ids)
    return before - len(_records(db))


def _records(db: Tables) -> list[Record]:
    return [*db.errors, *db.logs, *db.metrics]


def _recorded_at(record: Record) -> int:
    match record:
        case AttemptError():
            return record.failed_at
        case JobLog():
            return record.logged_at
        case Metric():
            return record.recorded_at


def _keep(db: Tables, wanted: Callable[[Record], bool]) -> None:
    db.errors = list(filter(wanted, db.errors))
    db.logs = list(filter(wanted, db.logs))
    db.metrics = list(filter(wanted, db.metrics))


def _aged(
    db: Tables, rows: Iterable[Row], instant: Callable[[Row], int], older_than: float | None
) -> list[Row]:
    if older_than is None:
        return []
    return [row for row in rows if db.clock.now() - instant(row) > older_than * 1000]


def _forget_workers(db: Tables) -> None:
    holders = {job.worker for job in db.jobs.values() if job.state is State.RUNNING}
    for name, seen in list(db.workers.items()):
        silent = db.clock.ticks() - seen.ticks
        rebooted = seen.boot != db.clock.boot()
        if name not in holders and (rebooted or silent > seen.beat.lease + FORGET_WORKERS):
            del db.workers[name]
