"""How jobs come in: once, under their keys, all of a batch or none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from offload.core.errors import DependencyError, DuplicateJob
from offload.core.job import Job, NewJob, begun, repeated, stored
from offload.core.records import Repeat
from offload.core.states import LIVE, State
from offload.core.unique import OnConflict, Scope, UniqueKey
from offload.store.base import Channel
from offload.store.memory import dependencies
from offload.store.memory.tables import Tables, given_up


def enqueue(db: Tables, jobs: Sequence[NewJob]) -> list[Job]:
    """Store the jobs, and return them as they are when all are stored."""
    answers: dict[str, str] = {}
    with db.whole():
        for new in jobs:
            answers[new.id] = _answer(db, new, answers)
    db.signals.notify(Channel.READY)
    return [db.jobs[answers[new.id]] for new in jobs]


def _answer(db: Tables, new: NewJob, before: Mapping[str, str]) -> str:
    if new.id in db.jobs:
        return new.id
    # A parent that was itself answered with another job stands for that one.
    parents = tuple(before.get(parent, parent) for parent in new.depends_on)
    for parent in parents:
        if parent not in db.jobs:
            raise DependencyError(
                f"job {new.id} depends on {parent}, which is not there: "
                "enqueue the parent first, or before it in the same batch"
            )
    if new.unique is not None and (holder := _holder(db, new.unique.key)):
        if not _gives_way(holder, new.unique):
            return holder.id
        dependencies.settle(db, [db.put(given_up(holder, "cancelled", db.clock.now()))])
    _insert(db, replace(new, depends_on=parents))
    return new.id


def _holder(db: Tables, key: str) -> Job | None:
    if key not in db.keys:
        return None
    job_id, unique = db.keys[key]
    job = db.jobs[job_id]
    return job if _holds(job, unique, db.clock.now()) else None


def _holds(job: Job, unique: UniqueKey, now: int) -> bool:
    if unique.window is not None:
        return now < job.created_at + round(unique.window * 1000)
    if unique.scope is Scope.PENDING:
        return job.state is State.PENDING and job.lease == 0
    return job.state in LIVE


def holders(db: Tables) -> set[str]:
    """Return the ids of the jobs whose unique keys nobody else can have yet."""
    return {job.id for job in map(partial(_holder, db), db.keys) if job is not None}


def _gives_way(holder: Job, unique: UniqueKey) -> bool:
    if unique.on_conflict is OnConflict.REJECT:
        raise DuplicateJob(unique.key, holder.id)
    return unique.on_conflict is OnConflict.REPLACE and holder.state is State.PENDING


def _insert(db: Tables, asked: NewJob) -> None:
    parents = [db.jobs[parent] for parent in asked.depends_on]
    job = begun(stored(asked, db.clock.now()), asked, parents)
    db.arrive(job)
    if asked.depends_on:
        db.waiters[job.id] = asked
    if asked.unique is not None:
        db.keys[asked.unique.key] = (job.id, asked.unique)
    if asked.lane is not None and asked.lane.limited:
        db.lanes[asked.lane.name] = asked.lane


def retry_dead(db: Tables, new_ids: Mapping[str, str]) -> dict[str, Job]:
    """Put fresh jobs in the places of dead letters."""
    taken = {dead_id: db.letters.pop(dead_id, None) for dead_id in new_ids}
    jobs = [letter.job for letter in taken.values() if letter is not None]
    return _repeat(db, jobs, new_ids)


def replay(db: Tables, new_ids: Mapping[str, str]) -> dict[str, Job]:
    """Put fresh jobs beside those that have ended."""
    jobs = [db.jobs[job_id] for job_id in new_ids if job_id in db.jobs]
    return _repeat(db, [job for job in jobs if job.is_final], new_ids)


def _repeat(db: Tables, jobs: Sequence[Job], new_ids: Mapping[str, str]) -> dict[str, Job]:
    requests = [repeated(job, new_ids[job.id]) for job in jobs]
    now = db.clock.now()
    db.repeats += [
        Repeat(job.id, new_ids[job.id], now) for job in jobs if new_ids[job.id] not in db.jobs
    ]
    return dict(zip((job.id for job in jobs), enqueue(db, requests), strict=True))
