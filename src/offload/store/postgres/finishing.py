"""How runs report and end: fenced by the lease, with all that an end entails."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from offload.core.records import Finish, Report
from offload.core.states import FINAL, Move, State
from offload.store.base import Channel
from offload.store.holders import Holders
from offload.store.postgres.arrays import binary, numbers, texts
from offload.store.postgres.connection import Session
from offload.store.postgres.dependencies import settle
from offload.store.postgres.rows import COMPLETES, ENDS
from offload.store.records import json_text

Each = TypeVar("Each", Finish, Report)

STOPPED = Finish("", 0, Move.CANCEL).stopped().error


class _End(NamedTuple):
    """A run that has ended, as it was and as it is now."""

    id: str
    seq: int
    attempt: int
    state: str
    lane: str | None
    awaited: bool

    @property
    def is_final(self) -> bool:
        return State(self.state) in FINAL


def in_parts(asked: Sequence[Each], holders: Holders) -> Iterator[tuple[str | None, list[Each]]]:
    """Cut a batch so that a statement, which changes a row but once, meets each job once.

    What is in one part was given to one worker; None where nobody here knows to whom.
    """
    holder: str | None = None
    part: dict[str, Each] = {}
    for each in asked:
        worker = holders.of(each.job_id, each.lease) or None
        if part and (worker != holder or each.job_id in part):
            yield holder, list(part.values())
            part = {}
        holder = worker
        part[each.job_id] = each
    if part:
        yield holder, list(part.values())


async def finish(
    session: Session, finishes: Sequence[Finish], holder: str | None, done: set[str]
) -> None:
    """Apply each ending that its fence lets through; then see who waited for these ends.

    Plain successes need one statement and no more, unless somebody waits for one.
    `finishes` are of different jobs, of one holder. Those applied are added to `done`, also when it
    raises: who tries again leaves them out.
    """
    if session.repeated:
        done |= await _done_before(session, finishes)
    rest = [each for each in finishes if each.job_id not in done]
    if rest and all(map(_is_plain, rest)):
        rows = await session.fetch_for(
            COMPLETES, "complete", rest, tells=Channel.CHANGED, holder=holder
        )
        done |= {job_id for job_id, _ in rows}
        await _make_room(session, [lane for _, lane in rows])
        rest = [each for each in rest if each.job_id not in done]
    if rest:
        async with session.transaction():
            rows = await session.fetch_for(ENDS, "finish", rest, stopped=STOPPED, holder=holder)
            ends = [_End._make(row) for row in rows]
            await _record(session, ends, {each.job_id: each for each in rest})
            await _follow(session, ends)
        done |= {end.id for end in ends}
    if done:
        session.channels.add(Channel.CHANGED)


def _is_plain(finish: Finish) -> bool:
    return finish.move is Move.COMPLETE and finish.failure is None


async def _done_before(session: Session, finishes: Sequence[Finish]) -> set[str]:
    """Return which of these a commit has ended whose answer was lost."""
    rows = await session.fetch_for(ENDS, "ended_already", finishes)
    return {job_id for (job_id,) in rows}


async def _record(tx: Session, ends: Sequence[_End], asked: dict[str, Finish]) -> None:
    """Keep the errors and the dead letters of these ends."""
    by_id = {end.id: end for end in ends}
    failed = [
        (by_id[job_id], finish.failure)
        for job_id, finish in asked.items()
        if job_id in by_id and finish.failure is not None and finish.move is not Move.CANCEL
    ]
    if failed:
        await tx.fetch(
            "insert_errors",
            jobs=numbers([end.seq for end, _ in failed]),
            attempts=numbers([end.attempt for end, _ in failed]),
            types=texts([failure.type for _, failure in failed]),
            messages=texts([failure.message for _, failure in failed]),
            tracebacks=texts([failure.traceback for _, failure in failed]),
        )
    dead = numbers([by_id[job_id].seq for job_id in asked if _is_dead(by_id.get(job_id))])
    if dead != "{}":
        await tx.fetch("forget_dead_letters", seqs=dead)
        await tx.fetch("insert_dead_letters", seqs=dead)


def _is_dead(end: _End | None) -> bool:
    return end is not None and end.state == State.DEAD


async def _follow(tx: Session, ends: Sequence[_End]) -> None:
    """See to those who waited for these ends."""
    await settle(tx, [end.seq for end in ends if end.awaited and end.is_final])
    if not all(end.is_final for end in ends):
        tx.channels.add(Channel.READY)
    await _make_room(tx, [end.lane for end in ends])


async def _make_room(session: Session, left: Sequence[str | None]) -> None:
    """Wake the workers if a job waits in a lane that has a place again."""
    lanes = [lane for lane in left if lane is not None]
    if lanes and Channel.READY not in session.channels:
        ((waits,),) = await session.fetch("lane_waits", lanes=texts(lanes))
        if waits:
            session.channels.add(Channel.READY)


async def report(tx: Session, reports: Sequence[Report], holders: Holders) -> list[bool]:
    """Store the news of the jobs whose lease is still the newest, in a transaction."""
    parts = in_parts(reports, holders)
    return [yes for holder, part in parts for yes in await _report(tx, part, holder)]


async def _report(tx: Session, reports: Sequence[Report], holder: str | None) -> list[bool]:
    rows = await tx.fetch(
        "report",
        holder=holder,
        ids=texts([each.job_id for each in reports]),
        leases=numbers([each.lease for each in reports]),
        progress=numbers([each.progress for each in reports]),
        messages=texts([each.message for each in reports]),
        data=binary([each.data for each in reports]),
    )
    runs = {job_id: (seq, attempt) for job_id, seq, attempt in rows}
    if runs:
        tx.channels.add(Channel.CHANGED)
        await _keep(tx, [each for each in reports if each.job_id in runs], runs)
    return [each.job_id in runs for each in reports]


async def _keep(tx: Session, reports: Sequence[Report], runs: dict[str, tuple[int, int]]) -> None:
    logs = [(*runs[each.job_id], line) for each in reports for line in each.logs]
    if logs:
        await tx.fetch(
            "insert_logs",
            jobs=numbers([seq for seq, _, _ in logs]),
            attempts=numbers([attempt for _, attempt, _ in logs]),
            levels=texts([line.level for _, _, line in logs]),
            messages=texts([line.message for _, _, line in logs]),
            extras=texts([json_text(line.extra) for _, _, line in logs]),
        )
    parts = [(*runs[each.job_id], part) for each in reports for part in each.parts]
    if parts:
        await tx.fetch(
            "insert_parts",
            jobs=numbers([seq for seq, _, _ in parts]),
            attempts=numbers([attempt for _, attempt, _ in parts]),
            values=binary([part for _, _, part in parts]),
        )
