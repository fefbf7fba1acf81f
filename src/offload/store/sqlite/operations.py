"""What the writer does in a transaction: each function is one atomic step of the port."""

import json
from collections.abc import Sequence
from typing import Any

from offload.core.job import Job, NewJob, repeated, stored
from offload.core.records import Finish, Report
from offload.core.states import Move, State, target
from offload.store.base import Channel, Claim, Pruned
from offload.store.sql import load
from offload.store.sqlite.rows import JOB, JOBS_JOB, job_of, new_row
from offload.store.sqlite.writer import Transaction

SQL = load("offload.store.sqlite.sql", job=JOB, jobs_job=JOBS_JOB)


def enqueue(tx: Transaction, jobs: Sequence[NewJob], now: int) -> list[Job]:
    """Insert each job, or find the one that is there already."""
    fresh = [stored(new, now) for new in jobs]
    inserted = tx.insert(SQL["insert_job"], [new_row(job) for job in fresh])
    if inserted:
        tx.channels.add(Channel.READY)
    return fresh if inserted == len(fresh) else [_there(tx, job) for job in fresh]


def _there(tx: Transaction, job: Job) -> Job:
    """Return the job under this id, or else the one that holds its unique key."""
    keys = {"id": job.id, "unique_key": job.unique_key}
    (row,) = tx.execute(SQL["existing_job"], keys)
    return job_of(row)


def claim(
    tx: Transaction, worker: str, queues: Sequence[str] | None, limit: int, now: int
) -> Claim:
    """Promote what has become due, then take the first ready jobs."""
    tx.changed(SQL["expire"], {"now": now}, Channel.CHANGED)
    tx.changed(SQL["promote"], {"now": now})
    seqs = _first_ready(tx, queues, limit, now)
    rows = []
    if seqs:
        bindings = {"seqs": json.dumps(seqs), "worker": worker, "now": now}
        rows = tx.execute(SQL["claim"], bindings)
        tx.channels.add(Channel.CHANGED)
    order = {seq: place for place, seq in enumerate(seqs)}
    rows.sort(key=lambda row: order[row[-1]])  # RETURNING promises no order
    return Claim([job_of(row) for row in rows], _next_due(tx, queues, now))


def _first_ready(tx: Transaction, queues: Sequence[str] | None, limit: int, now: int) -> list[int]:
    if queues is None:
        queues = [row[0] for row in tx.execute(SQL["ready_queues"], {})]
    found: list[tuple[Any, ...]] = []
    for queue in queues:
        found += tx.execute(SQL["first_ready"], {"queue": queue, "limit": limit, "now": now})
    return [seq for _, _, seq in sorted(found)[:limit]]


def _next_due(tx: Transaction, queues: Sequence[str] | None, now: int) -> float | None:
    if queues is None:
        ((due,),) = tx.execute(SQL["next_due"], {})
    else:
        ((due,),) = tx.execute(SQL["next_due_of"], {"queues": json.dumps(list(queues))})
    return None if due is None else max(0.0, (due - now) / 1000)


def finish(tx: Transaction, finishes: Sequence[Finish], now: int) -> list[bool]:
    """Apply each ending that its fence lets through, with its error record and dead letter."""
    return [_finish_one(tx, finish, now) for finish in finishes]


def _finish_one(tx: Transaction, finish: Finish, now: int) -> bool:
    state = target(State.RUNNING, finish.move)
    moved = _moved(tx, finish, state, now)
    if not moved and state is State.PENDING:
        # Refused by the fence, and then by this one too, or because it was asked to stop.
        moved = _moved(tx, finish.stopped(), State.CANCELLED, now)
    if not moved:
        return False
    failure = finish.failure
    if failure is not None and finish.move is not Move.CANCEL:
        values = {"type": failure.type, "message": failure.message, "traceback": failure.traceback}
        tx.execute(SQL["insert_error"], {"id": finish.job_id, "now": now, **values})
    if state is State.DEAD:
        tx.execute(SQL["insert_dead_letter"], {"id": finish.job_id})
    return True


def _moved(tx: Transaction, finish: Finish, state: State, now: int) -> bool:
    values: dict[str, Any] = {"id": finish.job_id, "lease": finish.lease, "now": now}
    if state is State.COMPLETE:
        values["result"] = finish.result
        return bool(tx.changed(SQL["finish_complete"], values, Channel.CHANGED))
    values |= {"error": finish.error, "crashed": int(finish.crashed)}
    if state is State.PENDING:
        values["release"] = int(finish.gives_back_attempt)
        values["run_at"] = now + round(finish.delay * 1000)
        return bool(tx.changed(SQL["finish_again"], values, Channel.CHANGED, Channel.READY))
    values["state"] = str(state)
    return bool(tx.changed(SQL["finish_end"], values, Channel.CHANGED))


def report(tx: Transaction, reports: Sequence[Report]) -> list[bool]:
    """Store the progress of the jobs whose lease is still the newest."""
    return [
        bool(
            tx.changed(
                SQL["report"],
                {"id": news.job_id, "lease": news.lease, "progress": news.progress},
                Channel.CHANGED,
            )
        )
        for news in reports
    ]


def cancel(tx: Transaction, job_id: str, now: int, *, running: bool) -> bool:
    """Cancel a pending job, or mark a running one as asked to stop."""
    if running:
        channels = (Channel.CONTROL, Channel.CHANGED)
        return bool(tx.changed(SQL["cancel_running"], {"id": job_id}, *channels))
    values = {"id": job_id, "now": now}
    return bool(tx.changed(SQL["cancel_pending"], values, Channel.CHANGED))


def retry_dead(tx: Transaction, dead_id: str, new_id: str, now: int) -> Job | None:
    """Put a fresh job in the place of a dead letter."""
    rows = tx.execute(SQL["take_dead_letter"], {"id": dead_id})
    if not rows:
        return None
    return enqueue(tx, [repeated(job_of(rows[0]), new_id)], now)[0]


def prune(
    tx: Transaction,
    ages: tuple[float | None, float | None, float | None],
    limit: int,
    now: int,
) -> Pruned:
    """Remove finished jobs, dead letters and error records older than their ages in seconds."""
    jobs_age, dead_age, errors_age = ages
    ids = [row[0] for row in tx.execute(SQL["prune_jobs"], _before(jobs_age, limit, now))]
    errors = tx.changed(SQL["prune_errors_of"], {"ids": json.dumps(ids)}) if ids else 0
    dead = tx.changed(SQL["prune_dead_letters"], _before(dead_age, limit, now))
    errors += tx.changed(SQL["prune_errors"], _before(errors_age, limit, now))
    if ids:
        tx.channels.add(Channel.CHANGED)
    return Pruned(len(ids), dead, errors)


def _before(age: float | None, limit: int, now: int) -> dict[str, Any]:
    # Nothing is older than NULL.
    before = None if age is None else now - round(age * 1000)
    return {"before": before, "limit": limit, "now": now}
