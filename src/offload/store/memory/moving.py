"""Jobs that leave for another store, or come from one."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from offload.core.job import Job, NewJob
from offload.core.lane import Lane
from offload.core.parcel import Parcel, arriving
from offload.core.records import DeadLetter
from offload.core.states import State
from offload.store.base import Channel
from offload.store.memory import dependencies
from offload.store.memory.enqueueing import holders
from offload.store.memory.housekeeping import remove
from offload.store.memory.tables import Tables


def pack(db: Tables, after: int, limit: int) -> list[Parcel]:
    """Copy the jobs, and what is kept of each."""
    resting = (job for job in db.jobs.values() if job.state is not State.RUNNING)
    beyond = (job for job in resting if db.places[job.id] > after)
    return [_packed(db, job) for job in islice(beyond, limit)]


def _packed(db: Tables, job: Job) -> Parcel:
    lane = job.lane and db.lanes.get(job.lane, Lane(job.lane))
    waited = db.waiters.get(job.id, NewJob(job.id, job.task))
    _, key = db.keys[job.unique_key] if job.id in holders(db) and job.unique_key else (None, None)
    return Parcel(
        db.places[job.id],
        job,
        replace(waited, unique=key, lane=lane or None),
        lane_started_at=db.starts.get(job.lane or ""),
        errors=tuple(row for row in db.errors if row.job_id == job.id),
        logs=tuple(row for row in db.logs if row.job_id == job.id),
        parts=tuple(row for row in db.parts if row.job_id == job.id),
        metrics=tuple(row for row in db.metrics if row.job_id == job.id),
        repeats=tuple(row for row in db.repeats if row.origin == job.id),
    )


def unpack(db: Tables, parcel: Parcel) -> bool:
    """Put a job where it was not, with all that came with it."""
    if parcel.job.id in db.jobs:
        return False
    parents = tuple(parent for parent in parcel.asked.depends_on if parent in db.jobs)
    asked = replace(parcel.asked, depends_on=parents)
    job = arriving(parcel, [db.jobs[parent] for parent in parents])
    db.arrive(job)
    if parents:
        db.waiters[job.id] = asked
    if asked.unique and db.keys.get(asked.unique.key, ("",))[0] not in holders(db):
        db.keys[asked.unique.key] = (job.id, asked.unique)
    if asked.lane and asked.lane.limited and asked.lane.name not in db.lanes:
        db.lanes[asked.lane.name] = asked.lane
        if parcel.lane_started_at is not None:
            db.starts[asked.lane.name] = parcel.lane_started_at
    _unpack_records(db, parcel)
    db.signals.notify(Channel.READY)
    return True


def _unpack_records(db: Tables, parcel: Parcel) -> None:
    db.errors += [replace(row, id=next(db.ids)) for row in parcel.errors]
    db.logs += [replace(row, id=next(db.ids)) for row in parcel.logs]
    db.parts += [replace(row, id=next(db.ids)) for row in parcel.parts]
    db.metrics += [replace(row, id=next(db.ids)) for row in parcel.metrics]
    db.repeats += parcel.repeats


def forget(db: Tables, job_id: str, version: int) -> bool:
    """Remove a job that is as it was when it was packed."""
    job = db.jobs.get(job_id)
    if job is None or job.version != version or job.state is State.RUNNING:
        return False
    if dependencies.dependents(db, job_id):
        return False
    remove(db, {job_id})
    db.signals.notify(Channel.CHANGED)
    return True


def put_letters(db: Tables, letters: Sequence[DeadLetter]) -> None:
    """Add what is not there."""
    for letter in letters:
        db.letters.setdefault(letter.id, letter)
