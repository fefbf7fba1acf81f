"""Processes as the kernel lists them: who descends from whom, and signals to all of them."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def parent(pid: int) -> int:
    """Return the parent of a process, 0 if it is gone."""
    with suppress(OSError):
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def parents(pid: int) -> tuple[int, ...]:
    """Return the ancestors of a process, nearest first, that run for the same run."""
    found: list[int] = []
    mark = os.environ["OFFLOAD_KILL_FOLDER"].encode()
    while (pid := parent(pid)) > 1 and pid in inhabitants(mark, {pid}):
        found.append(pid)
    return tuple(found)


def everybody() -> set[int]:
    """Return all processes."""
    return {int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()}


def family(root: int) -> list[int]:
    """Return a process and all that descend from it, the eldest first."""
    above = {pid: parent(pid) for pid in everybody()}
    found = [root] if root in above else []
    for elder in found:
        found += [pid for pid, its in above.items() if its == elder]
    return found


def inhabitants(mark: bytes, among: Iterable[int] | None = None) -> set[int]:
    """Return the live processes whose environment holds `mark`."""
    found = set()
    for pid in everybody() if among is None else among:
        with suppress(OSError):
            status = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
            if status != "Z" and mark in (PROC / str(pid) / "environ").read_bytes():
                found.add(pid)
    return found


def send(pids: Iterable[int], number: signal.Signals) -> tuple[int, ...]:
    """Send a signal to each process, and return those that were there."""
    reached = []
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.append(pid)
    return tuple(reached)
