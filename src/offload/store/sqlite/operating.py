"""What operators do: cancel, retry, replay, pause; and how old things go."""

from collections.abc import Mapping

from offload.core.job import Job, repeated
from offload.core.states import FINAL
from offload.store.base import Channel, Pruned
from offload.store.sqlite.dependencies import cancel_pending
from offload.store.sqlite.enqueueing import enqueue, prepared
from offload.store.sqlite.rows import job_of
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction

RECORDS = ("errors", "logs", "metrics")


def cancel(tx: Transaction, job_id: str, now: int, *, running: bool) -> bool:
    """Cancel a pending job, or mark a running one as asked to stop."""
    if not running:
        return cancel_pending(tx, job_id, now)
    channels = (Channel.CONTROL, Channel.CHANGED)
    return bool(tx.changed(SQL["cancel_running"], {"id": job_id}, *channels))


def repeat(tx: Transaction, source: str, new_ids: Mapping[str, str], now: int) -> dict[str, Job]:
    """Enqueue a fresh job for each one that the statement `source` finds, and record it."""
    ended = [job_of(row) for row in tx.each(SQL[source], [(job_id,) for job_id in new_ids])]
    new = [repeated(job, new_ids[job.id]) for job in ended]
    # Before they are there: a repeated call repeats nothing.
    tx.each(SQL["insert_repeat"], [(each.origin, each.id, now, each.id) for each in new])
    jobs = enqueue(tx, prepared(new, now), now)
    return {job.id: fresh for job, fresh in zip(ended, jobs, strict=True)}


def set_paused(tx: Transaction, queue: str, now: int, *, paused: bool) -> bool:
    """Keep a row for each queue that is paused."""
    if paused:
        return bool(tx.changed(SQL["pause"], {"name": queue, "now": now}))
    return bool(tx.changed(SQL["resume"], {"name": queue}, Channel.READY))


def prune(
    tx: Transaction,
    ages: tuple[float | None, float | None, float | None],
    limit: int,
    now: int,
) -> Pruned:
    """Remove finished jobs, dead letters and records older than their ages in seconds."""
    jobs, dead, records = (None if age is None else now - round(age * 1000) for age in ages)
    gone = _old_jobs(tx, jobs, limit, now)
    removed = remove(tx, gone)
    if gone:
        tx.channels.add(Channel.CHANGED)
    letters = tx.changed(SQL["prune_dead_letters"], {"before": dead, "limit": limit})
    left = limit
    for kind in RECORDS:
        left -= tx.changed(SQL[f"prune_{kind}"], {"before": records, "limit": left})
    return Pruned(len(gone), letters, removed + limit - left)


def _old_jobs(tx: Transaction, before: int | None, limit: int, now: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for statement in ("outlived_jobs", "old_jobs"):
        for state in FINAL:
            values = {"state": state, "before": before, "now": now, "limit": limit - len(found)}
            found += [(seq, job_id) for seq, job_id in tx.execute(SQL[statement], values)]
    return found


def remove(tx: Transaction, gone: list[tuple[int, str]]) -> int:
    """Delete jobs and what is kept of them; return how many errors, logs and metrics those were."""
    seqs = [(seq,) for seq, _ in gone]
    records = sum(tx.insert(SQL[f"prune_{kind}_of"], seqs) for kind in RECORDS)
    for kind in ("parts", "dependencies", "dependents"):
        tx.each(SQL[f"prune_{kind}_of"], seqs)
    tx.each(SQL["prune_repeats_of"], [(job_id,) for _, job_id in gone])
    tx.each(SQL["prune_repeats_with"], seqs)
    tx.each(SQL["prune_job"], seqs)
    return records
