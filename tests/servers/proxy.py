"""A TCP proxy that does to connections what networks do to them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Passes bytes on between a client and a server, until it is told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        """Stand before the server at that address."""
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
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
            writer.transport.abort()

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
        there, to_server = await asyncio.open_connection(*self._target)
        self._writers |= {writer, to_server}
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
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def before(host: str, port: int) -> AsyncIterator[tuple[Proxy, int]]:
    """Yield a proxy before that server, and its port."""
    proxy = Proxy(host, port)
    yield proxy, await proxy.start()
    await proxy.stop()
