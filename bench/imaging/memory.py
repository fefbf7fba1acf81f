"""What processes hold of the memory, and what they have used of the processors.

PSS, not RSS: a page that processes share counts once, so forked processes are not charged for
what they have in common.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> Iterator[int]:
    """Name a process and all that it has started, and they."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children.setdefault(int(_fields(int(entry.name))[1]), []).append(int(entry.name))
    waiting = [root]
    while waiting:
        yield (pid := waiting.pop())
        waiting += children.get(pid, [])


def held(root: int) -> int:
    """Return the PSS of a tree of processes in bytes."""
    return sum(_held(pid) for pid in tree(root))


def used(root: int) -> float:
    """Return the seconds of processor time of a tree, of those that have ended as well."""
    total = 0
    for pid in tree(root):
        with suppress(OSError):
            total += sum(int(ticks) for ticks in _fields(pid)[11:15])
    return total / TICKS


def _fields(pid: int) -> list[str]:
    """Return what stands behind the name in `stat`: state, parent and so on."""
    return (PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _held(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class Peaks(threading.Thread):
    """Looks ten times a second, until it is told to stop; `peaks` are in bytes."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        """Watch these trees; `total` is of all of them at one moment."""
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys([*roots, "total"], 0)
        self._roots = roots
        self._over = threading.Event()

    def run(self) -> None:
        """Look until the end."""
        while not self._over.wait(SECONDS):
            now = {name: held(root) for name, root in self._roots.items()}
            now["total"] = sum(now.values())
            self.peaks = {name: max(peak, now[name]) for name, peak in self.peaks.items()}

    def stop(self) -> dict[str, int]:
        """End, and return the peaks."""
        self._over.set()
        self.join()
        return self.peaks
