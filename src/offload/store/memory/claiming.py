"""Who may start now, and when the next one may."""

from collections.abc import Sequence
from dataclasses import replace

from offload.core.job import Job
from offload.core.lane import opens_at
from offload.core.states import Move, State, target
from offload.store.base import Claim
from offload.store.memory.dependencies import settle
from offload.store.memory.tables import Tables, given_up


def claim(db: Tables, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
    """Take the first jobs that may start, by priority, due time and age."""
    now = db.clock.now()
    _expire(db, now)
    for job in _waiting(db, queues):
        db.line_up(job)
    taken: list[Job] = []
    for job in sorted(_waiting(db, queues), key=lambda job: (-job.priority, job.run_at)):
        if len(taken) < limit and job.id in db.due and _has_place(db, job.lane, now):
            taken.append(_claimed(db, job, worker, now))
    return Claim(taken, _next_due(db, _waiting(db, queues), now))


def claim_these(db: Tables, worker: str, ids: Sequence[str]) -> list[Job]:
    """Take these jobs if nothing but time, or others before them, keeps them from starting."""
    now = db.clock.now()
    _expire(db, now)
    return [
        _claimed(db, job, worker, now)
        for job in _waiting(db, None)
        if job.id in ids and _has_place(db, job.lane, now)
    ]


def _expire(db: Tables, now: int) -> None:
    expired = [
        db.put(given_up(job, "expired", now, Move.EXPIRE))
        for job in list(db.jobs.values())
        if job.state is State.PENDING and job.expires_at is not None and job.expires_at <= now
    ]
    settle(db, expired)


def _waiting(db: Tables, queues: Sequence[str] | None) -> list[Job]:
    return [
        job
        for job in db.jobs.values()
        if job.state is State.PENDING
        and not job.blockers
        and job.queue not in db.paused
        and (queues is None or job.queue in queues)
    ]


def _claimed(db: Tables, job: Job, worker: str, now: int) -> Job:
    if job.lane is not None:
        db.starts[job.lane] = now
    return db.put(
        replace(
            job,
            state=target(job.state, Move.CLAIM),
            attempt=job.attempt + 1,
            lease=job.lease + 1,
            worker=worker,
            started_at=now,
            progress=None,
            message=None,
            data=None,
        )
    )


def _has_place(db: Tables, lane: str | None, now: int) -> bool:
    return not _is_full(db, lane) and _opens_at(db, lane, now) <= now


def _is_full(db: Tables, lane: str | None) -> bool:
    limits = db.lanes.get(lane or "")
    if limits is None or limits.max_running is None:
        return False
    running = [job for job in db.jobs.values() if job.lane == lane and job.state is State.RUNNING]
    return len(running) >= limits.max_running


def _opens_at(db: Tables, lane: str | None, now: int) -> int:
    limits, last = db.lanes.get(lane or ""), db.starts.get(lane or "")
    return now if limits is None else opens_at(limits.interval, last, now)


def _next_due(db: Tables, waiting: Sequence[Job], now: int) -> float | None:
    """Return the seconds until time alone lets another job start."""
    closed = [job.lane for job in waiting if job.id in db.due and not _is_full(db, job.lane)]
    opening = [_opens_at(db, lane, now) for lane in closed]
    dues = [due for due in opening if due > now]
    dues += [job.run_at for job in waiting if job.id not in db.due]
    return min(((due - now) / 1000 for due in dues), default=None)
