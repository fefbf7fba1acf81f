"""Wake-ups between processes: NOTIFY, as a hint, which nobody's commit waits for.

A NOTIFY inside a transaction takes a lock of the whole server for the time of its commit. So news
are told after it, by a statement of their own that writes nothing, and many in one.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable

import psycopg

from offload.store.base import Channel
from offload.store.postgres.connection import LONGEST_REST, Connection, connected
from offload.store.postgres.url import Address
from offload.store.postgres.wire import RING, Ring

log = logging.getLogger("offload.store")

CODES = {
    Channel.READY: "r",
    Channel.CHANGED: "c",
    Channel.CONTROL: "x",
    Channel.SCHEDULES: "s",
    Channel.LOCKS: "l",
}
CHANNELS = {code: channel for channel, code in CODES.items()}

TELL = "SELECT pg_notify(%s, %s)"

SPACING, BURST = 0.002, 25
"""Seconds between two rings of one process, but for so many at once after a silence: what comes in
between is told together."""
PATIENCE = 0.01
"""Seconds that a ring may wait for others which nobody waits for."""
LAST_WORDS = 2
"""Seconds that a program may take to connect as it ends, if there is something left to tell."""


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
        self._lock = threading.Lock()
        self._news: set[Channel] = set()
        self._stays = False
        """Whether it tells the rest when the program ends without closing it."""
        self._rings_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._connection: Connection | None = None
        self._broken: asyncio.Future[None] | None = None
        self._is_asking = False
        self._task: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Be there from now on; where sessions are shared, nobody can listen."""
        if not self._address.pooled:
            self._start()

    def ring(self, channels: set[Channel], wait: float = 0.0) -> None:
        """Wake the other listeners soon; called after a commit."""
        self.note(channels)
        self._start()
        now = asyncio.get_running_loop().time()
        self._tell_at(max(self._rings_at, now + wait), now)

    def note(self, channels: set[Channel]) -> None:
        """Have it told with the next ring, or when the program ends; for any thread."""
        with self._lock:
            self._news |= channels
            if not self._stays:
                self._stays = True
                atexit.register(self._leave)

    def carried(self, channel: Channel) -> Ring | None:
        """Return what wakes the other listeners, for whoever sends it behind a commit of its own.

        None if that must be left to `ring`. For any thread: two at once ring once too often.
        """
        now = time.monotonic()
        if self._address.pooled or now < self._rings_at:
            return None
        self._count(now)
        return self._said(self._taken() | {channel})

    def will_tell(self, channels: set[Channel]) -> bool:
        """Say whether a ring is due that has not been sent yet and tells these, too."""
        return channels <= self._news and self._timer is not None

    async def close(self) -> None:
        """Hang up."""
        self._forget_timer()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        atexit.unregister(self._leave)
        if self._news:
            await asyncio.to_thread(self._leave)

    def _leave(self) -> None:
        """Tell what is left to tell: a worker that slept would else find it at its next look."""
        news = self._taken()
        with contextlib.suppress(psycopg.Error):
            if news:
                place = self._address.conninfo
                with psycopg.connect(place, connect_timeout=LAST_WORDS) as connection:
                    connection.execute(TELL, notice(self._address.schema, news, self._me))

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="offload-bell")

    async def _run(self) -> None:
        while True:
            try:
                connection = await connected(self._address, tuned=False)
                try:
                    await self._serve(connection)
                finally:  # not `async with`, which would roll back a ring that is under way
                    await connection.close()
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
        loop = asyncio.get_running_loop()
        self._connection, self._broken, self._is_asking = connection, loop.create_future(), False
        descriptor = connection.fileno()
        loop.add_reader(descriptor, self._look, connection)
        try:
            self._tell()
            await self._broken
        finally:
            loop.remove_reader(descriptor)
            self._connection = None

    # Both are called by the loop itself: a task and its wake-up would take longer than the rest.

    def _look(self, connection: Connection) -> None:
        """Hear what others have rung, and that the own ring is through."""
        pgconn = connection.pgconn
        try:
            pgconn.consume_input()  # raises if the other side has hung up
            while notify := pgconn.notifies():
                self._read(notify.extra.decode())
            while self._is_asking and not pgconn.is_busy():
                self._is_asking = pgconn.get_result() is not None
        except psycopg.Error as error:
            self._give_up(error)
            return
        if self._news and not self._is_asking:
            now = asyncio.get_running_loop().time()
            self._tell_at(self._rings_at, now)

    def _tell(self) -> None:
        """Ring, unless there is no connection yet, or the ring before is not through."""
        self._forget_timer()
        if not self._news or self._connection is None or self._is_asking:
            return
        self._count(time.monotonic())
        try:
            self._connection.pgconn.send_query_params(RING, self._said(self._taken()))
            self._connection.pgconn.flush()
            self._is_asking = True
        except psycopg.Error as error:
            self._give_up(error)

    def _taken(self) -> set[Channel]:
        with self._lock:
            news, self._news = self._news, set()
        return news

    def _count(self, now: float) -> None:
        self._rings_at = max(self._rings_at, now - BURST * SPACING) + SPACING

    def _said(self, news: set[Channel]) -> Ring:
        return [each.encode() for each in notice(self._address.schema, news, self._me)]

    def _tell_at(self, due: float, now: float) -> None:
        if due <= now:
            self._tell()
        elif self._timer is None or due < self._timer.when():
            self._forget_timer()
            self._timer = asyncio.get_running_loop().call_at(due, self._tell)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, error: psycopg.Error) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)

    def _read(self, payload: str) -> None:
        sender, _, codes = payload.partition(" ")
        if sender != self._me:
            for code in codes:
                if code in CHANNELS:
                    self._heard(CHANNELS[code])
