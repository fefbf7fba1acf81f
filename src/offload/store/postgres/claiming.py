"""Which jobs a worker gets: the first of all queues and lanes that are open to it."""

from collections.abc import Container, Sequence

from offload.store.base import Channel, Claim
from offload.store.lanes import ReadyLane
from offload.store.postgres.arrays import numbers, texts
from offload.store.postgres.connection import Session
from offload.store.postgres.dependencies import settle
from offload.store.postgres.locks import CLAIMS
from offload.store.postgres.rows import PRIORITY, RUN_AT, job_of
from offload.store.records import Row

MOST = 1000
"""Jobs that one claim promotes, and that it finds expired: others want to write too."""

ROUNDS = 3
"""How often a claim looks again for jobs in place of those that somebody else took meanwhile."""

Candidate = tuple[int, int, int]
"""seq, priority and due time of a job that may be taken."""


async def claim(session: Session, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
    """Take the first jobs: in one statement if that will do, else step by step."""
    wanted = None if queues is None else texts(queues)
    found = await session.fetch("claim", worker=worker, queues=wanted, limit=limit)
    now, due, more, *_ = found[0]
    rows = [row[3:] for row in found if row[3] is not None]
    if more:
        async with session.transaction():
            rows, now, due = await _claim(session, worker, wanted, limit)
    if rows:
        session.channels.add(Channel.CHANGED)
    jobs = [job_of(row) for row in sorted(rows, key=_place)]
    return Claim(jobs, None if due is None else max(0.0, (due - now) / 1000))


def _place(row: Row) -> tuple[int, int, int]:
    """Return where a job stands in the line."""
    return -row[PRIORITY], row[RUN_AT], row[-1]


async def _claim(
    tx: Session, worker: str, wanted: str | None, limit: int
) -> tuple[list[Row], int, int | None]:
    """Promote what has become due, then take the first; return the next due instant, too.

    One worker at a time: what it counts of a lane must not change until it has taken its share.
    """
    await tx.lock([CLAIMS])
    ((now,),) = await tx.fetch("now")
    await _expire(tx)
    due = await _promote(tx, wanted, now)
    rows: list[Row] = []
    opening: list[int] = []
    for _ in range(ROUNDS):
        left = limit - len(rows)
        lanes = await _lanes(tx, wanted, left, now)
        line = await _line(tx, wanted, left)
        line += [each for lane in lanes for each in lane.line[: lane.places(left, now)]]
        asked = [seq for seq, _, _ in sorted(line, key=_order)[:left]]
        taken = await _take(tx, worker, asked, now)
        rows += taken
        opening = await _started(tx, lanes, {row[-1] for row in taken}, now)
        if len(taken) == len(asked):  # else somebody else was faster with some
            break
    return rows, now, min(due + opening, default=None)


def _order(candidate: Candidate) -> tuple[int, int, int]:
    seq, priority, run_at = candidate
    return -priority, run_at, seq


async def _expire(tx: Session) -> None:
    expired = await tx.fetch("expire", most=MOST)
    if expired:
        tx.channels.add(Channel.CHANGED)
        await settle(tx, [seq for seq, awaited in expired if awaited])


async def _promote(tx: Session, wanted: str | None, now: int) -> list[int]:
    """Make what has become due ready, and return when the next job of each queue is."""
    later = await tx.fetch("later_queues", queues=wanted)
    due = [name for name, first in later if first <= now]
    if due:
        await tx.fetch("promote", due=texts(due), most=MOST)
        later = await tx.fetch("later_queues", queues=wanted)
    return [first for _, first in later]


async def _line(tx: Session, wanted: str | None, limit: int) -> list[Candidate]:
    ready = [name for (name,) in await tx.fetch("ready_queues", queues=wanted)]
    rows = await tx.fetch("first_ready", ready=texts(ready), limit=limit)
    return [(seq, priority, run_at) for seq, priority, run_at in rows]


async def _lanes(
    tx: Session, wanted: str | None, limit: int, now: int
) -> list[ReadyLane[Candidate]]:
    """Return the lanes that have a place or may get one by time, each with its first jobs."""
    found: dict[str, ReadyLane[Candidate]] = {}
    rows = await tx.fetch("ready_lanes", queues=wanted)
    for name, queue, interval, started_at, free in rows:
        if free is None or free > 0:
            lane = found.setdefault(name, ReadyLane(name, interval, started_at, free))
            lane.queues.append(queue)
    for lane in found.values():
        # One more than can start, to know whether there is something left to wait for.
        most = lane.places(limit, now) + 1
        ready = texts(lane.queues)
        line = await tx.fetch("first_in_lane", lane=lane.name, ready=ready, limit=most)
        lane.line = sorted(((s, p, r) for s, p, r in line), key=_order)
    return list(found.values())


async def _take(tx: Session, worker: str, asked: Sequence[int], now: int) -> list[Row]:
    if not asked:
        return []
    return await tx.fetch("claim_these", worker=worker, seqs=numbers(asked), now_is=now)


async def _started(
    tx: Session, lanes: Sequence[ReadyLane[Candidate]], taken: Container[int], now: int
) -> list[int]:
    """Record the starts in the lanes, and return when time opens them again."""
    opening = []
    for lane in lanes:
        count = sum(seq in taken for seq, _, _ in lane.line)
        if count:
            await tx.fetch("start_in_lane", now_is=now, lane=lane.name)
        opens = lane.opens_next(count, now)
        if opens is not None:
            opening.append(opens)
    return opening
