"""The raw loop: the queue's own table and durability, driven by a bare script.

What the library cannot beat, and is measured against: claim a batch, decode, call, encode, finish.
"""

import json
from pathlib import Path
from typing import cast

import apsw

from bench.tasks import Clock
from offload.store.sqlite import connection

INSERT = """INSERT INTO jobs (id, task, queue, state, phase, payload, priority, run_at, created_at,
    max_retries, backoff, max_retry_delay, on_parent_failure, inputs)
    VALUES (?, 'noop', 'default', 'pending', 'ready', x'5B5B5D2C7B7D5D', 0, 0, 0, 3, 1.0, 300.0,
        'cancel', 'none')"""
CLAIM = """UPDATE jobs SET state = 'running', phase = NULL, worker = 'raw', attempt = attempt + 1,
    lease = lease + 1, started_at = 0, version = version + 1
    WHERE seq IN (
        SELECT seq FROM jobs WHERE phase = 'ready' AND lane IS NULL AND queue = 'default'
        ORDER BY priority DESC, run_at, seq LIMIT 256)
    RETURNING id, lease, payload"""
FINISH = """UPDATE jobs SET state = 'complete', result = ?, progress = 100, worker = NULL,
    finished_at = 0, version = version + 1 WHERE id = ? AND lease = ? AND state = 'running'"""


def opened(path: Path) -> apsw.Connection:
    """Return a connection to a file with the library's schema and pragmas."""
    found = connection.connect(path, "FULL")
    connection.migrate(found)
    return found


def insert_singly(path: Path, count: int) -> float:
    """Return the rows a second of one INSERT a transaction."""
    database = opened(path)
    with Clock(count) as clock:
        for number in range(count):
            with connection.immediate(database):
                database.execute(INSERT, (f"single-{number}",))
    database.close()
    return clock.rate


def insert_batch(path: Path, count: int) -> float:
    """Return the rows a second of all INSERTs in one transaction."""
    database = opened(path)
    with Clock(count) as clock, connection.immediate(database):
        database.executemany(INSERT, ((f"batch-{number}",) for number in range(count)))
    database.close()
    return clock.rate


def drain(path: Path, count: int) -> float:
    """Return the jobs a second of claiming, calling and finishing in batches of 256."""
    database = opened(path)
    done = 0
    with Clock(count) as clock:
        while True:
            with connection.immediate(database):
                rows = database.execute(CLAIM).fetchall()
            if not rows:
                break
            ends = []
            for job_id, lease, payload in rows:
                args, kwargs = json.loads(cast("bytes", payload))
                ends.append((json.dumps(_noop(*args, **kwargs)), job_id, lease))
            with connection.immediate(database):
                database.executemany(FINISH, ((end[0].encode(), *end[1:]) for end in ends))
            done += len(rows)
    assert done == count
    database.close()
    return clock.rate


def _noop() -> object:
    return None
