"""Empty jobs through taskiq: `python redis_taskiq.py URL COUNT CONCURRENCY`.

Prints the jobs a second. Results are stored. Its stream broker acknowledges what was done, the
list broker loses what a dying worker holds.
"""

import asyncio
import sys
import time

import uvloop
from redis.asyncio import Redis
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker


async def main(url: str, count: int, concurrency: int) -> float:
    """Return the jobs a second of one worker."""
    results: RedisAsyncResultBackend[None] = RedisAsyncResultBackend(url, prefix_str="result")
    broker = RedisStreamBroker(url, xread_count=concurrency).with_result_backend(results)
    left, over = count, asyncio.Event()

    @broker.task(task_name="noop")  # type: ignore[untyped-decorator] # unseen by mypy
    async def noop() -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    await broker.startup()
    for _ in range(count):
        await noop.kiq()
    redis = Redis.from_url(url)
    began = time.perf_counter()
    working = asyncio.create_task(
        run_receiver_task(broker, max_async_tasks=concurrency, max_prefetch=concurrency)
    )
    await over.wait()
    while (await redis.xpending("taskiq", "taskiq"))["pending"]:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    rate = count / (time.perf_counter() - began)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return rate


if __name__ == "__main__":
    url, count, concurrency = sys.argv[1:]
    print(uvloop.run(main(url, int(count), int(concurrency))))
