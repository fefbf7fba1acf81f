"""offload, driven as a user drives it: a program that enqueues, and `offload worker`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from bench import tasks
from offload import Queue, Task

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0


@dataclass(frozen=True)
class Bench:
    """A queue on a file of its own, with the tasks of `bench.tasks`."""

    path: Path
    synchronous: str
    queue: Queue
    noop: Task[..., Any, Any]
    started: Task[..., Any, Any]
    slow: Task[..., Any, Any]

    @contextmanager
    def worker(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `offload worker` on the queue."""
        command = [sys.executable, "-m", "offload", "worker", "--app", "bench.tasks:queue"]
        environment = os.environ | {
            "OFFLOAD_BENCH_DB": str(self.path),
            "OFFLOAD_BENCH_SYNCHRONOUS": self.synchronous,
        }
        worker = subprocess.Popen(
            [*command, *options], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        try:
            self.started.delay(0.0).result(timeout=PATIENCE)  # it is up, and has imported all
            yield worker
        finally:
            worker.terminate()
            worker.wait()


@contextmanager
def opened(path: Path, synchronous: str = "FULL") -> Iterator[Bench]:
    """Yield a queue on `path` that is open already."""
    queue = Queue(db_path=str(path), synchronous=synchronous)
    noop, started, slow = (
        queue.task(name=task.name)(task.function)
        for task in (tasks.noop, tasks.started, tasks.slow)
    )
    queue.stats()
    yield Bench(path, synchronous, queue, noop, started, slow)
    queue.close()


def single(path: Path, count: int, synchronous: str) -> float:
    """Return the jobs a second of `delay()` from one thread."""
    with opened(path, synchronous) as bench:
        bench.noop.delay()
        with tasks.Clock(count) as clock:
            for _ in range(count):
                bench.noop.delay()
    return clock.rate


def batch(path: Path, count: int, synchronous: str) -> float:
    """Return the jobs a second of one `map`."""
    with opened(path, synchronous) as bench:
        bench.noop.delay()
        with tasks.Clock(count) as clock:
            bench.noop.map([()] * count)
    return clock.rate


def drain(path: Path, count: int, synchronous: str) -> float:
    """Return the jobs a second of one worker process with 4 slots, which is up already."""
    with opened(path, synchronous) as bench, bench.worker():
        return drained(bench, count)


def drained(bench: Bench, count: int) -> float:
    """Enqueue `count` empty jobs at once, wait for their end, and return the jobs a second.

    The store's own stamps tell, from the enqueue's commit to the last end.
    """
    jobs = bench.noop.map([()] * count)
    stats = bench.queue.stats()
    while stats["pending"] + stats["running"]:
        time.sleep(0.25)  # who looks all the time takes from what is measured
        stats = bench.queue.stats()
    reader = apsw.Connection(str(bench.path))
    ((first, last),) = reader.execute(
        "SELECT min(started_at), max(finished_at) FROM jobs WHERE id >= ? AND id <= ?",
        (jobs[0].id, jobs[-1].id),
    )
    reader.close()
    return float(count * 1000 / (last - first))


def latencies(path: Path, count: int) -> tuple[list[float], list[float]]:
    """Return seconds from enqueue to the first line of the task, and to the result in hand.

    The worker is another process, idle at every enqueue.
    """
    starts, hands = [], []
    with opened(path) as bench, bench.worker():
        for _ in range(count):
            sent = time.monotonic()
            starts.append(bench.started.delay(sent).result(timeout=PATIENCE))
            hands.append(time.monotonic() - sent)
    return starts, hands


def fast_beside_slow(path: Path, count: int) -> float:
    """Return the seconds that `count` empty jobs take while slow jobs hold all slots but one."""
    with opened(path) as bench, bench.worker("--concurrency", "4"):
        bench.noop.map([()] * 2000)[-1].result(timeout=PATIENCE)  # it has learned to claim ahead
        bench.slow.map([(5.0,)] * 3)
        began = time.monotonic()
        for job in bench.noop.map([()] * count):
            job.result(timeout=PATIENCE)
        return time.monotonic() - began


def idle(path: Path, seconds: float) -> float:
    """Return the share of a core that an idle worker uses, all its processes together."""
    with opened(path) as bench, bench.worker() as worker:
        time.sleep(2.0)
        before = _processor_time(worker.pid)
        time.sleep(seconds)
        return (_processor_time(worker.pid) - before) / seconds


def _processor_time(root: int) -> float:
    """Return the seconds that a process and all its descendants have used so far."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    rows = [[*stat.rpartition(")")[2].split(), stat.split(" ", 1)[0]] for stat in stats]
    family, size = {root}, 0
    while len(family) != size:
        size = len(family)
        family |= {int(row[-1]) for row in rows if int(row[1]) in family}
    ticks = sum(int(row[11]) + int(row[12]) for row in rows if int(row[-1]) in family)
    return ticks / os.sysconf("SC_CLK_TCK")
