"""How runs report and end: fenced by the lease, with all that an end entails."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from offload.core.records import Finish, Report
from offload.core.states import FINAL, Move, State, target
from offload.store.base import Channel
from offload.store.records import Row, json_text
from offload.store.sqlite.claimed import ATTEMPT, RUN_AT, STARTED_AT
from offload.store.sqlite.dependencies import settle, waited_for
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


class Fenced(Exception):
    """The fence lets not all of these endings through."""


class _Run(NamedTuple):
    """A running job, as the fence lets an ending through to it."""

    id: str
    lease: int
    seq: int
    attempt: int
    run_at: int
    waited: float
    """Seconds from the due time to the claim."""
    cancel_requested: int
    lane: str | None


End = tuple[_Run, Finish, Move]
"""A run, the ending that was asked for, and the move that it comes to."""


def complete(
    tx: Transaction, finishes: Sequence[Finish], claimed: Sequence[Row], now: int
) -> list[bool]:
    """Apply successes of jobs as they were claimed: then nothing need be looked up.

    Raises:
        Fenced: the transaction must be undone; `finish` tells which of them counts.
    """
    ends = [
        (row[-1], each.job_id, each.lease, each.result, now)
        for row, each in zip(claimed, finishes, strict=True)
    ]
    if tx.wide(SQL["complete"], ends) != len(ends):
        raise Fenced
    metrics = [
        (
            *(row[-1], row[ATTEMPT], Move.COMPLETE, (row[STARTED_AT] - row[RUN_AT]) / 1000),
            *(each.ran, each.memory, now),
        )
        for row, each in zip(claimed, finishes, strict=True)
        if each.ran is not None
    ]
    tx.wide(SQL["insert_metric"], metrics)
    tx.channels.add(Channel.CHANGED)
    for seq in waited_for(tx, (row[-1] for row in claimed)):
        settle(tx, [seq], now)
    return [True] * len(ends)


def finish(tx: Transaction, finishes: Sequence[Finish], now: int) -> list[bool]:
    """Apply each ending that its fence lets through; then see who waited for these ends."""
    ids = json.dumps([each.job_id for each in finishes])
    found = map(_Run._make, tx.execute(SQL["running"], (ids,)))
    runs = {(run.id, run.lease): run for run in found}
    # Of two endings under one lease, the first takes the run.
    taken = [(runs.pop((each.job_id, each.lease), None), each) for each in finishes]
    ends = [(run, each, _move(run, each)) for run, each in taken if run is not None]
    if ends:
        tx.channels.add(Channel.CHANGED)
        _record(tx, ends, now)
        _apply(tx, ends, now)
        _follow(tx, ends, now)
    return [run is not None for run, _ in taken]


def _move(run: _Run, finish: Finish) -> Move:
    """Return what becomes of a run: one that was asked to stop does not wait to run again."""
    again = run.cancel_requested and target(State.RUNNING, finish.move) is State.PENDING
    return Move.CANCEL if again else finish.move


def _record(tx: Transaction, ends: Sequence[End], now: int) -> None:
    """Keep the metrics and the errors of these ends."""
    metrics = [
        (run.seq, run.attempt, move, run.waited, asked.ran, asked.memory, now)
        for run, asked, move in ends
        if asked.ran is not None
    ]
    errors = [
        (run.seq, run.attempt, failure.type, failure.message, failure.traceback, now)
        for run, asked, _ in ends
        if (failure := asked.failure) is not None and asked.move is not Move.CANCEL
    ]
    tx.wide(SQL["insert_metric"], metrics)
    tx.each(SQL["insert_error"], errors)


def _apply(tx: Transaction, ends: Sequence[End], now: int) -> None:
    successes = [
        (run.seq, run.id, run.lease, asked.result, now)
        for run, asked, move in ends
        if move is Move.COMPLETE
    ]
    tx.wide(SQL["complete"], successes)
    if len(successes) == len(ends):
        return
    for run, asked, move in ends:
        if move is not Move.COMPLETE:
            _apply_one(tx, run, asked if move is asked.move else asked.stopped(), now)


def _apply_one(tx: Transaction, run: _Run, finish: Finish, now: int) -> None:
    state = target(State.RUNNING, finish.move)
    values = {"seq": run.seq, "now": now, "error": finish.error, "crashed": finish.crashed}
    if state is not State.PENDING:
        tx.execute(SQL["end"], {**values, "state": str(state)})
        if state is State.DEAD:
            tx.execute(SQL["insert_dead_letter"], (run.seq,))
        return
    # A released job keeps its due time, and with it its place in the line.
    keeps = finish.move is Move.RELEASE and not finish.delay
    values["run_at"] = run.run_at if keeps else now + round(finish.delay * 1000)
    tx.execute(SQL["again"], {**values, "release": finish.gives_back_attempt})
    tx.channels.add(Channel.READY)


def _follow(tx: Transaction, ends: Sequence[End], now: int) -> None:
    """See to those who waited for these ends: dependents, and lanes that have a place again."""
    over = (run.seq for run, _, move in ends if target(State.RUNNING, move) in FINAL)
    for seq in waited_for(tx, over):
        settle(tx, [seq], now)
    lanes = [run.lane for run, _, _ in ends if run.lane is not None]
    if lanes and Channel.READY not in tx.channels:
        ((waits,),) = tx.execute(SQL["lane_waits"], (json.dumps(lanes),))
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
    logs = [(seq, attempt, log.level, log.message, json_text(log.extra), now) for log in news.logs]
    parts = [(seq, attempt, value, now) for value in news.parts]
    tx.each(SQL["insert_log"], logs)
    tx.each(SQL["insert_part"], parts)
    tx.channels.add(Channel.CHANGED)
    return True
