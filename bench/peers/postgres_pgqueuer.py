"""Empty jobs through pgqueuer: `python postgres_pgqueuer.py URL COUNT BATCH`.

Prints the jobs a second. Results are not stored, for it has none; a job that ends leaves a line
in its log instead.
"""

import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def main(url: str, count: int, batch: int) -> float:
    """Return the jobs a second of one worker, which ends when there is nothing left to do."""
    driver = AsyncpgDriver(await asyncpg.connect(url))
    await Queries(driver).install()
    await Queries(driver).enqueue(["noop"] * count, [b"[]"] * count, [0] * count)
    queue, done = PgQueuer(driver), 0

    @queue.entrypoint("noop")  # type: ignore[untyped-decorator] # theirs, which mypy does not see
    async def noop(_: Job) -> None:
        nonlocal done
        done += 1

    began = time.perf_counter()
    await queue.run(batch_size=batch, mode=QueueExecutionMode.drain)
    assert done == count
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    url, count, batch = sys.argv[1:]
    print(uvloop.run(main(url, int(count), int(batch))))
