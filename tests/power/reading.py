"""All that can be read from a store, as lines that can be compared."""

from dataclasses import replace
from typing import TypeVar

from offload.core.job import Job
from offload.core.records import AttemptError, DeadLetter, JobLog, Metric, Part
from offload.store.base import JobFilter, RecordFilter, Store
from tests.power.log import Records

MOST = 1000
"""More than a history ever holds of anything."""

LOCKS = ("m",)
"""The locks of a history: with one, its owners are often in each other's way."""

Row = TypeVar("Row", AttemptError, JobLog, Metric, Part)


async def records(store: Store) -> Records:
    """Return all that the port lets one read; what it does not promise is left out."""
    jobs = await store.search(JobFilter(limit=MOST))
    letters = await store.dead_letters(MOST, 0)
    claimed = {job.id for job in jobs if job.lease}
    beside = [await _of_run(store, job_id) for job_id in sorted(claimed)]
    beside += [await _of_kin(store, job_id) for job_id in _ids(jobs, letters)]
    all_of_them = RecordFilter(limit=MOST)
    logs, metrics = await store.logs(all_of_them), await store.metrics(all_of_them)
    # How long ago a worker beat means nothing once its machine was off.
    workers = [replace(each, age=0.0, alive=False) for each in await store.workers()]
    operated = (*await store.queues(), *await store.schedules())
    rows = (*jobs, *letters, *_numbered(logs), *_numbered(metrics), *workers, *operated)
    return merged(tuple(map(repr, rows)), *beside)


def merged(*parts: Records) -> Records:
    """Return the lines of all parts."""
    return tuple(sorted(line for part in parts for line in part))


def _ids(jobs: list[Job], letters: list[DeadLetter]) -> list[str]:
    """Return the ids of which something may be kept; an origin's repeats outlive it."""
    origins = {job.origin for job in jobs if job.origin is not None}
    return sorted({job.id for job in jobs} | {letter.id for letter in letters} | origins)


async def _of_run(store: Store, job_id: str) -> Records:
    errors, parts = await store.errors(job_id), await store.parts(job_id, 0, MOST)
    return tuple(map(repr, (*_numbered(errors), *_numbered(parts))))


async def _of_kin(store: Store, job_id: str) -> Records:
    family, repeats = await store.family(job_id), await store.repeats(job_id)
    kin = (f"{family} of {job_id}",) if family.parents or family.dependents else ()
    return (*map(repr, repeats), *kin)


def _numbered(rows: list[Row]) -> list[Row]:
    """Return the rows by their places: their ids are the store's own affair, their order not."""
    return [replace(row, id=place) for place, row in enumerate(rows)]


async def tokens(store: Store) -> Records:
    """Return the newest token of each lock of a machine that was off; it takes them all."""
    taken = [(name, await store.acquire(name, "survivor", 1.0)) for name in LOCKS]
    return tuple(token_line(name, token - 1) for name, token in taken if token is not None)


def token_line(name: str, token: int) -> str:
    """Return the line for a lock's newest token; 0 if it was never held."""
    return f"Token({name!r}, {token})"
