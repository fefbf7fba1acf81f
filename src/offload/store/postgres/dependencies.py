"""What the end of a job means for those that wait for it."""

from collections import deque
from collections.abc import Iterable, Sequence

from offload.core.job import Inputs, fed, orphaned
from offload.core.states import State
from offload.store.base import Channel
from offload.store.postgres.arrays import numbers
from offload.store.postgres.connection import Session
from offload.store.postgres.rows import job_of


async def settle(tx: Session, ended: Iterable[int]) -> None:
    """Tell the jobs that wait for these, then those that wait for whom that cancels, and so on.

    Every path on which an awaited job ends leads here, in the same transaction. `ended` are seqs.
    """
    told = deque(sorted(ended))
    while told:
        told += await _settle_one(tx, told.popleft())


async def _settle_one(tx: Session, parent: int) -> list[int]:
    """Tell those that wait for one job; return which of them ended for it and are awaited."""
    waiting = numbers([seq for (seq,) in await tx.fetch("blocked_by", parent=parent)])
    await tx.fetch("lock_blocked", seqs=waiting)
    ended = job_of((await tx.fetch("job_at", seq=parent))[0])
    orphans = []
    if ended.state is not State.COMPLETE:
        orphans = await tx.fetch("orphan", seqs=waiting, error=orphaned(ended))
    for freed in await tx.fetch("unblock", seqs=waiting):
        await _unblocked(tx, *freed)
    tx.channels.add(Channel.CHANGED)
    return sorted(seq for seq, awaited in orphans if awaited)


async def _unblocked(tx: Session, seq: int, blockers: int, inputs: str, payload: bytes) -> None:
    if blockers:
        return
    tx.channels.add(Channel.READY)
    if inputs != Inputs.NONE:
        results: Sequence[bytes] = [row[0] for row in await tx.fetch("results", seq=seq)]
        await tx.fetch("feed", payload=fed(payload, Inputs(inputs), results), seq=seq)


async def cancel_pending(tx: Session, job_id: str, *, drop_key: bool = False) -> bool:
    """Cancel a job if it is pending; with `drop_key` it gives up its key even for a window."""
    ended = await tx.fetch("cancel_pending", id=job_id, drop=drop_key)
    if ended:
        tx.channels.add(Channel.CHANGED)
        await settle(tx, [seq for seq, awaited in ended if awaited])
    return bool(ended)
