"""The raw loop: the queue's own tables and durability, driven by a bare script.

What the library cannot beat, and is measured against: claim a batch, decode, call, encode, finish.
Ids are UUIDs, as any program would use, made before the clock starts.
"""

import json
import time
import uuid
from typing import Any, cast

import psycopg

from bench.tasks import Clock
from offload.store.postgres.connection import SETTINGS

INSERT = """INSERT INTO offload.jobs (id, task, queue, state, phase, payload, priority, run_at,
    created_at, max_retries, backoff, max_retry_delay, on_parent_failure, inputs)
    VALUES (%s, 'noop', 'default', 'pending', 'ready', '[[],{}]', 0, %s, %s, 3, 1.0, 300.0,
    'cancel', 'none')"""
COPY = """COPY offload.jobs (id, task, queue, state, phase, payload, priority, run_at, created_at,
    max_retries, backoff, max_retry_delay, on_parent_failure, inputs) FROM STDIN"""
CLAIM = """WITH taken AS MATERIALIZED (
        SELECT seq FROM offload.jobs WHERE phase = 'ready' AND lane IS NULL AND queue = 'default'
        ORDER BY priority DESC, run_at, seq LIMIT 256 FOR UPDATE SKIP LOCKED
    )
    UPDATE offload.jobs SET state = 'running', phase = NULL, worker = 'raw', attempt = attempt + 1,
        lease = lease + 1, started_at = %s, version = version + 1
    FROM taken WHERE jobs.seq = taken.seq RETURNING jobs.seq, lease, payload"""
FINISH = """UPDATE offload.jobs SET state = 'complete', result = ended.result, progress = 100,
        worker = NULL, finished_at = ended.now, version = version + 1
    FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::bigint[])
        AS ended (seq, lease, result, now)
    WHERE jobs.seq = ended.seq AND jobs.lease = ended.lease AND jobs.state || '' = 'running'"""

Connection = psycopg.Connection[tuple[Any, ...]]


def opened(url: str) -> Connection:
    """Return a connection to a database that has the library's schema, tuned as the library's."""
    return psycopg.connect(url, autocommit=True, options=SETTINGS, prepare_threshold=1)


def insert_singly(url: str, count: int) -> float:
    """Return the rows a second of one INSERT a transaction."""
    with opened(url) as connection:
        ids = _ids(count)
        with Clock(count) as clock:
            for job_id in ids:
                now = _now()
                connection.execute(INSERT, (job_id, now, now))
    return clock.rate


def insert_batch(url: str, count: int) -> float:
    """Return the rows a second of all rows in one COPY."""
    with opened(url) as connection:
        ids = _ids(count)
        with Clock(count) as clock:
            now = _now()
            rows = [
                f"{each}\tnoop\tdefault\tpending\tready\t[[],{{}}]\t0\t{now}\t{now}\t3\t1\t300"
                "\tcancel\tnone\n"
                for each in ids
            ]
            with connection.cursor() as cursor, cursor.copy(COPY) as copy:
                copy.write("".join(rows))
    return clock.rate


def drain(url: str, count: int) -> float:
    """Return the jobs a second of claiming, calling and finishing in batches of 256."""
    insert_batch(url, count)
    done = 0
    with opened(url) as connection, Clock(count) as clock:
        while rows := connection.cursor(binary=True).execute(CLAIM, (_now(),)).fetchall():
            seqs, leases, results, ends = [], [], [], []
            for seq, lease, payload in rows:
                args, kwargs = json.loads(cast("bytes", payload))
                results.append(json.dumps(_noop(*args, **kwargs)).encode())
                seqs.append(seq)
                leases.append(lease)
                ends.append(_now())
            connection.execute(FINISH, (seqs, leases, results, ends))
            done += len(rows)
    assert done == count
    return clock.rate


def _ids(count: int) -> list[str]:
    return sorted(str(uuid.uuid4()) for _ in range(count))  # in order, as the library's are


def _now() -> int:
    return time.time_ns() // 1_000_000


def _noop() -> object:
    return None
