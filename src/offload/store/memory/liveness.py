"""Who is there: workers and the holders of locks, by the clock that nobody can set."""

from collections.abc import Iterator
from dataclasses import replace

from offload.core.records import Held
from offload.core.states import State
from offload.store.base import Beat, Lapse, WorkerRow
from offload.store.memory.tables import Lock, Seen, Tables


def heartbeat(db: Tables, beat: Beat) -> list[Held]:
    """Note the beat, and return what the worker holds."""
    known = db.workers.get(beat.worker)
    started = known.started_at if known else db.clock.now()
    db.workers[beat.worker] = Seen(beat, started, db.clock.boot(), db.clock.ticks())
    return [
        Held(job.id, job.lease, job.cancel_requested)
        for job in db.jobs.values()
        if job.state is State.RUNNING and job.worker == beat.worker
    ]


def lapsed(db: Tables) -> Iterator[Lapse]:
    """Return the running jobs of workers that are silent or unknown."""
    for job in db.jobs.values():
        if job.state is State.RUNNING:
            reason = _silent(db, job.worker or "")
            if reason:
                yield Lapse(job, reason)


def _silent(db: Tables, worker: str) -> str | None:
    seen = db.workers.get(worker)
    if seen is None:
        return f"worker {worker} is gone"
    if seen.boot != db.clock.boot():
        return f"worker {worker} ended with the machine"
    age = db.clock.ticks() - seen.ticks
    return f"worker {worker} was silent for {age:.0f} s" if age > seen.beat.lease else None


def workers(db: Tables) -> list[WorkerRow]:
    """Return the known workers."""
    return [
        WorkerRow(
            id=name,
            host=seen.beat.host,
            pid=seen.beat.pid,
            queues=seen.beat.queues,
            concurrency=seen.beat.concurrency,
            started_at=seen.started_at,
            age=db.clock.ticks() - seen.ticks,
            alive=_silent(db, name) is None,
        )
        for name, seen in db.workers.items()
    ]


def acquire(db: Tables, name: str, owner: str, ttl: float) -> int | None:
    """Give the lock to a new holder under a new token, or extend it under the same."""
    lock = db.locks.get(name, Lock(0, None, 0.0, "", 0.0))
    held = _is_held(db, lock)
    if held and lock.owner != owner:
        return None
    token = lock.token if held else lock.token + 1
    db.locks[name] = Lock(token, owner, ttl, db.clock.boot(), db.clock.ticks())
    return token


def release(db: Tables, name: str, owner: str) -> bool:
    """Let go of the lock, but not of its token: the next holder's must be higher."""
    lock = db.locks.get(name)
    if lock is None or lock.owner != owner or not _is_held(db, lock):
        return False
    db.locks[name] = replace(lock, owner=None)
    return True


def _is_held(db: Tables, lock: Lock) -> bool:
    passed = db.clock.ticks() - lock.ticks
    return lock.owner is not None and lock.boot == db.clock.boot() and passed < lock.ttl
