"""What is kept beside jobs: records, workers and schedules."""

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from offload.core.records import AttemptError, Failure, JobLog, LogLine, Metric, Part
from offload.core.schedule import CatchUp, Overlap, Schedule
from offload.store.base import WorkerRow
from offload.store.redis.requests import LENGTH, MOVES, long
from offload.store.redis.rows import Reply

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


METRIC = struct.Struct(">IB3qdqH")


def metric_of(number: int, raw: bytes) -> Metric:
    """Return an attempt in numbers."""
    numbers = METRIC.unpack_from(raw, LINKS)
    attempt, move, recorded_at, started_at, run_at, ran, memory, size = numbers
    place = LINKS + METRIC.size
    return Metric(
        id=number,
        job_id=raw[place + size :].decode(),
        task=raw[place : place + size].decode(),
        attempt=attempt,
        move=MOVES[move - 1],
        wait=(started_at - run_at) / 1000,
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
    return numbers + job + skips + long(json.dumps(defined).encode()) + schedule.payload


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
