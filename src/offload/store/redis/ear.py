"""Hears the news of all processes; what is missed while the server is away is polled for.

That jobs have changed is told far more often than anything else, and on a channel of its own: a
worker, which never waits for it, would be woken by each of its own claims and ends.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import hiredis

from offload.store.base import Channel
from offload.store.redis.address import Address
from offload.store.redis.wire import CONNECTING, Wire, connect

CODES = {
    ord("r"): Channel.READY,
    ord("c"): Channel.CHANGED,
    ord("x"): Channel.CONTROL,
    ord("s"): Channel.SCHEDULES,
    ord("l"): Channel.LOCKS,
}
AGAIN = 0.5


class Ear:
    """Subscribes on a connection of its own, which can do nothing else."""

    def __init__(self, address: Address, heard: Callable[[Channel], None]) -> None:
        """Call `heard` on the loop that opens this."""
        self._address = address
        self._heard = heard
        self._listening: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wire: Wire | None = None
        self._wants_changes = False

    def want_changes(self) -> None:
        """Hear of changed jobs, too, from soon on; any thread may ask for it.

        What came before is made up for by a ring once the server has confirmed.
        """
        if self._wants_changes or self._loop is None:
            return
        self._wants_changes = True
        with contextlib.suppress(RuntimeError):  # its loop was closed under it
            self._loop.call_soon_threadsafe(self._ask_for_changes)

    async def open(self) -> None:
        """Listen from now on."""
        self._loop = asyncio.get_running_loop()
        self._listening = asyncio.create_task(self._listen(), name="offload-ear")
        # A server that goes away now is polled until it is heard again.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECTING):
                await self._ready.wait()

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
            self._listening = None

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(OSError, hiredis.HiredisError):
                await self._listen_once()
            await asyncio.sleep(AGAIN)

    async def _listen_once(self) -> None:
        wire = await connect(self._address, self._take)
        try:
            await self._subscribed(wire)
            self._wire = wire
            self._ask_for_changes()
            await wire.lost
        finally:
            self._wire = None
            wire.close()

    def _ask_for_changes(self) -> None:
        if self._wants_changes and self._wire is not None:
            self._wire.tell(("SUBSCRIBE", self._address.root + "changes"))

    async def _subscribed(self, wire: Wire) -> None:
        await asyncio.gather(*wire.ask(("SUBSCRIBE", self._address.root + "news")))
        # Whatever rang before could not be heard.
        for channel in Channel:
            self._heard(channel)
        self._ready.set()

    def _take(self, message: Any) -> None:
        kind, _, said = message
        for code in said if kind == b"message" else b"c":
            self._heard(CODES[code])
