"""Every loop of a worker is the same kind of thing: one bounded step, again and again."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from offload.core.errors import StoreError

log = logging.getLogger("offload.worker")

REST = 0.5
LONGEST_REST = 5.0


class Inbox:
    """Wakes the control loop from any thread, once for any number of calls."""

    def __init__(self) -> None:
        """Wake the running loop."""
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._rung = False

    def ring(self) -> None:
        """Wake whoever waits, or will."""
        if not self._rung:
            self._rung = True
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Return after the next ring, or at once if there was one."""
        await self._event.wait()
        self._event.clear()
        # Before whoever waited looks: what comes in from now on rings again.
        self._rung = False


class Service(ABC):
    """A loop that outlives a store that is away, and stops between two steps."""

    def __init__(self) -> None:
        """Be ready to run."""
        self.stopping = asyncio.Event()

    @abstractmethod
    async def step(self) -> None:
        """Do one bounded pass; waiting belongs in here too, through `unless_stopping`."""

    async def run(self) -> None:
        """Step until stopped. While the store is away, rest longer each time, with jitter."""
        failures = 0
        while not self.stopping.is_set():
            try:
                await self.step()
                failures = 0
            except StoreError as error:
                failures += 1
                rest = min(LONGEST_REST, REST * 2 ** min(failures - 1, 10))
                log.warning("%s: the store is away (%s)", type(self).__name__.lower(), error)
                jitter = random.random()  # noqa: S311 - spreads workers out, hides nothing
                await self.unless_stopping(asyncio.sleep(rest * (0.5 + jitter)))

    async def unless_stopping(self, waiting: Coroutine[Any, Any, object]) -> None:
        """Wait for `waiting` or for the service to be stopped, whichever comes first."""
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self.stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if tasks[0].done() and not tasks[0].cancelled():
            tasks[0].result()
