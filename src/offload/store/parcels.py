"""Rows of jobs that move, for the drivers that keep them in SQL tables."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from offload.core.job import Inputs, Job, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.parcel import Parcel
from offload.core.unique import Scope, UniqueKey
from offload.store.records import Row, error_of, log_of, metric_of, part_of, repeat_of

KINDS = ("parents", "errors", "logs", "parts", "metrics", "repeats")
"""What is kept beside a job, each by the statement `packed_…`, with the job's seq in front."""

ByJob = defaultdict[int, list[Row]]


def by_job(rows: Iterable[Row]) -> ByJob:
    """Return the rows by the seq in front of them."""
    found: ByJob = defaultdict(list)
    for seq, *row in rows:
        found[seq].append(tuple(row))
    return found


def parcel_of(job: Job, rest: Row, kept: Sequence[ByJob]) -> Parcel:
    """Return the parcel of a row of the statement `packed`: `rest` is what follows the job.

    `kept` are the rows of all `KINDS`.
    """
    place, _, key, scope, until, on_failure, inputs, interval, most, started = rest
    window = None if until is None else (until - job.created_at) / 1000
    parents, errors, logs, parts, metrics, repeats = (rows[place] for rows in kept)
    asked = NewJob(
        job.id,
        job.task,
        unique=None if key is None else UniqueKey(key, Scope(scope), window=window),
        depends_on=tuple(parent for (parent,) in parents),
        on_parent_failure=OnParentFailure(on_failure),
        inputs=Inputs(inputs),
        lane=None if job.lane is None else Lane(job.lane, interval, most),
    )
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
