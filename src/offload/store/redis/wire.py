"""One connection: commands go out as they come, replies come in that order.

Any number of callers share it without waiting for each other, and one that gives up leaves no
reply behind for the next. A client library's pool would hold a connection for each of them, and
needs more time to pack a batch of jobs than all the rest of a job's life takes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

from offload.store.redis.address import Address

NOTHING = object()
CONNECTING = 5.0
"""Seconds for which to try to reach the server."""

Part = str | bytes | int | float


def packed(command: tuple[Part, ...]) -> bytes:
    """Return a command as it is sent."""
    data: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub: one part
    return data


class Wire(asyncio.Protocol):
    """Lives on the loop that connected it."""

    def __init__(self, heard: Callable[[Any], None] | None = None) -> None:
        """Call `heard` with what comes without having been asked for."""
        self._reader = hiredis.Reader(notEnoughData=NOTHING)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._heard = heard
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP and unix give these
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Give each reply to whoever asked first."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not NOTHING:
            if self._heard is not None and isinstance(reply, list) and not self._waiting:
                self._heard(reply)
            elif not (waiting := self._waiting.popleft()).done():  # else its caller gave up
                waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits; what they asked for may have been done."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"the connection was lost ({exc})"))
                waiting.exception()  # who asked for several hears it from the first
        if not self.lost.done():
            self.lost.set_result(None)

    def ask(self, *commands: tuple[Part, ...]) -> list[asyncio.Future[Any]]:
        """Send commands and return their replies to come.

        Raises:
            ConnectionError: the connection is gone.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        replies = [self._loop.create_future() for _ in commands]
        self._waiting += replies
        self._transport.write(b"".join(map(packed, commands)))
        return replies

    def tell(self, *commands: tuple[Part, ...]) -> None:
        """Send commands whose replies come among what is heard; on a lost connection, nothing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(map(packed, commands)))

    async def drained(self) -> None:
        """Wait until all that was asked has been answered, or will not be."""
        if self._waiting:
            await asyncio.wait(list(self._waiting))

    def close(self) -> None:
        """Let go of the connection, and of who still waits."""
        if self._transport is not None:
            self._transport.abort()


async def connect(address: Address, heard: Callable[[Any], None] | None = None) -> Wire:
    """Reach the server, log in and choose the database.

    Raises:
        OSError: it cannot be reached.
        hiredis.ReplyError: it refuses.
    """
    loop = asyncio.get_running_loop()
    wire = Wire(heard)
    async with asyncio.timeout(CONNECTING):
        if address.path is not None:
            await loop.create_unix_connection(lambda: wire, address.path)
        else:
            await loop.create_connection(
                lambda: wire, address.host, address.port, ssl=address.context()
            )
        try:
            for reply in await asyncio.gather(*wire.ask(*greeting(address))):
                require(reply)
        except BaseException:
            wire.close()
            raise
    return wire


def require(reply: object) -> None:
    """Return unless the server has refused.

    Raises:
        hiredis.ReplyError: it has.
    """
    if isinstance(reply, hiredis.ReplyError):
        raise reply


def greeting(address: Address) -> list[tuple[Part, ...]]:
    """Return what to say first on a connection."""
    commands: list[tuple[Part, ...]] = []
    if address.password is not None:
        user = () if address.user is None else (address.user,)
        commands.append(("AUTH", *user, address.password))
    if address.database:
        commands.append(("SELECT", address.database))
    commands.append(("PING",))
    return commands
