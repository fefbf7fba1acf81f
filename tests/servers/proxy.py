"""A TCP proxy that does to connections what networks do to them."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

NO_GOODBYE = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose end is a reset."""


class Proxy:
    """Passes bytes on between a client and a server, until it is told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        """Stand before the server at that address."""
        self.target = (host, port)
        """Where new connections lead."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        """Those to whom answers are passed on."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._loses: int | None = None
        self.lost = asyncio.Event()
        """Set once a reply was lost."""
        self.met = asyncio.Event()
        """Set with each new connection."""

    async def start(self) -> int:
        """Listen on a free loopback port, which is returned."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        self._server.close()
        self.thaw()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """Cut all connections at once, without a word of goodbye."""
        for writer in self._writers:
            _reset(writer)

    def half_close(self) -> None:
        """Tell all clients that nothing more will come; what they say still gets through."""
        while self._clients:
            writer = self._clients.pop()
            if not writer.is_closing():
                writer.write_eof()

    def freeze(self) -> None:
        """Pass nothing on any more, and cut nothing."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on what has waited, and what comes."""
        self._flows.set()

    def lose_reply(self, after: int = 0) -> None:
        """Pass on so many answers, and cut all connections when the next one comes."""
        self._loses = after

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, to_server = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, to_server}
        self._clients.add(writer)
        self.met.set()
        for task in (
            asyncio.create_task(self._pass_on(reader, to_server, is_reply=False)),
            asyncio.create_task(self._pass_on(there, writer, is_reply=True)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                if is_reply and self._loses is not None:
                    self._loses -= 1
                    if self._loses < 0:
                        self._loses = None
                        self.lost.set()
                        self.reset()
                        return
                if is_reply and writer not in self._clients:
                    continue
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)
        self._clients.discard(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_GOODBYE)
        writer.transport.abort()


@asynccontextmanager
async def before(host: str, port: int) -> AsyncIterator[tuple[Proxy, int]]:
    """Yield a proxy before that server, and its port."""
    proxy = Proxy(host, port)
    yield proxy, await proxy.start()
    await proxy.stop()
