"""A fair turn for each process that wants to write.

SQLite's busy handler is a poll: under load one process may wait for seconds while its neighbours
write, long enough to lose a lease. A file lock is granted in order and the kernel drops it when
its holder dies.
"""

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 5.0
"""Seconds to wait for a turn. A stopped process may hold the ticket for ever: past this, SQLite's
own lock, which the ticket only keeps fair, decides alone."""


class Ticket:
    """A context manager for one thread at a time; other processes wait in line in the kernel."""

    def __init__(self, path: Path) -> None:
        """Make the lock file; it stays, for removing it would let two holders in."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._held = False
        self._lock = threading.Lock()
        self._standing = False
        self._wanted = False
        self._granted = threading.Event()

    def __enter__(self) -> Self:
        """Wait for the turn, at most `PATIENCE` seconds."""
        self._held = self._try() or self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one in."""
        if self._held:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._held = False

    def close(self) -> None:
        """Let go of the file; a wait that is still going on ends with the process."""
        with self._lock:
            if not self._standing:
                os.close(self._fd)

    def _try(self) -> bool:
        with self._lock:
            if self._standing:
                return False
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def _wait(self) -> bool:
        # flock(2) has no timeout, so a helper thread waits in line; the lock belongs to the
        # open file, not to the thread that asked for it.
        with self._lock:
            self._wanted = True
            if not self._standing:
                self._standing = True
                threading.Thread(target=self._stand_in_line, daemon=True).start()
        try:
            self._granted.wait(PATIENCE)
        except BaseException:  # Ctrl-C: nobody is left to let the next one in
            if self._give_up():
                fcntl.flock(self._fd, fcntl.LOCK_UN)
            raise
        return self._give_up()

    def _give_up(self) -> bool:
        """Want it no more, and say whether it was granted before."""
        with self._lock:
            granted = self._granted.is_set()
            self._granted.clear()
            self._wanted = False
            return granted

    def _stand_in_line(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        with self._lock:
            self._standing = False
            if self._wanted:
                self._granted.set()
            else:  # whoever wanted it has given up, and may not write again for hours
                fcntl.flock(self._fd, fcntl.LOCK_UN)
