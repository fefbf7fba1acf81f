"""Empty jobs through arq: `python redis_arq.py URL COUNT CONCURRENCY`.

Prints the jobs a second. Results are stored. Its enqueue takes one job at a time.
"""

import sys
import time
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func


async def main(url: str, count: int, concurrency: int) -> float:
    """Return the jobs a second of one worker, which ends when there is nothing left to do."""
    settings = RedisSettings.from_dsn(url)
    pool = await create_pool(settings)
    for _ in range(count):
        await pool.enqueue_job("noop")
    done = 0

    async def noop(_: dict[str, Any]) -> None:
        nonlocal done
        done += 1

    worker = Worker(
        [func(noop, name="noop")],
        redis_settings=settings,
        burst=True,
        max_jobs=concurrency,
        poll_delay=0.001,
        handle_signals=False,
    )
    began = time.perf_counter()
    await worker.main()
    rate = count / (time.perf_counter() - began)
    assert done == count
    return rate


if __name__ == "__main__":
    url, count, concurrency = sys.argv[1:]
    print(uvloop.run(main(url, int(count), int(concurrency))))
