"""How jobs come in: in bulk if nothing is special about them, else one after the other."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from offload.core.alike import Alike
from offload.core.errors import DependencyError, DuplicateJob, OffloadError
from offload.core.job import Job, NewJob, begun, stored
from offload.core.lane import Lane
from offload.core.states import State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.base import Channel
from offload.store.records import Row
from offload.store.sqlite.dependencies import cancel_pending
from offload.store.sqlite.rows import job_of, new_row
from offload.store.sqlite.statements import ALIKE, SQL
from offload.store.sqlite.writer import Transaction

Fresh = tuple[NewJob, Job, Row]


def prepared(jobs: Sequence[NewJob], now: int) -> list[Fresh]:
    """Return what is to be stored. Others wait for a transaction: this is done before it."""
    return [(new, job, new_row(new, job)) for new in jobs for job in [stored(new, now)]]


def prepared_alike(jobs: Alike[NewJob], now: int) -> tuple[list[Row], Alike[Job]]:
    """Return what is to be stored of jobs that differ little, and what they will then be.

    A row has several of them for `insert_alike`, or one for `insert_job`, where few are left.
    """
    pattern = stored(jobs.pattern, now)
    _, *shared, _ = new_row(jobs.pattern, pattern)
    own = list(chain.from_iterable(zip(jobs.ids, jobs.payloads, strict=True)))
    rest = len(own) - len(own) % (2 * ALIKE)
    rows = [(*shared, *own[at : at + 2 * ALIKE]) for at in range(0, rest, 2 * ALIKE)]
    rows += [(own[at], *shared, own[at + 1]) for at in range(rest, len(own), 2)]
    return rows, Alike(pattern, jobs.ids, jobs.payloads)


def enqueue_alike(tx: Transaction, rows: list[Row], jobs: Alike[Job]) -> Sequence[Job]:
    """Insert jobs that nothing but their ids can keep out, or find those that are there."""
    full = len(jobs) // ALIKE
    inserted = tx.insert(SQL["insert_alike"], rows[:full])
    inserted += tx.insert(SQL["insert_job"], rows[full:])
    if inserted:
        tx.channels.add(Channel.READY)
    return jobs if inserted == len(jobs) else _read(tx, jobs.ids)


def enqueue(tx: Transaction, fresh: Sequence[Fresh], now: int) -> list[Job]:
    """Insert each job, or find the one that is there already.

    Raises:
        DuplicateJob, DependencyError: as in the port; the transaction is spoiled.
    """
    if _plain(fresh):
        return _bulk(tx, fresh)
    answers: dict[str, str] = {}
    for each in fresh:
        answers[each[0].id] = _one(tx, each, answers, now)
    return _read(tx, [answers[new.id] for new, _, _ in fresh])


def refusable(tx: Transaction, fresh: Sequence[Fresh], now: int) -> list[Job] | OffloadError:
    """Enqueue, but return a refusal, with nothing stored.

    Raised, it would undo what the transaction's other operations did, and run them all again.
    """
    answer: list[Job] | OffloadError = []
    if _plain(fresh):
        return _bulk(tx, fresh)
    try:
        with tx.connection:  # a savepoint
            answer = enqueue(tx, fresh, now)
    except (DuplicateJob, DependencyError) as error:
        answer = error
    return answer


def _plain(fresh: Sequence[Fresh]) -> bool:
    """Say whether nothing but its id can keep out any of these jobs."""
    return all(new.unique is None and not new.depends_on for new, _, _ in fresh)


def _bulk(tx: Transaction, fresh: Sequence[Fresh]) -> list[Job]:
    _put_lanes(tx, fresh)
    inserted = tx.insert(SQL["insert_job"], [row for _, _, row in fresh])
    if inserted:
        tx.channels.add(Channel.READY)
    if inserted == len(fresh):
        return [job for _, job, _ in fresh]
    return _read(tx, [job.id for _, job, _ in fresh])


def _read(tx: Transaction, ids: Sequence[str]) -> list[Job]:
    there = {job.id: job for job in found(tx, ids)}
    return [there[job_id] for job_id in ids]


def found(tx: Transaction, ids: Sequence[str]) -> list[Job]:
    """Return those of these jobs that are stored."""
    return [job_of(row) for row in tx.execute(SQL["get"], {"ids": json.dumps(ids)})]


def _put_lanes(tx: Transaction, fresh: Sequence[Fresh]) -> None:
    asked: dict[str, Lane] = {}
    for new, job, _ in fresh:
        if new.lane is not None:
            asked.setdefault(job.id, new.lane)
    if not asked:
        return
    there = known(tx, list(asked))
    for job_id, lane in asked.items():
        if job_id not in there:
            _put_lane(tx, lane)


def _put_lane(tx: Transaction, lane: Lane) -> None:
    tx.execute(SQL["put_lane"], (lane.name, lane.interval, lane.max_running))


def _one(tx: Transaction, fresh: Fresh, answers: Mapping[str, str], now: int) -> str:
    """Store one job, if nothing stands against it; return the id of the job to answer with."""
    new, job, row = fresh
    if known(tx, [new.id]):
        return new.id
    # A parent that was itself answered with another job stands for that one.
    parents = tuple(answers.get(parent, parent) for parent in new.depends_on)
    _require(tx, new.id, parents)
    if new.unique is not None:
        holder = _holder(tx, new.unique, now)
        if holder is not None:
            return holder
    if parents:
        _insert_dependent(tx, replace(new, depends_on=parents), job)
    else:
        tx.execute(SQL["insert_job"], row)
    if new.lane is not None:
        _put_lane(tx, new.lane)
    tx.channels.add(Channel.READY)
    return new.id


def known(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are stored."""
    return {row[0] for row in tx.execute(SQL["known"], {"ids": json.dumps(ids)})}


def _require(tx: Transaction, job_id: str, parents: Sequence[str]) -> None:
    unknown = set(parents) - known(tx, parents) if parents else ()
    for parent in parents:
        if parent in unknown:
            raise DependencyError(
                f"job {job_id} depends on {parent}, which is not there: "
                "enqueue the parent first, or before it in the same batch"
            )


def _holder(tx: Transaction, unique: UniqueKey, now: int) -> str | None:
    """Return the id of the job that keeps this one out, if there is one."""
    tx.execute(SQL["drop_key"], (unique.key, now))
    rows = tx.execute(SQL["holder"], (unique.key,))
    if not rows:
        return None
    [(holder, state)] = rows
    if unique.on_conflict is OnConflict.REJECT:
        raise DuplicateJob(unique.key, holder)
    if unique.on_conflict is OnConflict.REPLACE and state == State.PENDING:
        cancel_pending(tx, holder, now, drop_key=True)
        return None
    return str(holder)


def _insert_dependent(tx: Transaction, new: NewJob, job: Job) -> None:
    """Insert a job as its parents let it begin: blocked, ready, or cancelled."""
    parents = _read(tx, new.depends_on)
    job = begun(job, new, parents)
    tx.execute(SQL["insert_job"], new_row(new, job))
    places = [(place, job.id, parent.id) for place, parent in enumerate(parents)]
    tx.each(SQL["insert_dependency"], places)
    if job.is_final:
        tx.execute(SQL["stillborn"], (job.error, job.id))
