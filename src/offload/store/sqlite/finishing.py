"""How runs report and end: fenced by the lease, with all that an end entails."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from offload.core.records import Finish, Report
from offload.core.states import Move, State, target
from offload.store.base import Channel
from offload.store.sqlite.dependencies import settle, waited_for
from offload.store.sqlite.rows import text
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


@dataclass(slots=True)
class _Ended:
    """What a batch brought about, to be acted on once."""

    seqs: list[int] = field(default_factory=list)
    lanes: set[str] = field(default_factory=set)


def finish(tx: Transaction, finishes: Sequence[Finish], now: int) -> list[bool]:
    """Apply each ending that its fence lets through; then see who waited for these ends."""
    answers: list[bool] = []
    ended = _Ended()
    # Two endings of one job may be in a batch: the order stays, whatever is done in bulk.
    for completed, batch in groupby(finishes, lambda finish: finish.move is Move.COMPLETE):
        if completed:
            answers += _complete(tx, list(batch), ended, now)
        else:
            answers += [_finish_one(tx, each, ended, now) for each in batch]
    if True in answers:
        tx.channels.add(Channel.CHANGED)
    for seq in waited_for(tx, ended.seqs):
        settle(tx, [seq], now)
    _free_places(tx, ended.lanes)
    return answers


def _complete(tx: Transaction, finishes: Sequence[Finish], ended: _Ended, now: int) -> list[bool]:
    measured = [_metric(each, Move.COMPLETE, now) for each in finishes if each.ran is not None]
    if measured:
        tx.each(SQL["insert_metric"], measured)
    rows = tx.each(
        SQL["complete"], [(each.result, now, each.job_id, each.lease) for each in finishes]
    )
    ended.seqs += [seq for seq, _, _, _ in rows]
    ended.lanes |= {lane for _, _, _, lane in rows if lane is not None}
    if len(rows) == len(finishes):
        return [True] * len(rows)
    applied = {(job_id, lease) for _, job_id, lease, _ in rows}
    return [_took(applied, (each.job_id, each.lease)) for each in finishes]


def _took(applied: set[tuple[str, int]], fence: tuple[str, int]) -> bool:
    """Say whether this ending was applied: of two under one lease, the first."""
    found = fence in applied
    applied.discard(fence)
    return found


def _metric(finish: Finish, move: Move, now: int) -> tuple[Any, ...]:
    return move.value, finish.ran, finish.memory, now, finish.job_id, finish.lease


def _finish_one(tx: Transaction, finish: Finish, ended: _Ended, now: int) -> bool:
    rows = tx.execute(SQL["running"], (finish.job_id, finish.lease))
    if not rows:
        return False
    [(seq, stop, attempt, run_at, lane)] = rows
    state = target(State.RUNNING, finish.move)
    applied = finish
    if stop and state is State.PENDING:
        applied, state = finish.stopped(), State.CANCELLED
    if finish.ran is not None:
        tx.execute(SQL["insert_metric"], _metric(finish, applied.move, now))
    values = {"seq": seq, "now": now, "error": applied.error, "crashed": applied.crashed}
    if state is State.PENDING:
        _again(tx, applied, values, run_at)
    else:
        tx.execute(SQL["end"], {**values, "state": str(state)})
        ended.seqs.append(seq)
    if lane is not None:
        ended.lanes.add(lane)
    if finish.failure is not None and finish.move is not Move.CANCEL:
        failure = finish.failure
        error = (failure.type, failure.message, failure.traceback, now)
        tx.execute(SQL["insert_error"], (seq, attempt, *error))
    if state is State.DEAD:
        tx.execute(SQL["insert_dead_letter"], (seq,))
    return True


def _again(tx: Transaction, finish: Finish, values: dict[str, Any], run_at: int) -> None:
    # A released job keeps its due time, and with it its place in the line.
    keeps = finish.move is Move.RELEASE and not finish.delay
    values["run_at"] = run_at if keeps else values["now"] + round(finish.delay * 1000)
    tx.execute(SQL["again"], {**values, "release": finish.gives_back_attempt})
    tx.channels.add(Channel.READY)


def _free_places(tx: Transaction, lanes: set[str]) -> None:
    """Tell workers if a job waits for a place that has become free."""
    if lanes and Channel.READY not in tx.channels:
        ((waits,),) = tx.execute(SQL["lane_waits"], (json.dumps(list(lanes)),))
        if waits:
            tx.channels.add(Channel.READY)


def report(tx: Transaction, reports: Sequence[Report], now: int) -> list[bool]:
    """Store the news of the jobs whose lease is still the newest."""
    return [_report_one(tx, each, now) for each in reports]


def _report_one(tx: Transaction, news: Report, now: int) -> bool:
    values = (news.progress, news.message, news.data, news.job_id, news.lease)
    rows = tx.execute(SQL["report"], values)
    if not rows:
        return False
    [(seq, attempt)] = rows
    logs = [(seq, attempt, log.level, log.message, text(log.extra), now) for log in news.logs]
    parts = [(seq, attempt, value, now) for value in news.parts]
    tx.each(SQL["insert_log"], logs)
    tx.each(SQL["insert_part"], parts)
    tx.channels.add(Channel.CHANGED)
    return True
