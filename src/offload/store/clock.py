"""The store's two clocks: one tells people when, the other judges leases."""

import time
from pathlib import Path
from typing import Protocol

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Where a store takes its time from; tests put in one that they can move."""

    def now(self) -> int:
        """Return the wall clock in Unix milliseconds."""

    def ticks(self) -> float:
        """Return seconds that never jump and go on while the machine sleeps."""

    def boot(self) -> str:
        """Return what tells one boot of the machine from the next: ticks compare only within."""


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        """Read the boot id once; without one (not Linux) all boots look alike."""
        self._boot = BOOT_ID_FILE.read_text().strip() if BOOT_ID_FILE.exists() else ""

    def now(self) -> int:
        """Return the wall clock in Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def ticks(self) -> float:
        """Return CLOCK_BOOTTIME: a lease must neither stretch with a suspend nor with NTP."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def boot(self) -> str:
        """Return the kernel's id of this boot."""
        return self._boot
