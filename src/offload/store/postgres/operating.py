"""What operators do: cancel, retry, replay, pause; and how old things go."""

from collections.abc import Mapping, Sequence

from offload.core.job import Job, repeated
from offload.store.base import FORGET_WORKERS, Channel, Pruned
from offload.store.postgres.arrays import numbers, texts
from offload.store.postgres.connection import Session
from offload.store.postgres.dependencies import cancel_pending
from offload.store.postgres.enqueueing import enqueue
from offload.store.postgres.rows import can_be_there, job_of
from offload.store.records import Row

RECORDS = ("errors", "logs", "metrics")
Ages = tuple[float | None, float | None, float | None]


async def cancel(tx: Session, job_id: str, *, running: bool) -> bool:
    """Cancel a pending job, or mark a running one as asked to stop."""
    if not running:
        return await cancel_pending(tx, job_id)
    asked = await tx.fetch("cancel_running", id=job_id)
    if asked:
        tx.channels |= {Channel.CONTROL, Channel.CHANGED}
    return bool(asked)


async def repeat(tx: Session, source: str, new_ids: Mapping[str, str]) -> dict[str, Job]:
    """Enqueue a fresh job for each one that the statement `source` finds, and record it."""
    ids = texts(filter(can_be_there, new_ids))
    found = {row[0]: job_of(row) for row in await tx.fetch(source, ids=ids)}
    ended = [found[job_id] for job_id in new_ids if job_id in found]
    new = [repeated(job, new_ids[job.id]) for job in ended]
    # Before they are there: a repeated call repeats nothing.
    await tx.fetch(
        "insert_repeats",
        origins=texts([each.origin for each in new]),
        ids=texts([each.id for each in new]),
    )
    jobs = await enqueue(tx, new)
    return {job.id: fresh for job, fresh in zip(ended, jobs, strict=True)}


async def set_paused(session: Session, queue: str, *, paused: bool) -> bool:
    """Keep a row for each queue that is paused; once that is so, no claim takes its jobs."""
    if paused:
        await session.fetch("await_claims")
    changed = await session.fetch("pause" if paused else "resume", name=queue)
    if changed and not paused:
        session.channels.add(Channel.READY)
    return bool(changed)


async def prune(tx: Session, ages: Ages, limit: int) -> Pruned:
    """Remove finished jobs, dead letters and records older than their ages in seconds."""
    await tx.fetch("prune_workers", forget=FORGET_WORKERS)
    ((now,),) = await tx.fetch("now")
    jobs, dead, records = (None if age is None else now - round(age * 1000) for age in ages)
    gone, removed = await _prune_jobs(tx, jobs, limit)
    letters = len(await tx.fetch("prune_dead_letters", before=dead, limit=limit))
    left = limit
    for kind in RECORDS:
        left -= len(await tx.fetch(f"prune_{kind}", before=records, limit=left))
    return Pruned(gone, letters, removed + limit - left)


async def _prune_jobs(tx: Session, before: int | None, limit: int) -> tuple[int, int]:
    """Delete jobs and what is kept of them; return how many they and their records were."""
    old = await tx.fetch("outlived_jobs", limit=limit)
    old += await tx.fetch("old_jobs", before=before, limit=limit - len(old))
    if not old:
        return 0, 0
    gone = await tx.fetch("prune_jobs", seqs=numbers([seq for (seq,) in old]))
    tx.channels.add(Channel.CHANGED)
    return len(gone), await remove_beside(tx, gone)


async def remove_beside(tx: Session, gone: Sequence[Row]) -> int:
    """Delete what was kept of jobs (seq, id, origin); return how many records that were."""
    seqs, ids = numbers([seq for seq, _, _ in gone]), texts([job_id for _, job_id, _ in gone])
    origins = texts([origin for _, _, origin in gone if origin is not None])
    ((records,),) = await tx.fetch("prune_beside", seqs=seqs, ids=ids, origins=origins)
    return int(records)
