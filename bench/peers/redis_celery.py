"""Empty jobs through Celery: `python redis_celery.py URL COUNT PREFETCH`.

Prints the jobs a second. Results are not stored, which is quicker. The pool is `solo`: a pool of
processes costs an empty job more than it can save.
"""

import sys
import threading
import time

from celery import Celery
from celery.contrib.testing.worker import start_worker


def main(url: str, count: int, prefetch: int) -> float:
    """Return the jobs a second of one worker."""
    app = Celery("bench", broker=url)
    app.conf.update(
        task_ignore_result=True,
        worker_prefetch_multiplier=prefetch,
        broker_transport_options={"visibility_timeout": 3600},
        worker_enable_remote_control=False,
        worker_send_task_events=False,
    )
    left, over, span = count, threading.Event(), [0.0, 0.0]

    @app.task(name="noop")  # type: ignore[untyped-decorator] # theirs, which mypy does not see
    def noop() -> None:
        nonlocal left
        if left == count:
            span[0] = time.perf_counter()
        left -= 1
        if not left:
            span[1] = time.perf_counter()
            over.set()

    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for _ in range(count):
            noop.apply_async(producer=producer)
    with start_worker(app, pool="solo", concurrency=1, perform_ping_check=False, loglevel="error"):
        over.wait()
    return count / (span[1] - span[0])


if __name__ == "__main__":
    url, count, prefetch = sys.argv[1:]
    print(main(url, int(count), int(prefetch)))
