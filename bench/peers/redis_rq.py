"""Empty jobs through RQ: `python redis_rq.py URL COUNT`.

Prints the jobs a second. Results are stored. The worker runs jobs in its own process: the usual
one forks for each of them.
"""

import logging
import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker


def main(url: str, count: int) -> float:
    """Return the jobs a second of one worker, which ends when there is nothing left to do."""
    logging.getLogger("rq.worker").setLevel(logging.ERROR)
    redis = Redis.from_url(url)
    queue = Queue(connection=redis)
    queue.enqueue_many([Queue.prepare_data("operator.not_", (1,)) for _ in range(count)])
    worker = SimpleWorker([queue], connection=redis)
    began = time.perf_counter()
    worker.work(burst=True)
    rate = count / (time.perf_counter() - began)
    assert queue.finished_job_registry.count == count
    return rate


if __name__ == "__main__":
    url, count = sys.argv[1:]
    print(main(url, int(count)))
