"""Empty jobs through taskito on SQLite: `python taskito_drain.py FOLDER COUNT WORKERS`.

Prints the jobs a second. Results are stored; synchronous=NORMAL cannot be changed. A lower
`async_concurrency` than the default makes it several times faster.
"""

import os
import sys
import threading
import time
from pathlib import Path

from taskito import Queue


def main(folder: str, count: int, workers: int) -> float:
    """Return the jobs a second of one worker."""
    queue = Queue(
        db_path=str(Path(folder, "taskito.db")),
        workers=workers,
        async_concurrency=1,
        scheduler_batch_size=64,
    )
    noop = queue.task()(lambda: 1)
    noop.map([()] * count)
    began = time.perf_counter()
    threading.Thread(target=queue.run_worker, daemon=True).start()
    while queue.stats()["completed"] < count:
        time.sleep(0.02)
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    folder, count, workers = sys.argv[1:]
    print(main(folder, int(count), int(workers)), flush=True)
    os._exit(0)  # its worker does not always end
