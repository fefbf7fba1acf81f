"""Jobs that leave for another store, or come from one."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

from offload.core.job import Inputs, Job, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.parcel import Parcel, arriving
from offload.core.records import DeadLetter
from offload.core.unique import Scope, UniqueKey
from offload.store.base import Channel
from offload.store.records import (
    Row,
    error_of,
    json_text,
    kept_values,
    log_of,
    metric_of,
    part_of,
    repeat_of,
)
from offload.store.sqlite.enqueueing import found, known
from offload.store.sqlite.operating import remove
from offload.store.sqlite.rows import COLUMNS, job_of, job_row
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


def pack(tx: Transaction, after: int, limit: int) -> list[Parcel]:
    """Read a page of jobs, and what is kept of them, a statement for each kind."""
    rows = tx.execute(SQL["packed"], {"after": after, "limit": limit})
    jobs = {row[len(COLUMNS)]: job_of(row) for row in rows}
    seqs = {"seqs": json.dumps(list(jobs))}
    parents = _by_job(tx, "packed_parents", seqs)
    kept = [_by_job(tx, f"packed_{kind}", seqs) for kind in _KINDS]
    return [
        _parcel(job, row, [parent for (parent,) in parents[seq]], [rows[seq] for rows in kept])
        for (seq, job), row in zip(jobs.items(), rows, strict=True)
    ]


_KINDS = ("errors", "logs", "parts", "metrics", "repeats")


def _by_job(tx: Transaction, name: str, seqs: dict[str, Any]) -> defaultdict[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for seq, *row in tx.execute(SQL[name], seqs):
        found[seq].append(tuple(row))
    return found


def _parcel(job: Job, row: Row, parents: Sequence[str], kept: Sequence[list[Row]]) -> Parcel:
    place, _, key, scope, until, on_failure, inputs, interval, most, started = row[len(COLUMNS) :]
    window = None if until is None else (until - job.created_at) / 1000
    asked = NewJob(
        job.id,
        job.task,
        unique=None if key is None else UniqueKey(key, Scope(scope), window=window),
        depends_on=tuple(parents),
        on_parent_failure=OnParentFailure(on_failure),
        inputs=Inputs(inputs),
        lane=None if job.lane is None else Lane(job.lane, interval, most),
    )
    errors, logs, parts, metrics, repeats = kept
    return Parcel(
        place,
        job,
        asked,
        started,
        tuple(error_of((row[0], job.id, *row[1:])) for row in errors),
        tuple(log_of((row[0], job.id, job.task, *row[1:])) for row in logs),
        tuple(part_of((row[0], job.id, *row[1:])) for row in parts),
        tuple(metric_of((row[0], job.id, job.task, *row[1:])) for row in metrics),
        tuple(map(repeat_of, repeats)),
    )


def unpack(tx: Transaction, parcel: Parcel, now: int) -> bool:
    """Insert a job as it was, with what came with it; False if it is there."""
    if known(tx, [parcel.job.id]):
        return False
    there = {job.id: job for job in found(tx, parcel.asked.depends_on)}
    parents = [there[each] for each in parcel.asked.depends_on if each in there]
    job, asked = arriving(parcel, parents), _allowed(tx, parcel.asked, now)
    [(seq,)] = tx.execute(SQL["unpack_job"], job_row(job) | kept_values(job, asked, now))
    places = [(place, job.id, parent.id) for place, parent in enumerate(parents)]
    tx.each(SQL["insert_dependency"], places)
    if asked.lane is not None and asked.lane.limited:
        tx.execute(SQL["unpack_lane"], (*astuple(asked.lane), parcel.lane_started_at))
    _unpack_records(tx, seq, parcel)
    tx.channels |= {Channel.READY, Channel.CHANGED}
    return True


def _allowed(tx: Transaction, asked: NewJob, now: int) -> NewJob:
    """Return what the job may ask for here: its key stays with whoever holds it."""
    if asked.unique is None:
        return asked
    tx.execute(SQL["drop_key"], (asked.unique.key, now))
    is_held = tx.execute(SQL["holder"], (asked.unique.key,))
    return replace(asked, unique=None) if is_held else asked


def _unpack_records(tx: Transaction, seq: int, parcel: Parcel) -> None:
    errors = [(seq, row.attempt, *astuple(row.failure), row.failed_at) for row in parcel.errors]
    tx.each(SQL["insert_error"], errors)
    logs = [
        (seq, row.attempt, line.level, line.message, json_text(line.extra), row.logged_at)
        for row in parcel.logs
        for line in [row.line]
    ]
    tx.each(SQL["insert_log"], logs)
    parts = [(seq, row.attempt, row.value, row.published_at) for row in parcel.parts]
    tx.each(SQL["insert_part"], parts)
    metrics = [
        (seq, row.attempt, row.move.value, row.wait, row.ran, row.memory, row.recorded_at)
        for row in parcel.metrics
    ]
    tx.each(SQL["insert_metric"], metrics)
    repeats = [(row.origin, row.job_id, row.repeated_at) for row in parcel.repeats]
    tx.each(SQL["unpack_repeat"], repeats)


def forget(tx: Transaction, versions: Mapping[str, int]) -> list[bool]:
    """Delete the jobs that are as they were, each after those that depend on it."""
    gone = []
    for job_id, version in versions.items():
        found = tx.execute(SQL["forgettable"], (job_id, version))
        remove(tx, [(seq, job_id) for (seq,) in found])
        gone.append(bool(found))
    if any(gone):
        tx.channels.add(Channel.CHANGED)
    return gone


def put_letters(tx: Transaction, letters: Sequence[DeadLetter]) -> None:
    """Insert the letters that are not there."""
    tx.each(SQL["put_letter"], [job_row(letter.job) for letter in letters])
