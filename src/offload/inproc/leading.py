"""Which of several processes fires the ticks of a schedule."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from offload.core.errors import LockLost, StoreError

TTL = 10.0
"""Seconds after which another process leads when the one that did has died."""
PAUSE = 1.0
"""Seconds before a store that cannot be reached is asked again."""

log = logging.getLogger("offload.inproc")


class HeldLock(Protocol):
    """A lock that this process has."""

    @property
    def lost(self) -> bool:
        """Whether somebody else may have it by now."""


class Locks(Protocol):
    """What is needed of a queue."""

    def alock(
        self, name: str, *, ttl: float, timeout: float | None = None
    ) -> AbstractAsyncContextManager[HeldLock]:
        """Hold a lock over all processes; see `Queue.alock`."""


class Leading:
    """Leads for as long as it holds the lock of a name, and waits for it otherwise."""

    def __init__(self, locks: Locks, name: str, clock: Callable[[], int]) -> None:
        """Lead nothing yet; `clock` gives Unix milliseconds."""
        self._locks = locks
        self._name = name
        self._clock = clock
        self._since = 0
        self._held: HeldLock | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether this process is the one to act, and no other thinks so of itself."""
        return self._held is not None and not self._held.lost

    def fires(self, tick: int) -> bool:
        """Return whether a tick is this process's: one until it led was another's."""
        return self.leads and tick > self._since

    def start(self) -> None:
        """Try to lead, on the running loop, until `stop`."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name=f"offload-lead-{self._name}")

    async def stop(self) -> None:
        """Let another process lead."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
            self._keeping = None

    async def _keep(self) -> None:
        while True:
            try:
                async with self._locks.alock(f"request-task:{self._name}", ttl=TTL) as held:
                    self._held, self._since = held, self._clock()
                    while self.leads:  # noqa: ASYNC110 - a lock that is lost tells nobody
                        await asyncio.sleep(TTL / 2)
            except (LockLost, StoreError) as error:
                log.warning("schedule %s: another process may lead now: %s", self._name, error)
            except Exception:
                log.exception("schedule %s: another process may lead now", self._name)
            finally:
                self._held = None
            await asyncio.sleep(PAUSE)
