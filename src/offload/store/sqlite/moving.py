"""Jobs that leave for another store, or come from one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace

from offload.core.job import NewJob
from offload.core.parcel import Parcel, arriving
from offload.core.records import DeadLetter
from offload.store.base import Channel
from offload.store.parcels import KINDS, by_job, parcel_of
from offload.store.records import json_text, kept_values
from offload.store.sqlite.enqueueing import found, known
from offload.store.sqlite.operating import remove
from offload.store.sqlite.rows import COLUMNS, job_of, job_row
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


def pack(tx: Transaction, after: int, limit: int) -> list[Parcel]:
    """Read a page of jobs, and what is kept of them, a statement for each kind."""
    rows = tx.execute(SQL["packed"], {"after": after, "limit": limit})
    seqs = {"seqs": json.dumps([row[len(COLUMNS)] for row in rows])}
    kept = [by_job(tx.execute(SQL[f"packed_{kind}"], seqs)) for kind in KINDS]
    return [parcel_of(job_of(row), row[len(COLUMNS) :], kept) for row in rows]


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
