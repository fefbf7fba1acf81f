"""Empty jobs through streaQ: `python redis_streaq.py URL COUNT CONCURRENCY`.

Prints the jobs a second. Results are stored.
"""

import sys
import time

from anyio import run
from streaq import Worker


async def main(url: str, count: int, concurrency: int) -> float:
    """Return the jobs a second of one worker, which ends when there is nothing left to do."""
    worker = Worker(redis_url=url, concurrency=concurrency, handle_signals=False)
    done = 0

    @worker.task  # type: ignore[untyped-decorator] # theirs, which mypy does not see
    async def noop() -> None:
        nonlocal done
        done += 1

    async with worker:
        await worker.enqueue_many([noop.enqueue() for _ in range(count)])
    worker.burst = True
    began = time.perf_counter()
    await worker.run_async()
    rate = count / (time.perf_counter() - began)
    assert done == count
    return rate


if __name__ == "__main__":
    url, count, concurrency = sys.argv[1:]
    uvloop = {"use_uvloop": True}
    print(run(main, url, int(count), int(concurrency), backend_options=uvloop))
