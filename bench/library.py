"""offload, driven as a user drives it: a program that enqueues, and `offload worker`.

A `place` is what a queue takes for its URL: that of a server, or a file.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import tasks
from offload import Queue, Task
from offload.store.open import open_store

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0
PAGE = 1000
"""Jobs that are read at once, after the clock has stopped."""


@dataclass(frozen=True)
class Bench:
    """A queue on a place of its own, with the tasks of `bench.tasks`."""

    place: str
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
            "OFFLOAD_BENCH_PLACE": self.place,
            "OFFLOAD_BENCH_SYNCHRONOUS": self.synchronous,
        }
        worker = subprocess.Popen(
            [*command, *options], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        try:
            # It is up, and has imported all; on a crowded store, before what waits there.
            self.started.apply_async(args=(0.0,), priority=1).result(timeout=PATIENCE)
            yield worker
        finally:
            worker.terminate()
            worker.wait()


@contextmanager
def opened(place: str, synchronous: str = "FULL") -> Iterator[Bench]:
    """Yield a queue on `place` that is open already."""
    queue = Queue(place, synchronous=synchronous)
    noop, started, slow = (
        queue.task(name=task.name)(task.function)
        for task in (tasks.noop, tasks.started, tasks.slow)
    )
    queue.stats()
    yield Bench(place, synchronous, queue, noop, started, slow)
    queue.close()


def single(place: str, count: int, synchronous: str = "FULL") -> float:
    """Return the jobs a second of `delay()` from one thread."""
    with opened(place, synchronous) as bench:
        bench.noop.delay()
        with tasks.Clock(count) as clock:
            for _ in range(count):
                bench.noop.delay()
    return clock.rate


def batch(place: str, count: int, synchronous: str = "FULL") -> float:
    """Return the jobs a second of one `map`."""
    with opened(place, synchronous) as bench:
        bench.noop.delay()
        with tasks.Clock(count) as clock:
            bench.noop.map([()] * count)
    return clock.rate


def drain(place: str, count: int, synchronous: str = "FULL") -> float:
    """Return the jobs a second of one worker process with 4 slots, which is up already."""
    with opened(place, synchronous) as bench, bench.worker():
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
    first, last = asyncio.run(stamps(bench.place, [job.id for job in jobs]))
    return count * 1000 / (last - first)


async def stamps(place: str, ids: Sequence[str]) -> tuple[int, int]:
    """Return when the first of these jobs has started and the last has ended, in milliseconds."""
    store = open_store(place)
    await store.open()
    jobs = [
        job
        for start in range(0, len(ids), PAGE)
        for job in await store.get(ids[start : start + PAGE])
        if job is not None
    ]
    await store.close()
    assert len(jobs) == len(ids)
    return min(job.started_at or 0 for job in jobs), max(job.finished_at or 0 for job in jobs)


def latencies(place: str, count: int) -> tuple[list[float], list[float]]:
    """Return seconds from enqueue to the first line of the task, and to the result in hand.

    The worker is another process, idle at every enqueue.
    """
    starts, hands = [], []
    with opened(place) as bench, bench.worker():
        for _ in range(count):
            sent = time.monotonic()
            starts.append(bench.started.delay(sent).result(timeout=PATIENCE))
            hands.append(time.monotonic() - sent)
    return starts, hands


def fast_beside_slow(place: str, count: int) -> float:
    """Return the seconds that `count` empty jobs take while slow jobs hold all slots but one."""
    with opened(place) as bench, bench.worker("--concurrency", "4"):
        bench.noop.map([()] * 2000)[-1].result(timeout=PATIENCE)  # it has learned to claim ahead
        bench.slow.map([(5.0,)] * 3)
        began = time.monotonic()
        for job in bench.noop.map([()] * count):
            job.result(timeout=PATIENCE)
        return time.monotonic() - began


def idle(place: str, seconds: float) -> float:
    """Return the share of a core that an idle worker uses, all its processes together."""
    share, _ = idle_asking(place, seconds, lambda: 0)
    return share


def idle_asking(
    place: str, seconds: float, count: Callable[[], int], settled: float = 2.0
) -> tuple[float, float]:
    """Return that share, and by how much a count rises in a second meanwhile.

    `settled` are the seconds after which nothing of the start is counted any more.
    """
    with opened(place) as bench, bench.worker() as worker:
        time.sleep(settled)
        before, counted = processor_time(worker.pid), count()
        time.sleep(seconds)
        used = processor_time(worker.pid) - before
        return used / seconds, (count() - counted) / seconds


def processor_time(root: int) -> float:
    """Return the seconds that a process and all its descendants have used so far."""
    stats = _stats()
    family, size = {root}, 0
    while len(family) != size:
        size = len(family)
        family |= {pid for pid, (parent, _) in stats.items() if parent in family}
    return sum(seconds for pid, (_, seconds) in stats.items() if pid in family)


def own_time(pid: int) -> float:
    """Return the seconds that a process alone has used so far."""
    return _stats()[pid][1]


def _stats() -> dict[int, tuple[int, float]]:
    """Return the parent and the processor seconds of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            name, _, rest = path.read_text().rpartition(")")
            row = rest.split()
            seconds = (int(row[11]) + int(row[12])) / os.sysconf("SC_CLK_TCK")
            found[int(name.split(" ", 1)[0])] = (int(row[1]), seconds)
    return found
