"""Connections for threads that have no event loop: whoever calls `delay()` asks by itself.

A call through another thread's loop would cost it two switches of threads, which is more than
the server needs to store a job.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import hiredis

from offload.store.redis.address import Address
from offload.store.redis.wire import CONNECTING, NOTHING, Part, greeting, packed, require

CHUNK = 1 << 16


class Plain:
    """A connection that blocks; one thread uses it at a time."""

    def __init__(self, address: Address, patience: float) -> None:
        """Reach the server and log in; a reply may take `patience` seconds.

        Raises:
            OSError: it cannot be reached.
            hiredis.ReplyError: it refuses.
        """
        self._socket = _connected(address)
        self._socket.settimeout(patience)
        self._reader = hiredis.Reader(notEnoughData=NOTHING)
        try:
            for reply in self.ask(*greeting(address)):
                require(reply)
        except BaseException:
            self.close()
            raise

    def ask(self, *commands: tuple[Part, ...]) -> list[Any]:
        """Send commands and return their replies.

        Raises:
            OSError: the connection is gone, or the server says nothing. Use it no more.
        """
        self._socket.sendall(b"".join(map(packed, commands)))
        return [self._reply() for _ in commands]

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is NOTHING:
            data = self._socket.recv(CHUNK)
            if not data:
                raise ConnectionError("the connection was lost")
            self._reader.feed(data)
        return reply

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()


def _connected(address: Address) -> socket.socket:
    if address.path is not None:
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(CONNECTING)
        local.connect(address.path)
        return local
    remote = socket.create_connection((address.host, address.port), CONNECTING)
    remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = address.context()
    if context is None:
        return remote
    return context.wrap_socket(remote, server_hostname=address.host)


class Plains:
    """As many connections as threads have used at once."""

    def __init__(self, address: Address, patience: float) -> None:
        """Connect to nobody yet."""
        self._address = address
        self._patience = patience
        self._lock = threading.Lock()
        self._idle: list[Plain] = []
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[Plain]:
        """Lend a connection; one that fails is not lent again."""
        with self._lock:
            plain = self._idle.pop() if self._idle else None
        plain = plain or Plain(self._address, self._patience)
        try:
            yield plain
        except BaseException:
            plain.close()
            raise
        with self._lock:
            if not self._closed:
                self._idle.append(plain)
                return
        plain.close()

    def close(self) -> None:
        """Let go of those that nobody uses, and of the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for plain in idle:
            plain.close()
