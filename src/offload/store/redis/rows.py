"""What goes to the scripts and what comes back: numbers packed, the rest as JSON and bytes."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from offload.core.errors import StoreCorrupted, StoreRefused
from offload.core.job import Inputs, Job, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.records import (
    AttemptError,
    Failure,
    Finish,
    JobLog,
    LogLine,
    Metric,
    Part,
    Report,
)
from offload.core.retry import RetryPolicy
from offload.core.schedule import CatchUp, Overlap, Schedule
from offload.core.states import Move, State
from offload.core.unique import OnConflict, Scope, UniqueKey
from offload.store.base import WorkerRow

STATES = dict(enumerate(State, 1))
"""By the numbers that rows have for them; the scripts have the same order."""
STATE_CODES = {state: code for code, state in STATES.items()}
MOVES = (Move.COMPLETE, Move.RETRY, Move.RELEASE, Move.FAIL, Move.BURY, Move.CANCEL)
MOVE_CODES = {move: code for code, move in enumerate(MOVES, 1)}
SCOPES = {Scope.PENDING: 1, Scope.RUNNING: 2, Scope.WINDOW: 3}
CONFLICTS = {OnConflict.RETURN: 1, OnConflict.REPLACE: 2, OnConflict.REJECT: 3}
INPUTS = {Inputs.NONE: 0, Inputs.FIRST: 1, Inputs.LIST: 2}

ROW = struct.Struct(">12Bb5I8qd3qH")
TERMS = struct.Struct(">5B4q3d")
FIXED = struct.Struct(">IBBBqdq")
LENGTH = struct.Struct(">I")

Reply = list[Any]


def text(value: bytes | None) -> str | None:
    """Return a text as it was given."""
    return None if value is None else value.decode()


# --- requests --------------------------------------------------------------------------------


def request(new: NewJob) -> tuple[bytes | str, ...]:
    """Return the arguments for one request.

    Raises:
        TypeError, ValueError: something of it is no JSON.
        StoreRefused: a name is too long, or a number too large.
    """
    parents = json.dumps(new.depends_on) if new.depends_on else ""
    tags = json.dumps(new.tags) if new.tags else ""
    return new.id, terms(new), head(new) + new.payload, parents, tags


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
        names = (
            new.queue,
            new.task,
            named(None if new.lane is None else lane.name),
            named(new.schedule),
        )
        return (
            numbers
            + b"".join(map(_short, names))
            + _long(named(None if new.unique is None else unique.key).encode())
        )
    except struct.error as error:
        raise StoreRefused(f"job {new.id} cannot be stored: {error}") from None


NO_KEY = UniqueKey("")
NO_LANE = Lane("")


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
    return _long(
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


def _long(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


# --- jobs ------------------------------------------------------------------------------------

Head = tuple[Any, ...]


@lru_cache(maxsize=1024)
def _head(data: bytes) -> Head:
    """Return what a body begins with; most jobs of a task have the same."""
    said = json.loads(data)
    retries, backoff, longest, *delays = said["retry"]
    return (
        said["task"],
        said["queue"],
        RetryPolicy(retries, backoff, longest, tuple(delays)),
        said.get("timeout"),
        said.get("key"),
        said.get("lane"),
        said.get("metadata"),
        tuple(said.get("tags", ())),
        said.get("origin"),
        said.get("schedule"),
        said.get("tick"),
    )


SEEN = 7


def jobs_of(reply: Reply, start: int) -> list[Job | None]:
    """Return the jobs that a reply shows from a place on.

    Raises:
        StoreCorrupted: a row is damaged.
    """
    return [
        None if reply[place + 1] is None else job_of(reply[place : place + SEEN])
        for place in range(start, len(reply), SEEN)
    ]


def all_jobs_of(reply: Reply, start: int) -> list[Job]:
    """Return the jobs that a reply shows, which are all there."""
    return [job_of(reply[place : place + SEEN]) for place in range(start, len(reply), SEEN)]


def job_of(shown: Sequence[Any]) -> Job:
    """Return one job as `show` in the scripts shows it.

    Raises:
        StoreCorrupted: it is damaged.
    """
    job_id, row, body, error, message, data, result = shown
    try:
        (
            state, _, cancel, _, _, _, _, _, _, _, _, _, progress,
            version, attempt, lease, crashes, blockers,
            _, priority, run_at, created_at, started_at, finished_at, expires_at, _,
            ttl, _, _, _, length,
        ) = ROW.unpack_from(row)  # fmt: skip
        worker = row[ROW.size : ROW.size + length].decode() if length else None
        (size,) = LENGTH.unpack_from(body)
        begun = body[4 : 4 + size]
        task, queue, retry, timeout, key, lane, metadata, tags, origin, schedule, tick = (
            _head.__wrapped__(begun) if b'"metadata"' in begun else _head(begun)
        )
    except (KeyError, TypeError, ValueError, struct.error) as damage:
        raise StoreCorrupted(f"job {job_id!r} is damaged ({damage!r})") from damage
    said = None if message is None else message.decode()
    why = None if error is None else error.decode()
    return Job(
        job_id.decode(), task, queue, STATES[state], body[4 + size :], priority, run_at,
        created_at, retry, attempt, lease, crashes, version, worker, started_at or None,
        finished_at or None, timeout, expires_at or None, None if ttl < 0 else ttl,
        None if progress < 0 else progress, said, data, result, why, key, cancel == 1, blockers,
        lane, metadata, tags, origin, schedule, tick,
    )  # fmt: skip


def number_of(row: bytes) -> int:
    """Return a job's place in the order in which all of them came."""
    number: int = ROW.unpack_from(row)[18]
    return number


# --- ends and news ---------------------------------------------------------------------------


def ending(finish: Finish, holder: str) -> tuple[bytes | str, ...]:
    """Return the arguments for one ending.

    Raises:
        StoreRefused: a number is too large.
    """
    failure = finish.failure
    try:
        fixed = FIXED.pack(
            max(finish.lease, 0),  # no lease is 0, so that is nobody's
            MOVE_CODES[finish.move],
            finish.crashed,
            failure is not None,
            round(finish.delay * 1000),
            -1.0 if finish.ran is None else finish.ran,
            -1 if finish.memory is None else finish.memory,
        )
    except struct.error as error:
        raise StoreRefused(f"the end of {finish.job_id} cannot be stored: {error}") from None
    said = (
        b""
        if failure is None
        else b"".join(
            _long(part.encode()) for part in (failure.type, failure.message, failure.traceback)
        )
    )
    return finish.job_id, fixed, finish.result or b"", said, finish.error or "", holder


def news(report: Report, holder: str) -> tuple[bytes | str | int, ...]:
    """Return the arguments for one report."""
    lines = b"".join(_long(_line(line)) for line in report.logs)
    return (
        report.job_id,
        report.lease,
        holder,
        "" if report.progress is None else report.progress,
        named(report.message),
        b"" if report.data is None else b"=" + report.data,
        lines,
        b"".join(map(_long, report.parts)),
    )


def _line(line: LogLine) -> bytes:
    extra = None if line.extra is None else dict(line.extra)
    return json.dumps([line.level, line.message, extra]).encode()


# --- records ---------------------------------------------------------------------------------

LINKS = 16
"""Bytes with which a record begins: the numbers of its neighbours."""


def error_of(number: int, raw: bytes) -> AttemptError:
    """Return a failed attempt."""
    attempt, failed_at = struct.unpack_from(">Iq", raw, LINKS)
    kind, message, traceback, job_id = _texts(raw, LINKS + 12, 3)
    failure = Failure(kind.decode(), message.decode(), traceback.decode())
    return AttemptError(number, job_id.decode(), attempt, failure, failed_at)


def _texts(raw: bytes, place: int, count: int) -> Iterable[bytes]:
    for _ in range(count):
        (size,) = LENGTH.unpack_from(raw, place)
        yield raw[place + 4 : place + 4 + size]
        place += 4 + size
    yield raw[place:]


def log_of(number: int, raw: bytes) -> JobLog:
    """Return a logged line."""
    attempt, logged_at, size = struct.unpack_from(">IqH", raw, LINKS)
    place = LINKS + 14 + size
    task = raw[LINKS + 14 : place].decode()
    (size,) = struct.unpack_from(">H", raw, place)
    job_id = raw[place + 2 : place + 2 + size].decode()
    line = LogLine(*json.loads(raw[place + 2 + size :]))
    return JobLog(number, job_id, task, attempt, line, logged_at)


def metric_of(number: int, raw: bytes) -> Metric:
    """Return an attempt in numbers."""
    numbers = struct.unpack_from(">IBqdqqH", raw, LINKS)
    attempt, move, wait, ran, memory, recorded_at, size = numbers
    place = LINKS + struct.calcsize(">IBqdqqH")
    return Metric(
        id=number,
        job_id=raw[place + size :].decode(),
        task=raw[place : place + size].decode(),
        attempt=attempt,
        move=MOVES[move - 1],
        wait=wait / 1000,
        ran=ran,
        memory=None if memory < 0 else memory,
        recorded_at=recorded_at,
    )


def part_of(job_id: str, entry: Reply) -> Part:
    """Return a partial result, an entry of its job's stream."""
    name, (_, raw) = entry
    attempt, published_at = struct.unpack_from(">Iq", raw)
    return Part(int(name.partition(b"-")[0]), job_id, attempt, raw[12:], published_at)


def worker_of(name: bytes, age: bytes, of_boot: int, raw: bytes) -> WorkerRow:
    """Return a worker; its age comes as text, for scripts answer in whole numbers only."""
    lease, _, started_at, size = struct.unpack_from(">ddqH", raw)
    host, pid, queues, concurrency = json.loads(raw[26 + size :])
    return WorkerRow(
        id=name.decode(),
        host=host,
        pid=pid,
        queues=None if queues is None else tuple(queues),
        concurrency=concurrency,
        started_at=started_at,
        age=float(age),
        alive=of_boot == 1 and float(age) <= lease,
    )


# --- schedules -------------------------------------------------------------------------------

SCHEDULE = struct.Struct(">qBBBqH")


def schedule_row(schedule: Schedule) -> bytes:
    """Return a schedule: first what changes with each tick, then its definition."""
    job = b"" if schedule.last_job is None else b"=" + schedule.last_job.encode()
    defined = {
        "task": schedule.task,
        "trigger": schedule.trigger,
        "tz": schedule.tz,
        "options": None if schedule.options is None else dict(schedule.options),
        "overlap": schedule.overlap,
        "catch_up": schedule.catch_up,
        "jitter": schedule.jitter,
    }
    numbers = SCHEDULE.pack(
        schedule.next_at,
        schedule.paused,
        schedule.edited,
        schedule.last_at is not None,
        schedule.last_at or 0,
        len(job),
    )
    skips = bytes([schedule.overlap is Overlap.SKIP])
    return numbers + job + skips + _long(json.dumps(defined).encode()) + schedule.payload


def schedule_of(name: str, raw: bytes) -> Schedule:
    """Return a schedule as it was stored."""
    next_at, paused, edited, fired, last_at, size = SCHEDULE.unpack_from(raw)
    place = SCHEDULE.size + size
    job = raw[SCHEDULE.size : place]
    defined, payload = _texts(raw, place + 1, 1)
    said: Mapping[str, Any] = json.loads(defined)
    return Schedule(
        name=name,
        task=said["task"],
        trigger=said["trigger"],
        next_at=next_at,
        tz=said["tz"],
        payload=payload,
        options=said["options"],
        overlap=Overlap(said["overlap"]),
        catch_up=CatchUp(said["catch_up"]),
        jitter=said["jitter"],
        paused=paused == 1,
        edited=edited == 1,
        last_at=last_at if fired else None,
        last_job=job[1:].decode() if job else None,
    )
