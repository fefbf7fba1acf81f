"""Empty jobs through dramatiq: `python redis_dramatiq.py URL COUNT THREADS`.

Prints the jobs a second. Results are not stored, as is its default.
"""

import sys
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker


def main(url: str, count: int, threads: int) -> float:
    """Return the jobs a second of one worker."""
    broker = RedisBroker(url=url)
    dramatiq.set_broker(broker)

    @dramatiq.actor  # type: ignore[untyped-decorator] # theirs, which mypy does not see
    def noop() -> None: ...

    for _ in range(count):
        noop.send()
    worker = dramatiq.Worker(broker, worker_threads=threads)
    began = time.perf_counter()
    worker.start()
    broker.join(noop.queue_name, interval=10)
    worker.join()
    rate = count / (time.perf_counter() - began)
    worker.stop()
    return rate


if __name__ == "__main__":
    url, count, threads = sys.argv[1:]
    print(main(url, int(count), int(threads)))
