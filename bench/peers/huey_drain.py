"""Empty jobs through huey on SQLite: `python huey_drain.py FOLDER COUNT WORKERS FSYNC`.

Prints the jobs a second. Results are stored. huey has no acknowledgement: a job whose worker
dies is lost. `fsync=0` is its default, synchronous=OFF, which a power loss may corrupt.
"""

import sys
import time
from pathlib import Path

from huey import SqliteHuey
from huey.consumer import Consumer


def main(folder: str, count: int, workers: int, *, fsync: bool) -> float:
    """Return the jobs a second of one consumer."""
    huey = SqliteHuey(filename=str(Path(folder, "huey.db")), fsync=fsync)
    noop = huey.task()(lambda: 1)
    results = [noop() for _ in range(count)]
    consumer = Consumer(huey, workers=workers, periodic=False, initial_delay=0.001, max_delay=0.01)
    began = time.perf_counter()
    consumer.start()
    for result in results[-workers:]:
        result.get(blocking=True, timeout=300, backoff=1, max_delay=0.002)
    rate = count / (time.perf_counter() - began)
    consumer.stop(graceful=True)
    return rate


if __name__ == "__main__":
    folder, count, workers, fsync = sys.argv[1:]
    print(main(folder, int(count), int(workers), fsync=fsync == "1"))
