"""The way to the server: scripts go out, and again if the server was away for a moment."""

import asyncio
import random
import secrets
import time
from typing import Any

import hiredis

from offload.core.errors import (
    ConfigurationError,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from offload.store.clock import Clock
from offload.store.loop import CLOSED, is_driven
from offload.store.redis.address import Address
from offload.store.redis.plain import Plains
from offload.store.redis.scripts import script
from offload.store.redis.wire import Part, Wire, connect

PATIENCE = 5.0
"""Seconds for which a call is tried again, while the server is away or not ready."""
REPLY = 10.0
"""Seconds after which a server that says nothing counts as gone."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5

NOT_READY = ("LOADING", "BUSY", "READONLY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS")
"""What a server says that is restarting, changing roles, or kept busy by a script."""
MOST_VALUES = 1_000_000
"""How many a server takes in one command."""
FULL = ("OOM", "MISCONF")
DENIED = ("NOAUTH", "WRONGPASS", "NOPERM", "NOPROTO")


class NotReady(Exception):
    """The server did nothing, and may do it soon."""


AWAY = (OSError, NotReady, hiredis.ProtocolError)


class Patience:
    """How long to go on asking a server that is away."""

    def __init__(self, server: str) -> None:
        """Begin now."""
        self._server = server
        self._deadline = time.monotonic() + PATIENCE
        self._next = FIRST_PAUSE

    def pause(self, error: Exception) -> float:
        """Return the seconds to rest before the next try.

        Raises:
            StoreUnavailable: it has been long enough.
        """
        if time.monotonic() + self._next > self._deadline:
            raise StoreUnavailable(f"{self._server} is away: {error}") from error
        pause, self._next = self._next, min(self._next * 2, LONGEST_PAUSE)
        return pause * (0.5 + random.random() / 2)  # noqa: S311 - jitter


class Link:
    """Made on the loop where its connection is to live; any thread and loop may ask it."""

    def __init__(self, address: Address, clock: Clock | None) -> None:
        """Reach the server at `address`; the time is the server's unless a clock is given."""
        self.address = address
        self._clock = clock
        self._home = asyncio.get_running_loop()
        self._plains = Plains(address, REPLY)
        self._wire: Wire | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def close(self) -> None:
        """Await what was asked for, then let go of the connection."""
        self._closed = True
        self._plains.close()
        if self._wire is not None:
            await self._wire.drained()
            self._wire.close()

    async def call(self, name: str, *values: Part, once: bool = False, kept: bool = False) -> Any:
        """Run a script and return its reply.

        With `once`, a call that is repeated because its reply was lost gets that reply. With
        `kept`, as many replicas as the address asks for have what it wrote.

        Raises:
            StoreUnavailable: the server is away for too long, or has too few replicas.
            StoreError: it refuses.
        """
        command = (self.address.root, *self._time(), secrets.token_hex(8) if once else "", *values)
        if len(command) > MOST_VALUES:
            raise StoreRefused("too much for one call: enqueue at most 200,000 jobs at a time")
        known = script(name)
        replies = await self._patiently(("EVALSHA", known.digest, 1, *command), *self._waits(kept))
        if isinstance(replies[0], hiredis.ReplyError) and str(replies[0]).startswith("NOSCRIPT"):
            # A restart, or a SCRIPT FLUSH: it does not know the script (any more).
            replies = await self._patiently(("EVAL", known.text, 1, *command), *self._waits(kept))
        reply, *waited = map(_checked, replies)
        if waited and waited[-1] < self.address.replicas:
            raise StoreUnavailable(
                f"stored, but only {waited[-1]} of {self.address.replicas} replicas have it "
                f"after {self.address.replica_timeout:g} s: the same call may be repeated"
            )
        return reply

    async def command(self, *parts: Part) -> Any:
        """Run one command of the server itself."""
        [reply] = await self._patiently(parts)
        return _checked(reply)

    def _time(self) -> tuple[Part, ...]:
        clock = self._clock
        return ("", "", "") if clock is None else (clock.now(), repr(clock.ticks()), clock.boot())

    def _waits(self, kept: bool) -> list[tuple[Part, ...]]:  # noqa: FBT001 - as it came in
        """Return how to wait for replicas, if there is something to wait for."""
        if not kept or not self.address.replicas:
            return []
        # Who waits on a connection that has written nothing, as for a job that was there
        # already, would not wait for what another has written.
        mark = ("SET", self.address.root + "mark", 1)
        return [mark, ("WAIT", self.address.replicas, round(self.address.replica_timeout * 1000))]

    async def _patiently(self, *commands: tuple[Part, ...]) -> list[Any]:
        if self._closed:
            raise StoreUnavailable(CLOSED)
        if is_driven():
            return self._blocking(commands)
        if asyncio.get_running_loop() is not self._home:
            return await self._at_home(commands)
        patience = Patience(self.address.shown)
        while True:
            try:
                return await self._ask(commands)
            except AWAY as error:
                pause = self._pause(patience, error)
            await asyncio.sleep(pause)

    def _blocking(self, commands: tuple[tuple[Part, ...], ...]) -> list[Any]:
        """Ask on a connection of this thread's own, which has no loop to wait on."""
        patience = Patience(self.address.shown)
        while True:
            try:
                with self._plains.one() as plain:
                    return _ready(plain.ask(*commands))
            except AWAY as error:
                pause = self._pause(patience, error)
            except hiredis.ReplyError as error:
                raise _typed(error) from error
            time.sleep(pause)

    async def _at_home(self, commands: tuple[tuple[Part, ...], ...]) -> list[Any]:
        """Ask on the loop where the connection lives."""
        future = asyncio.run_coroutine_threadsafe(self._patiently(*commands), self._home)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise StoreUnavailable(CLOSED) from None

    def _pause(self, patience: "Patience", error: Exception) -> float:
        if self._closed:
            raise StoreUnavailable(CLOSED) from None
        return patience.pause(error)

    async def _ask(self, commands: tuple[tuple[Part, ...], ...]) -> list[Any]:
        wire = await self._connected()
        futures = wire.ask(*commands)
        _, late = await asyncio.wait(futures, timeout=REPLY)
        if late:
            wire.close()  # else the next reply would be taken for this one
            raise ConnectionError("the server does not answer")
        try:
            return _ready([future.result() for future in futures])
        except NotReady as error:
            if str(error).startswith("READONLY"):
                wire.close()  # a replica now: the name may lead to another server
            raise

    async def _connected(self) -> Wire:
        wire = self._wire
        if wire is not None and not wire.lost.done():
            return wire
        async with self._connecting:
            if self._closed:
                raise StoreUnavailable(CLOSED)
            if self._wire is None or self._wire.lost.done():
                try:
                    self._wire = await connect(self.address)
                except hiredis.ReplyError as error:
                    raise _typed(error) from error
            return self._wire


def _ready(replies: list[Any]) -> list[Any]:
    """Return the replies of a server that does what it is asked.

    Raises:
        NotReady: it did nothing.
    """
    first = replies[0]
    if isinstance(first, hiredis.ReplyError) and str(first).startswith(NOT_READY):
        raise NotReady(str(first))
    return replies


def _checked(reply: Any) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise _typed(reply) from reply
    return reply


def _typed(error: Exception) -> Exception:
    said = str(error)
    if said.startswith(FULL):
        return StoreFull(f"the server takes nothing more: {said}")
    if said.startswith(NOT_READY):
        return NotReady(said)
    if said.startswith(DENIED) or "ACL failure" in said:
        return ConfigurationError(f"the server does not let us in: {said}")
    if "max number of" in said or "invalid multibulk length" in said:
        return StoreRefused(f"this cannot be stored: {said}")
    return StoreError(f"the server reports an error: {said}")
