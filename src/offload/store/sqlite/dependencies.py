"""What the end of a job means for those that waited for it."""

import json
from collections import Counter, deque
from collections.abc import Sequence

from offload.core.job import Inputs, fed
from offload.core.states import State
from offload.store.base import Channel
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


def settle(tx: Transaction, ended: Sequence[str], now: int) -> None:
    """Let go on, or cancel, whoever waited for these jobs: all that have just ended, in order.

    Every path on which a job ends leads here, in the same transaction.
    """
    ((anybody,),) = tx.execute(SQL["anybody_waits"])
    if not anybody or not ended:
        return
    for (parent,) in tx.execute(SQL["waited_for"], (json.dumps(list(ended)),)):
        over = deque([parent])
        while over:
            over += _settle_one(tx, over.popleft(), now)


def _settle_one(tx: Transaction, parent: str, now: int) -> list[str]:
    """Settle with those that wait for one job; return the ids of those that ended for it."""
    ((state, result),) = tx.execute(SQL["outcome"], (parent,))
    rows = tx.execute(SQL["settle"], {"parent": parent, "result": result})
    counts = Counter(job for (job,) in rows)
    ended = []
    if state != State.COMPLETE:
        error = f"dependency {parent} {state}"
        cancelled = tx.each(SQL["cancel_dependents"], [(now, error, job) for job in counts])
        ended = [job_id for (job_id,) in cancelled]
    tx.channels.add(Channel.CHANGED)
    _unblock(tx, counts, now)
    return ended


def _unblock(tx: Transaction, counts: Counter[int], now: int) -> None:
    waits = [{"job": job, "count": count, "now": now} for job, count in counts.items()]
    for job, blockers, inputs, payload in tx.each(SQL["unblock"], waits):
        if not blockers:
            tx.channels.add(Channel.READY)
            if inputs != Inputs.NONE:
                results = [result for (result,) in tx.execute(SQL["results"], (job,))]
                tx.execute(SQL["feed"], (fed(payload, Inputs(inputs), results), job))
                tx.execute(SQL["forget_results"], (job,))


def cancel_pending(
    tx: Transaction, job_id: str, now: int, *, error: str = "cancelled", drop_key: bool = False
) -> bool:
    """Cancel a job if it is pending; with `drop_key` it gives up its key even for a window."""
    values = {"id": job_id, "now": now, "error": error, "drop": drop_key}
    cancelled = bool(tx.changed(SQL["cancel_pending"], values, Channel.CHANGED))
    if cancelled:
        settle(tx, [job_id], now)
    return cancelled
