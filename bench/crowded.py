"""One worker on a store that holds millions of jobs, beside one on an empty store."""

import time
from pathlib import Path

import apsw

from bench import library

SLICE = 20_000
BATCH = 50_000

COPY_AS_FINISHED = """
    UPDATE jobs SET state = 'complete', phase = NULL, attempt = 1, lease = 1, progress = 100,
        result = x'6E756C6C', started_at = created_at, finished_at = created_at + 1
    WHERE state = 'pending'"""


def figures(folder: Path, rows: int) -> dict[str, float]:
    """Return the rates on both stores, in jobs a second, and their ratio."""
    empty = library.drain(str(folder / "empty.db"), SLICE)
    with library.opened(str(folder / "full.db")) as bench:
        fill(bench, rows)
        finish_all(bench.place)
        fill(bench, rows)
        crowded = drained_from_the_front(bench)
    return {
        "empty store, jobs/s": empty,
        f"{rows:,} finished and {rows:,} pending, jobs/s": crowded,
        "ratio": crowded / empty,
    }


def fill(bench: library.Bench, rows: int) -> None:
    """Enqueue that many empty jobs."""
    for _ in range(0, rows, BATCH):
        bench.noop.map([()] * min(BATCH, rows))


def finish_all(path: str) -> None:
    """Turn what is pending into finished jobs: running them would take minutes."""
    connection = apsw.Connection(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(COPY_AS_FINISHED)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def drained_from_the_front(bench: library.Bench) -> float:
    """Return the jobs a second of a worker that has far more to do than it does here."""
    reader = apsw.Connection(bench.place)
    newest = "SELECT max(finished_at) FROM jobs WHERE finished_at IS NOT NULL"
    ((before,),) = reader.execute(newest)
    ended = "SELECT count(*), min(started_at), max(finished_at) FROM jobs WHERE finished_at > ?"
    count, first, last = 0, 0, 0
    with bench.worker("--queues", "default"):
        while count < SLICE:
            time.sleep(0.1)
            ((count, first, last),) = reader.execute(ended, (before,))
    reader.close()
    return float(count * 1000 / (last - first))
