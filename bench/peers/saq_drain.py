"""Empty jobs through SAQ, on PostgreSQL or Redis: `python saq_drain.py URL COUNT CONCURRENCY`.

Prints the jobs a second. Results are stored. Its enqueue takes one job at a time.
"""

import asyncio
import sys
import time
from typing import Any

import uvloop
from saq import Queue, Worker


async def main(url: str, count: int, concurrency: int) -> float:
    """Return the jobs a second of one worker."""
    queue = Queue.from_url(url)
    await queue.connect()
    for _ in range(count):
        await queue.enqueue("noop")
    left, over = count, asyncio.Event()

    async def noop(_: dict[str, Any]) -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    worker = Worker(queue, functions=[("noop", noop)], concurrency=concurrency, dequeue_timeout=1)
    began = time.perf_counter()
    working = asyncio.create_task(worker.start())
    await over.wait()
    while await queue.count("incomplete"):  # noqa: ASYNC110 - ends are stored after the function
        await asyncio.sleep(0.01)
    rate = count / (time.perf_counter() - began)
    await worker.stop()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await queue.disconnect()
    return rate


if __name__ == "__main__":
    url, count, concurrency = sys.argv[1:]
    print(uvloop.run(main(url, int(count), int(concurrency))))
