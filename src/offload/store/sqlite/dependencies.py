"""What the end of a job means for those that wait for it."""

import json
from collections import deque
from collections.abc import Iterable, Sequence

from offload.core.job import Inputs, fed, orphaned
from offload.core.states import State
from offload.store.base import Channel
from offload.store.sqlite.rows import job_of
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


def settle(tx: Transaction, ended: Sequence[int], now: int) -> None:
    """Tell the jobs that wait for these, then those that wait for whom that cancels, and so on.

    Every path on which a job ends leads here, in the same transaction. `ended` are seqs.
    """
    told = deque(waited_for(tx, ended))
    while told:
        told += _settle_one(tx, told.popleft(), now)


def waited_for(tx: Transaction, seqs: Iterable[int]) -> list[int]:
    """Return those of these jobs for which somebody waits: of most stores, nobody ever does."""
    if not tx.execute(SQL["anybody_waits"])[0][0]:
        return []
    return [seq for (seq,) in tx.execute(SQL["waited_for"], (json.dumps(list(seqs)),))]


def _settle_one(tx: Transaction, parent: int, now: int) -> list[int]:
    """Tell those that wait for one job; return which of them ended for it."""
    ended = job_of(tx.execute(SQL["job_at"], (parent,))[0])
    waiting = [seq for (seq,) in tx.execute(SQL["blocked_by"], (parent,))]
    orphans: list[int] = []
    if ended.state is not State.COMPLETE:
        gone = [(now, orphaned(ended), seq) for seq in waiting]
        orphans = [seq for (seq,) in tx.each(SQL["orphan"], gone)]
    for freed in tx.each(SQL["unblock"], [(now, seq) for seq in waiting]):
        _unblocked(tx, *freed)
    tx.channels.add(Channel.CHANGED)
    return orphans


def _unblocked(tx: Transaction, seq: int, blockers: int, inputs: str, payload: bytes) -> None:
    if blockers:
        return
    tx.channels.add(Channel.READY)
    if inputs != Inputs.NONE:
        results = [result for (result,) in tx.execute(SQL["results"], (seq,))]
        tx.execute(SQL["feed"], (fed(payload, Inputs(inputs), results), seq))


def cancel_pending(tx: Transaction, job_id: str, now: int, *, drop_key: bool = False) -> bool:
    """Cancel a job if it is pending; with `drop_key` it gives up its key even for a window."""
    values = {"id": job_id, "now": now, "drop": drop_key}
    ended = tx.execute(SQL["cancel_pending"], values)
    if ended:
        tx.channels.add(Channel.CHANGED)
        settle(tx, [seq for (seq,) in ended], now)
    return bool(ended)
