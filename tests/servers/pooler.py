"""A PostgreSQL pooler in transaction mode: few sessions, each given away for a transaction only.

It refuses what PgBouncer refuses in this mode: to take settings for a session.
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ENCRYPTED = (80877103, 80877104)
TAKEN = {"user", "database", "client_encoding", "application_name"}
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(eq=False)
class Session:
    """A session of the server."""

    number: int
    streams: Streams
    greeting: bytes = b""
    """What the server has said of itself."""


@dataclass(eq=False)
class Guest:
    """A client, and the session that it has for the time of a transaction."""

    number: int
    writer: asyncio.StreamWriter
    session: Session | None = None
    owed: int = 0
    """Answers that are still to come."""
    is_asking: bool = False
    """Whether it has begun a question that has no end yet."""
    pump: asyncio.Task[None] | None = field(default=None)


class Pooler:
    """Shares `size` sessions among all that come."""

    def __init__(self, server: str, size: int) -> None:
        """Stand before the server at this URL, and before its one database."""
        self._url = urlsplit(server)
        self._size = size
        self._idle: asyncio.Queue[Session] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._guests = 0
        self.served: Counter[tuple[int, int]] = Counter()
        """How many transactions of each client each session has served."""

    async def start(self) -> int:
        """Open the sessions and listen on a free loopback port, which is returned."""
        for number in range(self._size):
            self._idle.put_nowait(await self._open(number))
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Hang up."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _open(self, number: int) -> Session:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        self._writers.append(writer)
        database = self._url.path.removeprefix("/")
        said = f"user\0{self._url.username}\0database\0{database}\0client_encoding\0UTF8\0\0"
        body = struct.pack("!i", 196608) + said.encode()
        writer.write(struct.pack("!i", len(body) + 4) + body)
        session = Session(number, (reader, writer))
        while (message := await _message(reader))[:1] != b"Z":
            assert message[:1] in b"RSKN", message
            if message[:1] != b"K":
                session.greeting += message
        session.greeting += b"K" + struct.pack("!iii", 12, 0, 0) + message
        return session

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.append(writer)
        self._guests += 1
        guest = Guest(self._guests, writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if await self._welcome(reader, writer):
                while (message := await _message(reader))[:1] != b"X":
                    await self._pass_on(guest, message)
        writer.close()
        if guest.session is not None and guest.pump is not None:
            guest.pump.cancel()  # it left in the middle: what it began must end with it
            guest.session.streams[1].close()
            self._idle.put_nowait(await self._open(guest.session.number))

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            body = await reader.readexactly(length - 8)
            if code not in ENCRYPTED:
                break
            writer.write(b"N")
        asked = {word.decode() for word in body.rstrip(b"\0").split(b"\0")[::2]}
        if not asked <= TAKEN:
            told = f"SFATAL\0C08P01\0Munsupported startup parameter: {asked - TAKEN}\0\0".encode()
            writer.write(b"E" + struct.pack("!i", len(told) + 4) + told)
            return False
        session = await self._idle.get()
        writer.write(session.greeting)
        self._idle.put_nowait(session)
        return True

    async def _pass_on(self, guest: Guest, message: bytes) -> None:
        if guest.session is None:
            guest.session = await self._idle.get()
            self.served[guest.number, guest.session.number] += 1
            guest.pump = asyncio.create_task(self._answer(guest, guest.session))
            self._tasks.add(guest.pump)
            guest.pump.add_done_callback(self._tasks.discard)
        kind = message[:1]
        guest.is_asking = kind not in b"SQ"
        guest.owed += not guest.is_asking
        guest.session.streams[1].write(message)

    async def _answer(self, guest: Guest, session: Session) -> None:
        while True:
            message = await _message(session.streams[0])
            if message[:1] == b"Z":
                guest.owed -= 1
                if not guest.owed and not guest.is_asking and message[5:6] == b"I":
                    guest.session = None
                    self._idle.put_nowait(session)
            guest.writer.write(message)
            if guest.session is None:
                return


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


@asynccontextmanager
async def pooling(server: str, size: int) -> AsyncIterator[tuple[Pooler, int]]:
    """Yield a pooler before that server, and its port."""
    pooler = Pooler(server, size)
    port = await pooler.start()
    try:
        yield pooler, port
    finally:
        await pooler.stop()
