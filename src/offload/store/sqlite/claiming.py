"""Which jobs a worker gets: the first of all queues and lanes that are open to it."""

import json
from collections.abc import Container, Mapping, Sequence
from typing import Any

from offload.store.base import Channel
from offload.store.lanes import ReadyLane
from offload.store.records import Row
from offload.store.sqlite.dependencies import settle
from offload.store.sqlite.rows import NAMES
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction

PRIORITY, RUN_AT, LANE, ATTEMPT, CRASHES, MAX_RETRIES = (
    NAMES.index(name) for name in ("priority", "run_at", "lane", "attempt", "crashes", "retry")
)


MOST = 1000
"""Jobs that one claim promotes, and that it finds expired: others want to write too."""


class _All:
    def __contains__(self, queue: object) -> bool:
        return True


def claim(
    tx: Transaction, worker: str, queues: Sequence[str] | None, limit: int, now: int
) -> tuple[list[Row], int | None]:
    """Promote what has become due, then take the first.

    Returns their rows, as they are then, and the next due instant.

    A power cut may take it all back: then the jobs are pending as before, and nobody is left who
    holds the old lease or was told more than that they run. Not so where something must still be
    known afterwards: that a job has ended, that a last or a suspect attempt has begun, when a lane
    was last used.
    """
    _expire(tx, now)
    wanted: Container[str] = _All() if queues is None else frozenset(queues)
    due = _promote(tx, wanted, now)
    values = {"worker": worker, "now": now}
    lanes = _lanes(tx, wanted, limit, values)
    line: list[Row] = []
    for (queue,) in tx.execute(SQL["ready_queues"]):
        if queue in wanted:
            line += _first(tx, None, queue, limit, values)
    for lane in lanes:
        line += lane.line[: lane.places(limit, now)]
    taken = sorted(line, key=_place)[:limit]
    seqs = [row[-1] for row in taken]
    if any(map(_counts, taken)):
        tx.must_last()
    if taken:
        tx.execute(SQL["claim"], {**values, "seqs": json.dumps(seqs)})
        tx.channels.add(Channel.CHANGED)
    due += _started(tx, lanes, frozenset(seqs), now)
    return taken, min(due, default=None)


def _place(row: Row) -> tuple[int, int, int]:
    """Return where a job stands in the line."""
    return -row[PRIORITY], row[RUN_AT], row[-1]


def _counts(row: Row) -> bool:
    """Say whether the start of a job must not be forgotten: see `Job.may_wait`, and its lane."""
    return row[CRASHES] > 0 or row[ATTEMPT] > row[MAX_RETRIES] or row[LANE] is not None


def _first(
    tx: Transaction, lane: str | None, queue: str, most: int, values: Mapping[str, Any]
) -> list[Row]:
    return tx.execute(SQL["first_ready"], {**values, "lane": lane, "queue": queue, "most": most})


def _expire(tx: Transaction, now: int) -> None:
    expired = tx.execute(SQL["expire"], {"now": now, "most": MOST})
    if expired:
        tx.must_last()
        tx.channels.add(Channel.CHANGED)
        settle(tx, sorted(seq for (seq,) in expired), now)


def _promote(tx: Transaction, wanted: Container[str], now: int) -> list[int]:
    """Make what has become due ready, and return when the next job of each queue is."""
    later: list[int | None] = []
    left = MOST
    for queue, first in tx.execute(SQL["later_queues"]):
        if queue not in wanted:
            continue
        if first > now:
            later.append(first)
            continue
        values = {"queue": queue, "now": now, "most": left}
        left -= tx.changed(SQL["promote"], values)
        ((due,),) = tx.execute(SQL["next_due"], values)
        later.append(due)
    return [due for due in later if due is not None]


def _lanes(
    tx: Transaction, wanted: Container[str], limit: int, values: Mapping[str, Any]
) -> list[ReadyLane[Row]]:
    """Return the lanes that have a place or may get one by time, each with its first jobs."""
    found: dict[str, ReadyLane[Row]] = {}
    for name, queue, interval, started_at, free in tx.execute(SQL["ready_lanes"]):
        if queue in wanted and (free is None or free > 0):
            lane = found.setdefault(name, ReadyLane(name, interval, started_at, free))
            lane.queues.append(queue)
    for lane in found.values():
        # One more than can start, to know whether there is something left to wait for.
        most = lane.places(limit, values["now"]) + 1
        for queue in lane.queues:
            lane.line += _first(tx, lane.name, queue, most, values)
        lane.line.sort(key=_place)
    return list(found.values())


def _started(
    tx: Transaction, lanes: Sequence[ReadyLane[Row]], taken: Container[int], now: int
) -> list[int]:
    """Record the starts in the lanes, and return when time opens them again."""
    opening = []
    for lane in lanes:
        count = sum(row[-1] in taken for row in lane.line)
        if count:
            tx.execute(SQL["start_in_lane"], (now, lane.name))
        opens = lane.opens_next(count, now)
        if opens is not None:
            opening.append(opens)
    return opening
