"""Holds a lock in a process of its own: `FILE FOLDER WHAT`."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from offload import Queue

ROUNDS = 40


def count(queue: Queue, folder: Path) -> None:
    """Read, add one and write, under the lock; who is in there alone loses nothing."""
    for _ in range(ROUNDS):
        with queue.lock("count") as lock:
            number = int((folder / "number").read_text())
            with (folder / "tokens").open("a") as tokens:
                tokens.write(f"{lock.token}\n")
            (folder / "number").write_text(str(number + 1))


def die(queue: Queue, _folder: Path) -> None:
    """Get the lock, and be killed."""
    with queue.lock("l", ttl=1):
        sys.stdout.write("held\n")
        sys.stdout.flush()
        signal.pause()


def busy(queue: Queue, _folder: Path) -> None:
    """Compute in Python for three times the ttl, and still hold the lock."""
    with queue.lock("l", ttl=1) as lock:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            pass
        lock.check()
    os.write(1, b"kept\n")


def frozen(queue: Queue, _folder: Path) -> None:
    """Hold the interpreter in C for longer than the ttl, and be told."""
    with queue.lock("l", ttl=1) as lock:
        # A PyDLL does not let go of the interpreter while it calls.
        ctypes.PyDLL(None).sleep(2)
        os.write(1, b"lost\n" if lock.lost else b"kept\n")


if __name__ == "__main__":
    queue = Queue(db_path=sys.argv[1], synchronous="NORMAL")
    {"count": count, "die": die, "busy": busy, "frozen": frozen}[sys.argv[3]](
        queue, Path(sys.argv[2])
    )
    queue.close()
