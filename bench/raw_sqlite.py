"""The raw loop: the queue's own table and durability, driven by a bare script.

What the library cannot beat, and is measured against: claim a batch, decode, call, encode, finish.
Ids are UUIDs, as any program would use, made before the clock starts.
"""

import json
import time
import uuid
from pathlib import Path
from typing import cast

import apsw

from bench.tasks import Clock
from offload.store.sqlite import connection

INSERT = """INSERT INTO jobs (id, task, queue, state, phase, payload, priority, run_at, created_at,
    max_retries, backoff, max_retry_delay, on_parent_failure, inputs)
    VALUES (?, 'noop', 'default', 'pending', 'ready', x'5B5B5D2C7B7D5D', 0, ?, ?, 3, 1.0, 300.0,
    'cancel', 'none')"""
CLAIM = """UPDATE jobs SET state = 'running', phase = NULL, worker = 'raw', attempt = attempt + 1,
    lease = lease + 1, started_at = ?, version = version + 1
    WHERE seq IN (SELECT seq FROM jobs WHERE phase = 'ready' AND lane IS NULL
        AND queue = 'default' ORDER BY priority DESC, run_at, seq LIMIT 256)
    RETURNING seq, lease, payload"""
FINISH = """UPDATE jobs SET state = 'complete', result = ?, progress = 100, worker = NULL,
    finished_at = ?, version = version + 1 WHERE seq = ? AND lease = ? AND state = 'running'"""


def opened(path: str, synchronous: str) -> apsw.Connection:
    """Return a connection to a file with the library's schema and pragmas."""
    found = connection.connect(Path(path), synchronous)
    connection.migrate(found)
    return found


def insert_singly(path: str, count: int, synchronous: str) -> float:
    """Return the rows a second of one INSERT a transaction."""
    database = opened(path, synchronous)
    ids = _ids(count)
    with Clock(count) as clock:
        for job_id in ids:
            now = _now()
            with connection.immediate(database):
                database.execute(INSERT, (job_id, now, now))
    database.close()
    return clock.rate


def insert_batch(path: str, count: int, synchronous: str) -> float:
    """Return the rows a second of all INSERTs in one transaction."""
    database = opened(path, synchronous)
    ids = _ids(count)
    with Clock(count) as clock, connection.immediate(database):
        now = _now()
        database.executemany(INSERT, ((job_id, now, now) for job_id in ids))
    database.close()
    return clock.rate


def drain(path: str, count: int, synchronous: str) -> float:
    """Return the jobs a second of claiming, calling and finishing in batches of 256."""
    insert_batch(path, count, synchronous)
    database = opened(path, synchronous)
    done = 0
    with Clock(count) as clock:
        while True:
            with connection.immediate(database):
                rows = database.execute(CLAIM, (_now(),)).fetchall()
            if not rows:
                break
            ends = []
            for seq, lease, payload in rows:
                args, kwargs = json.loads(cast("bytes", payload))
                result = json.dumps(_noop(*args, **kwargs)).encode()
                ends.append((result, _now(), seq, lease))
            with connection.immediate(database):
                database.executemany(FINISH, ends)
            done += len(rows)
    assert done == count
    database.close()
    return clock.rate


def _ids(count: int) -> list[str]:
    return sorted(str(uuid.uuid4()) for _ in range(count))  # in order, as the library's are


def _now() -> int:
    return time.time_ns() // 1_000_000


def _noop() -> object:
    return None
