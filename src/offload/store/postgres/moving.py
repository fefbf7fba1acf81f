"""Jobs that leave for another store, or come from one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from offload.core.job import Job, NewJob
from offload.core.parcel import Parcel, arriving
from offload.core.records import DeadLetter
from offload.store.base import Channel
from offload.store.parcels import KINDS, by_job, parcel_of
from offload.store.postgres.arrays import numbers, texts
from offload.store.postgres.connection import Session
from offload.store.postgres.locks import of_key
from offload.store.postgres.operating import remove_beside
from offload.store.postgres.rows import COLUMNS, can_be_there, job_of, job_row
from offload.store.records import json_text, kept_values


async def pack(tx: Session, after: int, limit: int) -> list[Parcel]:
    """Read a page of jobs, and what is kept of them, a statement for each kind."""
    rows = await tx.fetch("packed", after=after, limit=limit)
    seqs = numbers([row[len(COLUMNS)] for row in rows])
    kept = [by_job(await tx.fetch(f"packed_{kind}", seqs=seqs)) for kind in KINDS]
    return [parcel_of(job_of(row), row[len(COLUMNS) :], kept) for row in rows]


async def unpack(tx: Session, parcels: Sequence[Parcel]) -> list[bool]:
    """Insert the jobs that are not there."""
    keys = [each.asked.unique for each in parcels]
    await tx.lock(of_key(key.key) for key in keys if key is not None)
    ((now,),) = await tx.fetch("now")
    tx.channels |= {Channel.READY, Channel.CHANGED}
    return [await _unpack(tx, parcel, now) for parcel in parcels]


async def _unpack(tx: Session, parcel: Parcel, now: int) -> bool:
    """Insert a job as it was, with what came with it; False if it is there."""
    elders = await _elders(tx, parcel.asked.depends_on)
    parents = [elders[each] for each in parcel.asked.depends_on if each in elders]
    job, asked = arriving(parcel, [each for _, each in parents]), await _allowed(tx, parcel.asked)
    row = job_row(job) | kept_values(job, asked, now)
    inserted = await tx.fetch("unpack_job", **row)
    if not inserted:
        return False
    if parents:
        seqs = numbers([seq for seq, _ in parents])
        await tx.fetch("await_parents", seqs=seqs)
        await tx.fetch("insert_dependencies", parents=seqs, id=job.id)
    if asked.lane is not None and asked.lane.limited:
        await tx.fetch("unpack_lane", **asdict(asked.lane), started_at=parcel.lane_started_at)
    await _unpack_records(tx, inserted[0][0], parcel)
    return True


async def _elders(tx: Session, parents: Sequence[str]) -> dict[str, tuple[int, Job]]:
    """Return the parents that are here, each with its seq; none can end before the commit."""
    rows = await tx.fetch("parents", ids=texts(parents)) if parents else []
    return {row[0]: (row[-1], job_of(row)) for row in rows}


async def _allowed(tx: Session, asked: NewJob) -> NewJob:
    """Return what the job may ask for here: its key stays with whoever holds it."""
    if asked.unique is None:
        return asked
    await tx.fetch("drop_key", key=asked.unique.key)
    is_held = await tx.fetch("holder", key=asked.unique.key)
    return replace(asked, unique=None) if is_held else asked


async def _unpack_records(tx: Session, seq: int, parcel: Parcel) -> None:
    for error in parcel.errors:
        await tx.fetch(
            "unpack_error",
            job=seq,
            attempt=error.attempt,
            failed_at=error.failed_at,
            **asdict(error.failure),
        )
    for log in parcel.logs:
        await tx.fetch(
            "unpack_log",
            job=seq,
            attempt=log.attempt,
            level=log.line.level,
            message=log.line.message,
            extra=json_text(log.line.extra),
            logged_at=log.logged_at,
        )
    for part in parcel.parts:
        await tx.fetch(
            "unpack_part",
            job=seq,
            attempt=part.attempt,
            value=part.value,
            published_at=part.published_at,
        )
    for metric in parcel.metrics:
        await tx.fetch("unpack_metric", **asdict(metric) | {"job": seq, "move": metric.move.value})
    for repeat in parcel.repeats:
        await tx.fetch("unpack_repeat", **asdict(repeat))


async def forget(tx: Session, versions: Mapping[str, int]) -> list[bool]:
    """Delete the jobs that are as they were, each after those that depend on it."""
    gone = []
    for job_id, version in versions.items():
        deleted = can_be_there(job_id) and await tx.fetch("forget", id=job_id, version=version)
        if deleted:
            await remove_beside(tx, deleted)
        gone.append(bool(deleted))
    if any(gone):
        tx.channels.add(Channel.CHANGED)
    return gone


async def put_letters(tx: Session, letters: Sequence[DeadLetter]) -> None:
    """Insert the letters that are not there."""
    for letter in letters:
        await tx.fetch("put_letter", **job_row(letter.job))
