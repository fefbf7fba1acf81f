"""How jobs come in: in bulk if nothing is special about them, else one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg.errors import UniqueViolation

from offload.core.alike import Alike
from offload.core.errors import DependencyError, DuplicateJob
from offload.core.job import Job, NewJob, begun, stored
from offload.core.lane import Lane
from offload.core.states import State
from offload.core.unique import OnConflict, UniqueKey
from offload.store.base import Channel
from offload.store.postgres.arrays import numbers, texts
from offload.store.postgres.connection import Session
from offload.store.postgres.copying import block_of
from offload.store.postgres.dependencies import cancel_pending
from offload.store.postgres.locks import of_key
from offload.store.postgres.rows import JOBS, job_of

COPY_FROM = 200
"""Jobs from which on the server takes them in a stream."""


def all_plain(jobs: Sequence[NewJob]) -> bool:
    """Say whether nothing but its id can keep out any of these; of alike jobs, one tells."""
    asked = [jobs.pattern] if isinstance(jobs, Alike) else jobs
    return all(new.unique is None and not new.depends_on for new in asked)


def has_lanes(jobs: Sequence[NewJob]) -> bool:
    """Say whether any of them has a lane, whose limits come with it."""
    asked = [jobs.pattern] if isinstance(jobs, Alike) else jobs
    return any(new.lane is not None for new in asked)


async def insert(session: Session, jobs: Sequence[NewJob]) -> list[Job]:
    """Insert plain jobs in one statement, or find those that are there.

    Those with a lane need a transaction around it.
    """
    known: dict[str, Job] = {}
    first: dict[str, NewJob] = {}
    inserted: list[NewJob] = []
    for new in jobs:
        first.setdefault(new.id, new)
    # A job that was found there may be pruned before it is read.
    while missing := [new for job_id, new in first.items() if job_id not in known]:
        rows = await session.fetch_for(
            JOBS, "insert_jobs", missing, tells=Channel.READY, early=True, blockers=0
        )
        known |= {job_id: stored(first[job_id], created) for job_id, created in rows}
        inserted += [first[job_id] for job_id, _ in rows]
        if rows:
            session.channels.add(Channel.READY)
        if len(known) < len(first):
            await session.fetch("flush")  # who stored them may not know yet that the disk has them
            rest = [new.id for new in missing if new.id not in known]
            known |= {job.id: job for job in await read(session, rest)}
    await _put_lanes(session, [new.lane for new in inserted if new.lane is not None])
    return [known[new.id] for new in jobs]


async def stream(session: Session, jobs: Sequence[NewJob]) -> Sequence[Job]:
    """Insert many plain jobs, all or none, as a stream; if some are there already, as statements.

    Jobs that are alike are answered alike.
    """
    async with session.transaction():
        ((now,),) = await session.fetch("now")
        session.channels.add(Channel.READY)
        try:
            async with session.savepoint():
                await session.copy("copy_jobs", block_of(jobs, now))
            asked = [jobs.pattern] if isinstance(jobs, Alike) else jobs
            await _put_lanes(session, [new.lane for new in asked if new.lane is not None])
        except UniqueViolation:
            parts = [jobs[n : n + COPY_FROM] for n in range(0, len(jobs), COPY_FROM)]
            return [job for part in parts for job in await insert(session, part)]
    if isinstance(jobs, Alike):
        return Alike(stored(jobs.pattern, now), jobs.ids, jobs.payloads)
    return [stored(new, now) for new in jobs]


async def enqueue(tx: Session, jobs: Sequence[NewJob]) -> list[Job]:
    """Insert each job, or find the one that is there already, inside a transaction.

    Raises:
        DuplicateJob, DependencyError: as in the port.
    """
    if all_plain(jobs):
        return await insert(tx, jobs)
    await tx.lock(of_key(new.unique.key) for new in jobs if new.unique is not None)
    answers: dict[str, str] = {}
    lanes: list[Lane] = []
    for new in jobs:
        answers[new.id] = await _one(tx, new, answers, lanes)
    await _put_lanes(tx, lanes)
    tx.channels.add(Channel.READY)
    there = {job.id: job for job in await read(tx, list(answers.values()))}
    return [there[answers[new.id]] for new in jobs]


async def read(session: Session, ids: Sequence[str]) -> list[Job]:
    """Return those of these jobs that are there."""
    return [job_of(row) for row in await session.fetch("get", ids=texts(ids))]


async def _one(tx: Session, new: NewJob, answers: Mapping[str, str], lanes: list[Lane]) -> str:
    """Store one job, if nothing stands against it; return the id of the job to answer with."""
    if await tx.fetch("known", ids=texts([new.id])):
        await tx.fetch("flush")
        return new.id
    # A parent that was itself answered with another job stands for that one.
    parents = tuple(answers.get(parent, parent) for parent in new.depends_on)
    elders = await _require(tx, new.id, parents)
    if new.unique is not None:
        holder = await _holder(tx, new.unique)
        if holder is not None:
            return holder
        elders = await _require(tx, new.id, parents)  # who gave way may be one of them
    asked = replace(new, depends_on=parents)
    inserted = await (_insert_dependent(tx, asked, elders) if parents else _insert(tx, asked))
    if inserted and new.lane is not None:
        lanes.append(new.lane)
    return new.id


async def _insert(tx: Session, new: NewJob, blockers: int = 0) -> bool:
    return bool(await tx.fetch_for(JOBS, "insert_jobs", [new], blockers=blockers))


async def _require(tx: Session, job_id: str, parents: Sequence[str]) -> dict[str, tuple[int, Job]]:
    """Return the parents by id, each with its seq; none of them can end before the commit."""
    rows = await tx.fetch("parents", ids=texts(parents)) if parents else []
    elders = {row[0]: (row[-1], job_of(row)) for row in rows}
    for parent in parents:
        if parent not in elders:
            raise DependencyError(
                f"job {job_id} depends on {parent}, which is not there: "
                "enqueue the parent first, or before it in the same batch"
            )
    return elders


async def _holder(tx: Session, unique: UniqueKey) -> str | None:
    """Return the id of the job that keeps this one out, if there is one."""
    await tx.fetch("drop_key", key=unique.key)
    while rows := await tx.fetch("holder", key=unique.key):
        [(holder, state)] = rows
        if unique.on_conflict is OnConflict.REJECT:
            raise DuplicateJob(unique.key, holder)
        if unique.on_conflict is not OnConflict.REPLACE or state != State.PENDING:
            return str(holder)
        # If it was claimed at this moment, it is looked at again.
        if await cancel_pending(tx, holder, drop_key=True):
            return None
    return None


async def _insert_dependent(
    tx: Session, new: NewJob, elders: Mapping[str, tuple[int, Job]]
) -> bool:
    """Insert a job as its parents let it begin: blocked, ready, or cancelled."""
    job = begun(stored(new, 0), new, [elders[parent][1] for parent in new.depends_on])
    seqs = numbers([elders[parent][0] for parent in new.depends_on])
    if not await _insert(tx, replace(new, payload=job.payload), job.blockers):
        return False
    await tx.fetch("await_parents", seqs=seqs)
    await tx.fetch("insert_dependencies", parents=seqs, id=new.id)
    if job.is_final:
        await tx.fetch("stillborn", error=job.error, id=new.id)
    return True


async def _put_lanes(tx: Session, lanes: Sequence[Lane]) -> None:
    """Give each lane its newest limits; those that stay as they are, are not even locked."""
    newest: dict[str, Lane] = {}
    for lane in lanes:
        if lane.limited or lane.name not in newest:
            newest[lane.name] = lane
    if not newest:
        return
    rows = await tx.fetch("lanes", names=texts(newest))
    there = {name: Lane(name, interval, max_running) for name, interval, max_running in rows}
    for name, lane in sorted(newest.items()):
        if name not in there or (lane.limited and lane != there[name]):
            await tx.fetch(
                "put_lane", name=name, interval=lane.interval, max_running=lane.max_running
            )
