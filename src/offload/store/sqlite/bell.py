"""Wake-ups between the processes that share a file: one FIFO a listener, beside the database.

A ring is a hint: where FIFOs do not work, or one is lost, the caller's slow poll finds the news.
"""

import asyncio
import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from offload.store.base import Channel

CODES = {Channel.READY: b"r", Channel.CHANGED: b"c", Channel.CONTROL: b"x"}
CHANNELS = {code[0]: channel for channel, code in CODES.items()}


class Bell:
    """Rings every other listener of a folder, and is rung by them."""

    def __init__(self, folder: Path) -> None:
        """Listen in `folder`, which is made when the bell opens."""
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._fd: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

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

    def ring(self, channels: set[Channel]) -> None:
        """Wake the other listeners; called by the writer thread after each commit."""
        message = b"".join(CODES[channel] for channel in channels)
        # Whatever goes wrong here (no folder, no descriptor left), the commit counts.
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name != self._name and not entry.name.startswith("."):
                    _write(entry.path, message)

    def _read(self, fd: int, heard: Callable[[Channel], None]) -> None:
        for code in set(os.read(fd, 4096)):
            if code in CHANNELS:
                heard(CHANNELS[code])


def _write(path: str, message: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # its reader died without cleaning up
            Path(path).unlink(missing_ok=True)
        return
    # A full pipe means that its reader has news to read already.
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(fd, message)
    os.close(fd)
