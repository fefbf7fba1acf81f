"""What goes to the scripts: numbers packed, the rest as JSON and bytes."""

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from offload.core.alike import Alike
from offload.core.errors import StoreRefused
from offload.core.job import Inputs, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.records import Finish, LogLine, Report
from offload.core.states import Move
from offload.core.unique import OnConflict, Scope, UniqueKey

MOVES = (Move.COMPLETE, Move.RETRY, Move.RELEASE, Move.FAIL, Move.BURY, Move.CANCEL)
MOVE_CODES = {move: code for code, move in enumerate(MOVES, 1)}
SCOPES = {Scope.PENDING: 1, Scope.RUNNING: 2, Scope.WINDOW: 3}
CONFLICTS = {OnConflict.RETURN: 1, OnConflict.REPLACE: 2, OnConflict.REJECT: 3}
INPUTS = {Inputs.NONE: 0, Inputs.FIRST: 1, Inputs.LIST: 2}

TERMS = struct.Struct(">5B4q3d")
ENDING = struct.Struct(">IBBBqH")
MEASURED = struct.Struct(">dq")
LENGTH = struct.Struct(">I")


def request(new: NewJob) -> tuple[bytes | str, ...]:
    """Return the arguments for one request.

    Raises:
        TypeError, ValueError: something of it is no JSON.
        StoreRefused: a name is too long, or a number too large.
    """
    parents = json.dumps(new.depends_on) if new.depends_on else ""
    tags = json.dumps(new.tags) if new.tags else ""
    return new.id, terms(new), head(new) + new.payload, parents, tags


def requests(jobs: Sequence[NewJob]) -> list[bytes | str]:
    """Return the arguments for several requests; see `request`."""
    if not isinstance(jobs, Alike):
        return [part for new in jobs for part in request(new)]
    _, shared, begun, *rest = request(replace(jobs.pattern, payload=b""))
    assert isinstance(begun, bytes)  # noqa: S101 - see `request`
    pairs = zip(jobs.ids, jobs.payloads, strict=True)
    return [part for each, payload in pairs for part in (each, shared, begun + payload, *rest)]


def are_plain(jobs: Sequence[NewJob]) -> bool:
    """Say whether nothing but its id can keep out any of these jobs, so each is as asked for."""
    if isinstance(jobs, Alike):
        ids, several = set(jobs.ids), [jobs.pattern]
    else:
        ids, several = {new.id for new in jobs}, list(jobs)
    return len(ids) == len(jobs) and not any(new.unique or new.depends_on for new in several)


def terms(new: NewJob) -> bytes:
    """Return what the scripts must know of a request, but for its id, parents and tags."""
    unique, lane = new.unique or NO_KEY, new.lane or NO_LANE
    due = round(new.delay * 1000) if new.run_at is None else new.run_at
    try:
        numbers = TERMS.pack(
            0 if new.unique is None else SCOPES[unique.scope],
            CONFLICTS[unique.on_conflict],
            new.on_parent_failure is OnParentFailure.RUN,
            INPUTS[new.inputs],
            new.run_at is not None,
            new.priority,
            due,
            _ms(new.expires),
            _ms(unique.window),
            -1.0 if new.result_ttl is None else new.result_ttl,
            -1.0 if lane.interval is None else lane.interval,
            -1.0 if lane.max_running is None else lane.max_running,
        )
        lane_name = named(None if new.lane is None else lane.name)
        key = named(None if new.unique is None else unique.key)
        return numbers + tail(new.queue, new.task, lane_name, named(new.schedule), key)
    except struct.error as error:
        raise StoreRefused(f"job {new.id} cannot be stored: {error}") from None


NO_KEY = UniqueKey("")
NO_LANE = Lane("")


def tail(queue: str, task: str, lane: str = "", schedule: str = "", key: str = "") -> bytes:
    """Return the names of a job as they end its terms and its row.

    Raises:
        struct.error: one is too long.
    """
    return b"".join(map(_short, (queue, task, lane, schedule))) + long(key.encode())


def head(new: NewJob) -> bytes:
    """Return what only clients must know of a request, before its payload."""
    retry = new.retry
    said = {
        "task": new.task,
        "queue": new.queue,
        "retry": [retry.max_retries, retry.backoff, retry.max_delay, *retry.delays],
        "timeout": new.timeout,
        "key": None if new.unique is None else new.unique.key,
        "lane": None if new.lane is None else new.lane.name,
        "metadata": None if new.metadata is None else dict(new.metadata),
        "tags": new.tags or None,
        "origin": new.origin,
        "schedule": new.schedule,
        "tick": new.tick,
    }
    return long(
        json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    )


def _ms(seconds: float | None) -> int:
    return -1 if seconds is None else round(seconds * 1000)


def named(name: str | None) -> str:
    """Tell a name from none."""
    return "" if name is None else "=" + name


def _short(name: str) -> bytes:
    data = name.encode()
    return struct.pack(">H", len(data)) + data


def long(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return LENGTH.pack(len(data)) + data


def ending(finish: Finish, holder: str) -> tuple[bytes | str, ...]:
    """Return the arguments for one ending.

    Raises:
        StoreRefused: a number is too large.
    """
    try:
        said = _terms_of_end(
            max(finish.lease, 0),  # no lease is 0, so that is nobody's
            MOVE_CODES[finish.move],
            (finish.crashed, finish.failure is not None),
            round(finish.delay * 1000),
            holder,
        )
        memory = -1 if finish.memory is None else finish.memory
        measured = b"" if finish.ran is None else MEASURED.pack(finish.ran, memory)
    except struct.error as error:
        raise StoreRefused(f"the end of {finish.job_id} cannot be stored: {error}") from None
    return finish.job_id, said, measured, finish.result or b"", _failure(finish)


@lru_cache(maxsize=1024)
def _terms_of_end(
    lease: int, move: int, flags: tuple[bool, bool], delay: int, holder: str
) -> bytes:
    """Return what most ends of a batch share."""
    name = holder.encode()
    return ENDING.pack(lease, move, *flags, delay, len(name)) + name


def _failure(finish: Finish) -> bytes:
    if finish.failure is None and finish.error is None:
        return b""
    failure = finish.failure
    texts = () if failure is None else (failure.type, failure.message, failure.traceback)
    return long(b"".join(long(text.encode()) for text in texts)) + (finish.error or "").encode()


def news(report: Report, holder: str) -> tuple[bytes | str | int, ...]:
    """Return the arguments for one report."""
    lines = b"".join(long(line_of(line)) for line in report.logs)
    return (
        report.job_id,
        report.lease,
        holder,
        "" if report.progress is None else report.progress,
        named(report.message),
        b"" if report.data is None else b"=" + report.data,
        lines,
        b"".join(map(long, report.parts)),
    )


def line_of(line: LogLine) -> bytes:
    """Return a logged line as it is kept."""
    extra = None if line.extra is None else dict(line.extra)
    return json.dumps([line.level, line.message, extra]).encode()
