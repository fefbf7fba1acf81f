"""What is measured: empty tasks, and a clock around them."""

import os
import time
from types import TracebackType
from typing import Self

from offload import Queue

queue = Queue(
    os.environ.get("OFFLOAD_BENCH_PLACE", ".offload/bench.db"),
    synchronous=os.environ.get("OFFLOAD_BENCH_SYNCHRONOUS", "FULL"),
)


@queue.task
def noop() -> None:
    """Do nothing."""


@queue.task
def started(sent: float) -> float:
    """Return the seconds since `sent`; CLOCK_MONOTONIC is one clock for all processes."""
    return time.monotonic() - sent


@queue.task
def slow(seconds: float) -> None:
    """Hold a slot."""
    time.sleep(seconds)


class Clock:
    """Times a block that does `count` things."""

    def __init__(self, count: int) -> None:
        """Expect `count` things."""
        self._count = count
        self.rate = 0.0

    def __enter__(self) -> Self:
        """Start."""
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and note the things a second."""
        self.rate = self._count / (time.perf_counter() - self._start)
