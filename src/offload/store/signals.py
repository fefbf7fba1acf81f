"""Wake-ups inside one process: a counter a channel, and who waits for it to move."""

import asyncio
import contextlib
import threading
from collections import Counter

from offload.store.base import Channel
from offload.store.loop import running_loop

Waiter = asyncio.Future[None]


class Signals:
    """Counters that coroutines of any loop can wait on, moved from any thread.

    A waiter passes the count it saw before it looked at the rows, so news that come between
    the look and the wait are never slept through.
    """

    def __init__(self) -> None:
        """Start all channels at zero, with nobody waiting."""
        self._lock = threading.Lock()
        self._counts: Counter[Channel] = Counter()
        self._waiting: dict[Channel, set[Waiter]] = {channel: set() for channel in Channel}

    def cursor(self, channel: Channel) -> int:
        """Return how often the channel has moved."""
        return self._counts[channel]

    def notify(self, channel: Channel) -> None:
        """Move the channel and wake everybody who waits on it; nobody waits, nobody is woken."""
        with self._lock:
            self._counts[channel] += 1
            waiting = list(self._waiting[channel])
        here = running_loop() if waiting else None
        for waiter in waiting:
            loop = waiter.get_loop()
            if loop is here:  # the bell's, which need not wake itself
                _wake(waiter)
                continue
            with contextlib.suppress(RuntimeError):  # its loop was closed under it
                loop.call_soon_threadsafe(_wake, waiter)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Return once the channel has moved past `cursor`, after `limit` seconds at most."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        with self._lock:
            if self._counts[channel] != cursor:
                return
            self._waiting[channel].add(waiter)
        timer = loop.call_later(limit, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            with self._lock:
                self._waiting[channel].discard(waiter)


def _wake(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
