"""Wake-ups between the processes that share a file: one FIFO a listener, beside the database.

A ring is a hint: where FIFOs do not work, or one is lost, the caller's slow poll finds the news.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from offload.store.base import Channel

CODES = {
    Channel.READY: b"r",
    Channel.CHANGED: b"c",
    Channel.CONTROL: b"x",
    Channel.SCHEDULES: b"s",
    Channel.LOCKS: b"l",
}
CHANNELS = {code[0]: channel for channel, code in CODES.items()}

SETTLED = 100_000_000
"""Nanoseconds after which a folder's time of change can be trusted to tell the next one apart."""


class Bell:
    """Rings every other listener of a folder, and is rung by them."""

    def __init__(self, folder: Path) -> None:
        """Listen in `folder`, which is made when the bell opens."""
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._fd: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._others: dict[str, int] = {}
        self._seen: int | None = None

    def open(self, heard: Callable[[Channel], None]) -> None:
        """Start to listen on the running loop; `heard` is called there."""
        self._folder.mkdir(exist_ok=True)
        # Others unlink a FIFO that nobody reads, so it gets its name only when we do.
        unnamed = self._folder / f".{self._name}"
        try:
            os.mkfifo(unnamed, 0o600)
        except OSError:
            return  # a file system without FIFOs: polling has to do
        self._fd = os.open(unnamed, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        unnamed.rename(self._folder / self._name)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read, self._fd, heard)

    def close(self) -> None:
        """Stop to listen."""
        if self._fd is not None and self._loop is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
            (self._folder / self._name).unlink(missing_ok=True)
        while self._others:
            os.close(self._others.popitem()[1])
        self._seen = None

    def ring(self, channels: set[Channel]) -> None:
        """Wake the other listeners; called after each commit, by who wrote."""
        message = b"".join(CODES[channel] for channel in channels)
        # Whatever goes wrong here (no folder, no descriptor left), the commit counts.
        with contextlib.suppress(OSError):
            self._look_round()
            for name, fd in list(self._others.items()):
                self._tell(name, fd, message)

    def _look_round(self) -> None:
        """Open the FIFOs of new listeners, if any came or went since the last ring."""
        seen = self._folder.stat().st_mtime_ns
        if seen == self._seen:
            return
        names = {path.name for path in self._folder.iterdir() if not path.name.startswith(".")}
        for name in self._others.keys() - names:
            os.close(self._others.pop(name))
        for name in names - self._others.keys() - {self._name}:
            self._meet(name)
        # Two changes within one tick of the file system's clock look like one.
        self._seen = seen if time.time_ns() - seen > SETTLED else None

    def _meet(self, name: str) -> None:
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
            self._others[name] = os.open(self._folder / name, flags)
        except OSError as error:
            if error.errno == errno.ENXIO:  # its reader died without cleaning up
                (self._folder / name).unlink(missing_ok=True)

    def _tell(self, name: str, fd: int, message: bytes) -> None:
        try:
            os.write(fd, message)
        except BlockingIOError:
            pass  # a full pipe means that its reader has news to read already
        except OSError:  # nobody reads it any more
            os.close(self._others.pop(name))
            (self._folder / name).unlink(missing_ok=True)

    def _read(self, fd: int, heard: Callable[[Channel], None]) -> None:
        for code in set(os.read(fd, 4096)):
            if code in CHANNELS:
                heard(CHANNELS[code])
