"""Wake-ups between processes: NOTIFY, as a hint, which nobody's commit waits for.

A NOTIFY inside a transaction takes a lock of the whole server for the time of its commit. So news
are told after it, by a statement of their own that writes nothing, and many in one.
"""

import asyncio
import logging
import os
import random
import secrets
from collections.abc import Callable, Iterable

import psycopg

from offload.store.base import Channel
from offload.store.postgres.connection import LONGEST_REST, Connection, connected
from offload.store.postgres.url import Address

log = logging.getLogger("offload.store")

CODES = {
    Channel.READY: "r",
    Channel.CHANGED: "c",
    Channel.CONTROL: "x",
    Channel.SCHEDULES: "s",
    Channel.LOCKS: "l",
}
CHANNELS = {code: channel for channel, code in CODES.items()}

SPACING, BURST = 0.01, 10
"""Seconds between two rings of one process, but for so many at once after a silence: what comes in
between is told together."""


def notice(schema: str, channels: Iterable[Channel], sender: str = "-") -> tuple[str, str]:
    """Return what NOTIFY takes, a name and a text, so that everybody but the sender hears it."""
    return f"offload_{schema}", f"{sender} {''.join(CODES[channel] for channel in channels)}"


class Bell:
    """Rings every other listener of a schema, and is rung by them, on one connection."""

    def __init__(self, address: Address, heard: Callable[[Channel], None]) -> None:
        """Call `heard` for what others ring; nothing is opened before somebody listens or rings."""
        self._address = address
        self._heard = heard
        self._me = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._name = f"offload_{address.schema}"
        self._news: set[Channel] = set()
        self._rings_at = 0.0
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Be there from now on; where sessions are shared, nobody can listen."""
        if not self._address.pooled:
            self._start()

    def ring(self, channels: set[Channel]) -> None:
        """Wake the other listeners soon; called after a commit."""
        if not self._news:
            loop = asyncio.get_running_loop()
            loop.call_at(max(self._rings_at, loop.time()), self._something.set)
        self._news |= channels
        self._start()

    async def close(self) -> None:
        """Hang up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="offload-bell")

    async def _run(self) -> None:
        while True:
            try:
                async with await connected(self._address, tuned=False) as connection:
                    await self._serve(connection)
            except (psycopg.Error, OSError) as error:
                log.debug("no news of other processes for now: %s", error)
            await asyncio.sleep(LONGEST_REST * (0.5 + random.random()))  # noqa: S311 - jitter

    async def _serve(self, connection: Connection) -> None:
        """Listen and ring until the connection breaks."""
        connection.add_notify_handler(lambda notify: self._read(notify.payload))
        if not self._address.pooled:
            await connection.execute(f'LISTEN "{self._name}"'.encode())
            for channel in Channel:  # what was rung until now is not known
                self._heard(channel)
        loop, descriptor = asyncio.get_running_loop(), connection.fileno()
        while True:
            loop.add_reader(descriptor, self._something.set)
            try:
                await self._something.wait()
            finally:
                loop.remove_reader(descriptor)
            self._something.clear()
            self._hear(connection)
            now = loop.time()
            if self._news and now >= self._rings_at:
                self._rings_at = max(self._rings_at, now - BURST * SPACING) + SPACING
                await self._tell(connection)

    def _hear(self, connection: Connection) -> None:
        connection.pgconn.consume_input()  # raises if the other side has hung up
        while notify := connection.pgconn.notifies():
            self._read(notify.extra.decode())

    async def _tell(self, connection: Connection) -> None:
        news, self._news = self._news, set()
        said = notice(self._address.schema, news, self._me)
        await connection.execute(b"SELECT pg_notify(%s, %s)", said)

    def _read(self, payload: str) -> None:
        sender, _, codes = payload.partition(" ")
        if sender != self._me:
            for code in codes:
                if code in CHANNELS:
                    self._heard(CHANNELS[code])
