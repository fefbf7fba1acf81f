"""`make bench`: the library beside the raw loop, in one run, on this machine.

Absolute figures are the machine's; the ratios are the library's. Medians of the rounds.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import raw_sqlite, tasks
from offload import JobHandle, Queue, Task

Measure = Callable[[Path, int], float]


def library_single(path: Path, count: int) -> float:
    """Return the jobs a second of `delay()` from one thread."""
    queue, noop, _ = _tasks(path)
    noop.delay()
    with tasks.Clock(count) as clock:
        for _ in range(count):
            noop.delay()
    queue.close()
    return clock.rate


def library_batch(path: Path, count: int) -> float:
    """Return the jobs a second of one `map`."""
    queue, noop, _ = _tasks(path)
    noop.delay()
    with tasks.Clock(count) as clock:
        noop.map([()] * count)
    queue.close()
    return clock.rate


def library_drain(path: Path, count: int) -> float:
    """Return the jobs a second of one worker process with 4 slots."""
    queue, noop, _ = _tasks(path)
    last = noop.map([()] * count)[-queue.workers :]
    return asyncio.run(_drain(queue, last, count))


async def _drain(queue: Queue, last: list[JobHandle[None]], count: int) -> float:
    stop = asyncio.Event()
    with tasks.Clock(count) as clock:
        working = asyncio.create_task(queue.arun_worker(stop, install_signals=False))
        await asyncio.gather(*(job.aresult() for job in last))
    stop.set()
    await working
    await queue.aclose()
    return clock.rate


def latencies(path: Path, count: int) -> tuple[list[float], list[float]]:
    """Return seconds from enqueue to the first line of the task, and to the result in hand.

    The worker is another process, idle at every enqueue.
    """
    queue, _, started = _tasks(path)
    environment = os.environ | {"OFFLOAD_BENCH_DB": str(path)}
    command = [sys.executable, "-m", "offload", "worker", "--app", "bench.tasks:queue"]
    worker = subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL
    )
    starts, hands = [], []
    try:
        started.delay(time.monotonic()).result(timeout=30)
        for _ in range(count):
            sent = time.monotonic()
            starts.append(started.delay(sent).result(timeout=30))
            hands.append(time.monotonic() - sent)
    finally:
        worker.terminate()
        worker.wait()
        queue.close()
    return starts, hands


def _tasks(path: Path) -> tuple[Queue, Task[..., Any, Any], Task[..., Any, Any]]:
    queue = Queue(db_path=str(path))
    noop = queue.task(name="bench.tasks.noop")(tasks.noop.function)
    return queue, noop, queue.task(name="bench.tasks.started")(tasks.started.function)


def raw_drain(path: Path, count: int) -> float:
    """Return the jobs a second of the raw loop over a full table."""
    raw_sqlite.insert_batch(path, count)
    return raw_sqlite.drain(path, count)


PAIRS: list[tuple[str, Measure, Measure, int]] = [
    ("single enqueue", library_single, raw_sqlite.insert_singly, 500),
    ("map / enqueue_many", library_batch, raw_sqlite.insert_batch, 5_000),
    ("no-op jobs, one worker, 4 slots", library_drain, raw_drain, 3_000),
]


def throughput(rounds: int, progress: Progress) -> Table:
    """Measure each pair in turn, round by round, and return the medians."""
    table = Table("SQLite, synchronous=FULL", "offload /s", "raw loop /s", "ratio", title="rates")
    for name, library, raw, count in PAIRS:
        rates: list[tuple[float, float]] = []
        for _ in progress.track(range(rounds), description=name):
            with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder:
                ours = library(Path(folder, "library.db"), count)
                rates.append((ours, raw(Path(folder, "raw.db"), count)))
        ours = statistics.median(pair[0] for pair in rates)
        bare = statistics.median(pair[1] for pair in rates)
        ratio = statistics.median(pair[0] / pair[1] for pair in rates)
        table.add_row(name, f"{ours:,.0f}", f"{bare:,.0f}", f"{ratio:.2f}")
    return table


def waiting(count: int, progress: Progress) -> Table:
    """Measure how soon an idle worker in another process starts, and answers."""
    task = progress.add_task("idle worker, another process", total=None)
    with tempfile.TemporaryDirectory(prefix="offload-bench-") as folder:
        starts, hands = latencies(Path(folder, "library.db"), count)
    progress.remove_task(task)
    table = Table("idle worker in another process", "p50 ms", "p99 ms", title="latencies")
    for name, seconds in (("enqueue → first line", starts), ("enqueue → result in hand", hands)):
        cuts = statistics.quantiles(seconds, n=100)
        table.add_row(name, f"{cuts[49] * 1000:.2f}", f"{cuts[98] * 1000:.2f}")
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each pair (default 5)")
    parser.add_argument("--samples", type=int, default=300, help="latencies (default 300)")
    options = parser.parse_args()
    console = Console()
    with Progress(console=console, transient=True) as progress:
        tables = [throughput(options.rounds, progress), waiting(options.samples, progress)]
    console.print(*tables)


if __name__ == "__main__":
    main()
