"""The driver's SQL, by name."""

from offload.store.records import KEPT
from offload.store.sql import load
from offload.store.sqlite.rows import CLAIMED, COLUMNS, JOB, SCHEDULE

FREE = """(held_key IS NULL OR key_until <= :now) AND NOT EXISTS (
        SELECT 1 FROM job_dependencies JOIN jobs AS child ON child.seq = job_dependencies.job
        WHERE job_dependencies.parent = jobs.seq AND child.phase = 'blocked'
    )"""
"""That a purge may take a job: it holds no unique key, and no job that depends on it is blocked."""

NEW = """
    id, task, queue, lane, state, phase, priority, run_at, created_at, blockers,
    max_retries, backoff, max_retry_delay, retry_delays, timeout, expires_at, result_ttl,
    unique_key, held_key, key_scope, key_until, on_parent_failure, inputs,
    metadata, tags, origin, schedule, tick, payload
"""
"""The columns of a job that comes in."""
_SHARED = NEW.count(",") - 2
"""All but the state, which is always the same, and each job's own: id and payload."""

ALIKE = 32
"""Jobs that `insert_alike` stores at a time; apsw keeps no statement that is over 16 KB."""


def _alike() -> str:
    shared = [f"?{number}" for number in range(1, _SHARED + 1)]
    shared.insert(3, "'pending'")
    middle = ", ".join(shared)
    firsts = range(_SHARED + 1, _SHARED + 2 * ALIKE, 2)
    return ", ".join(f"(?{first}, {middle}, ?{first + 1})" for first in firsts)


SQL = load(
    "offload.store.sqlite.sql",
    job=JOB,
    claimed=CLAIMED,
    schedule=SCHEDULE,
    free=FREE,
    new=NEW,
    alike=_alike(),
    holes=", ".join(f":{name}" for name in COLUMNS),
    kept=", ".join(KEPT),
    kept_holes=", ".join(f":{name}" for name in KEPT),
)
