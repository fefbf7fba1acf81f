"""The driver's SQL, by name, for one schema; `{fragment}`s are what several statements share."""

import re
from functools import lru_cache

from offload.store.postgres.rows import COLUMNS as JOB_COLUMNS, COMPLETES, ENDS, JOB, JOBS, SCHEDULE
from offload.store.records import KEPT
from offload.store.sql import load

COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)

OF_ONE = ("insert_jobs", "finish", "complete", "ended_already")
"""Statements that are there a second time, `…_of_one`, for one row."""

# Without a clock of its own (which tests put in) a store goes by the server's.
NOW = """coalesce(
        %(now)s::bigint, floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint
    )"""
TICKS = "coalesce(%(ticks)s::float8, extract(epoch FROM clock_timestamp())::float8)"
BOOT = "coalesce(%(boot)s::text, '')"

WANTED = """name IS NOT NULL
        AND (%(queues)s::text[] IS NULL OR name = ANY (%(queues)s::text[]))
        AND name <> ALL (ARRAY(SELECT paused_queues.name FROM {schema}.paused_queues))"""

CLAIMED = """state = 'running', phase = NULL, worker = %(worker)s, attempt = attempt + 1,
        lease = lease + 1, started_at = clock.now, waited = clock.now - run_at,
        progress = NULL, message = NULL, data = NULL,
        held_key = CASE key_scope WHEN 'pending' THEN NULL ELSE held_key END,
        version = version + 1"""

HALTED = "(asked.state = 'pending' AND cancel_requested)"
"""That an ending would let a job run again which was asked to stop."""

FREE = """(held_key IS NULL OR key_until <= {now}) AND NOT EXISTS (
        SELECT FROM {schema}.job_dependencies AS waits
        JOIN {schema}.jobs AS child ON child.seq = waits.job
        WHERE waits.parent = jobs.seq AND child.phase = 'blocked'
    )"""
"""That a purge may take a job: it holds no unique key, and no job that depends on it is blocked."""

LOCK_LIVES = "(held.boot = {boot} AND held.until > {ticks})"

OF_HOLDER = "(%(holder)s::text IS NULL OR jobs.worker = %(holder)s::text)"
"""That a job is at the worker that its lease was given to, as far as that is known."""

OF_QUEUE = "(%(queue)s::text IS NULL OR queue = %(queue)s::text)"

COPIED = (
    "id, task, queue, lane, phase, priority, run_at, created_at, max_retries, backoff, "
    "max_retry_delay, retry_delays, timeout, expires_at, result_ttl, on_parent_failure, inputs, "
    "metadata, tags, origin, schedule, tick, payload"
)

COLUMNS = (
    "seq, run_at, created_at, started_at, finished_at, expires_at, key_until, tick, lease, "
    "version, waited, backoff, max_retry_delay, timeout, result_ttl, priority, attempt, crashes, "
    "blockers, max_retries, progress, cancel_requested, awaited, id, task, queue, state, phase, "
    "lane, worker, unique_key, held_key, key_scope, on_parent_failure, inputs, retry_delays, "
    "metadata, tags, origin, schedule, message, error, data, payload, result"
)


@lru_cache
def statements(schema: str) -> dict[str, str]:
    """Return every statement for the schema, which is quoted already."""
    many = _loaded(schema, JOBS.many(), ENDS.many(), COMPLETES.many())
    one = _loaded(schema, JOBS.one(), ENDS.one(), COMPLETES.one())
    found = many | {f"{name}_of_one": one[name] for name in OF_ONE}
    # The reasons stay here: they would go over the wire with each statement.
    return {name: COMMENT.sub("", text) for name, text in found.items()}


def _loaded(schema: str, asked_jobs: str, asked_ends: str, asked_completes: str) -> dict[str, str]:
    return load(
        "offload.store.postgres.sql",
        asked_jobs=asked_jobs,
        asked_ends=asked_ends,
        asked_completes=asked_completes,
        wanted=WANTED,
        claimed=CLAIMED,
        halted=HALTED,
        free=FREE,
        lock_lives=LOCK_LIVES,
        of_holder=OF_HOLDER,
        of_queue=OF_QUEUE,
        copied=COPIED,
        columns=COLUMNS,
        job=JOB,
        schedule=SCHEDULE,
        now=NOW,
        ticks=TICKS,
        boot=BOOT,
        kept=", ".join(KEPT),
        kept_holes=", ".join(f"%({name})s" for name in KEPT),
        holes=", ".join(f"%({name})s" for name in JOB_COLUMNS),
        schema=schema,
    )
