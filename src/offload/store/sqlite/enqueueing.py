"""How jobs come in: in bulk if nothing is special about them, else one after the other."""

import json
from collections.abc import Sequence

from offload.core.errors import DependencyError, DuplicateJob, OffloadError
from offload.core.job import Job, NewJob, stored
from offload.core.lane import Lane
from offload.core.states import State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.base import Channel
from offload.store.sqlite.dependencies import cancel_pending, settle
from offload.store.sqlite.rows import Row, job_of, new_row
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction

Fresh = tuple[NewJob, Job, Row]


def prepared(jobs: Sequence[NewJob], now: int) -> list[Fresh]:
    """Return what is to be stored. Others wait for a transaction: this is done before it."""
    return [(new, job, new_row(new, job)) for new in jobs for job in [stored(new, now)]]


def enqueue(tx: Transaction, fresh: Sequence[Fresh], now: int) -> list[Job]:
    """Insert each job, or find the one that is there already.

    Raises:
        DuplicateJob, DependencyError: as in the port; the transaction is spoiled.
    """
    if any(new.unique is not None or new.depends_on for new, _, _ in fresh):
        return [_one(tx, each, now) for each in fresh]
    return _bulk(tx, fresh)


def refusable(tx: Transaction, fresh: Sequence[Fresh], now: int) -> list[Job] | OffloadError:
    """Enqueue, but return a refusal, with nothing stored.

    Raised, it would undo what the transaction's other operations did, and run them all again.
    """
    try:
        with tx.connection:  # a savepoint
            return enqueue(tx, fresh, now)
    except (DuplicateJob, DependencyError) as error:
        return error


def _bulk(tx: Transaction, fresh: Sequence[Fresh]) -> list[Job]:
    _put_lanes(tx, fresh)
    inserted = tx.insert(SQL["insert_job"], [row for _, _, row in fresh])
    if inserted:
        tx.channels.add(Channel.READY)
    if inserted == len(fresh):
        return [job for _, job, _ in fresh]
    ids = [job.id for _, job, _ in fresh]
    there = {row[0]: job_of(row) for row in tx.execute(SQL["get"], {"ids": json.dumps(ids)})}
    return [there[job_id] for job_id in ids]


def _put_lanes(tx: Transaction, fresh: Sequence[Fresh]) -> None:
    asked = {job.id: new.lane for new, job, _ in reversed(fresh) if new.lane is not None}
    if not asked:
        return
    known = {row[0] for row in tx.execute(SQL["known"], {"ids": json.dumps(list(asked))})}
    for job_id, lane in reversed(asked.items()):
        if job_id not in known:
            _put_lane(tx, lane)


def _put_lane(tx: Transaction, lane: Lane) -> None:
    tx.execute(SQL["put_lane"], (lane.name, lane.interval, lane.max_running))


def _one(tx: Transaction, fresh: Fresh, now: int) -> Job:
    new, job, row = fresh
    there = tx.execute(SQL["job"], (new.id,))
    if there:
        return job_of(there[0])
    if new.unique is not None:
        holder = _holder(tx, new, new.unique, now)
        if holder is not None:
            return holder
    ended = _ended_parents(tx, new)
    tx.execute(SQL["insert_job"], row)
    if new.lane is not None:
        _put_lane(tx, new.lane)
    tx.channels.add(Channel.READY)
    if not new.depends_on:
        return job
    tx.each(SQL["insert_dependency"], [(*place, new.id) for place in enumerate(new.depends_on)])
    settle(tx, ended, now)
    return job_of(tx.execute(SQL["job"], (new.id,))[0])


def _holder(tx: Transaction, new: NewJob, unique: UniqueKey, now: int) -> Job | None:
    """Return the job that keeps `new` out, if there is one."""
    tx.execute(SQL["drop_key"], (unique.key, now))
    rows = tx.execute(SQL["holder"], (unique.key,))
    if not rows:
        return None
    holder = job_of(rows[0])
    if unique.on_conflict is OnConflict.REJECT:
        raise DuplicateJob(unique.key, holder.id)
    if unique.on_conflict is OnConflict.REPLACE and holder.state is State.PENDING:
        cancel_pending(tx, holder.id, now, error=f"replaced by {new.id}", drop_key=True)
        return None
    return holder


def _ended_parents(tx: Transaction, new: NewJob) -> list[str]:
    ended = []
    for parent in new.depends_on:
        rows = tx.execute(SQL["is_final"], (parent,))
        if not rows:
            raise DependencyError(
                f"job {new.id} cannot wait for job {parent}, which is not there: "
                "enqueue it before, or earlier in the same batch"
            )
        if rows[0][0]:
            ended.append(parent)
    return ended
