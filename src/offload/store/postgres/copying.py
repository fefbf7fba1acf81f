"""Jobs as the block of text that COPY takes, in the order of `statements.COPIED`."""

from collections.abc import Sequence

from offload.core.alike import Alike
from offload.core.job import Job, NewJob, stored
from offload.store.postgres.arrays import texts
from offload.store.postgres.rows import delays_text
from offload.store.records import json_text

Cell = str | float | None

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def block_of(jobs: Sequence[NewJob], now: int) -> str:
    """Return plain jobs that are accepted at `now`, a line each."""
    if isinstance(jobs, Alike):
        shared = _shared(jobs.pattern, stored(jobs.pattern, now))
        pairs = zip(jobs.ids, jobs.payloads, strict=True)
        return "".join([_line(each, shared, payload) for each, payload in pairs])
    return "".join([_line(new.id, _shared(new, stored(new, now)), new.payload) for new in jobs])


def _line(job_id: str, shared: str, payload: bytes) -> str:
    return f"{_cell(job_id)}\t{shared}\t\\\\x{payload.hex()}\n"


def _shared(new: NewJob, job: Job) -> str:
    """Return all columns but the first and the last."""
    retry = job.retry
    cells: list[Cell] = [
        job.task,
        job.queue,
        job.lane,
        "ready" if job.run_at <= job.created_at else "later",
        job.priority,
        job.run_at,
        job.created_at,
        retry.max_retries,
        retry.backoff,
        retry.max_delay,
        delays_text(retry),
        job.timeout,
        job.expires_at,
        job.result_ttl,
        new.on_parent_failure.value,
        new.inputs.value,
        json_text(job.metadata),
        texts(job.tags) if job.tags else None,
        job.origin,
        job.schedule,
        job.tick,
    ]
    return "\t".join(map(_cell, cells))


def _cell(value: Cell) -> str:
    if value is None:
        return "\\N"
    return value.translate(ESCAPES) if isinstance(value, str) else repr(value)
