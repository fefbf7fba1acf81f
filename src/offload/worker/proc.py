"""What the kernel tells of another process, where it has a `/proc`."""

import os
from pathlib import Path


def is_stopped(pid: int) -> bool:
    """Say whether somebody has stopped the process (SIGSTOP)."""
    stat = _read(pid, "stat")
    return bool(stat) and stat.rpartition(")")[2].split()[0] == "T"


def resident(pid: int) -> int:
    """Return the bytes of memory that the process occupies, 0 if nobody knows."""
    statm = _read(pid, "statm")
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm else 0


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
