"""Wake-ups inside one process: a counter a channel, and who waits for it to move."""

import asyncio
from collections import Counter

from offload.store.base import Channel


class Signals:
    """Counters that coroutines of one loop can wait on; `notify` belongs to the same loop.

    A waiter passes the count it saw before it looked at the rows, so news that come between
    the look and the wait are never slept through.
    """

    def __init__(self) -> None:
        """Start all channels at zero, with nobody waiting."""
        self._counts: Counter[Channel] = Counter()
        self._waiting: dict[Channel, set[asyncio.Future[None]]] = {c: set() for c in Channel}

    def cursor(self, channel: Channel) -> int:
        """Return how often the channel has moved."""
        return self._counts[channel]

    def notify(self, channel: Channel) -> None:
        """Move the channel and wake everybody who waits on it."""
        self._counts[channel] += 1
        for waiter in self._waiting[channel]:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Return once the channel has moved past `cursor`, after `limit` seconds at most."""
        if self._counts[channel] != cursor:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[channel].add(waiter)
        try:
            await asyncio.wait([waiter], timeout=limit)
        finally:
            self._waiting[channel].discard(waiter)
