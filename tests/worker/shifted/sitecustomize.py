"""Sets the wall clock of a process, and of those that it starts, off by SHIFT_CLOCK seconds.

Python imports this by itself, before any program, if this folder is on the PYTHONPATH. The store
takes its time from `time`, at each call, so this reaches all of a worker without libfaketime,
which would have to be installed and would also set the clocks that no operator can set.
"""

import os
import time
from collections.abc import Callable

SECONDS = int(os.environ.get("SHIFT_CLOCK", "0"))


def shifted(true: Callable[[], int], by: int) -> Callable[[], int]:
    """Return a clock that is off by so much."""
    return lambda: true() + by


def shifted_float(true: Callable[[], float], by: float) -> Callable[[], float]:
    """Return a clock that is off by so much."""
    return lambda: true() + by


time.time = shifted_float(time.time, SECONDS)
time.time_ns = shifted(time.time_ns, SECONDS * 1_000_000_000)
