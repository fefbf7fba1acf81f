"""Locks over all processes of a store: taking, keeping and letting go."""

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass
from math import inf

from offload.client.client import Client
from offload.core.errors import ConfigurationError, LockLost, StoreError
from offload.core.options import NAME, SECONDS, require
from offload.store.base import Channel, Store
from offload.store.clock import SystemClock

log = logging.getLogger("offload.client")

SHORTEST = 1.0
LOOK_AGAIN = 0.5
"""Seconds after which a waiter looks without a reason: a holder that died says nothing."""

clock = SystemClock()


@dataclass(frozen=True, slots=True)
class LockOptions:
    """What is wanted of a lock; times in seconds."""

    name: str
    ttl: float
    timeout: float | None
    extend: bool

    def __post_init__(self) -> None:
        """Refuse what makes no sense where it is written.

        Raises:
            ConfigurationError: naming the option and what it may be.
        """
        require("name", self.name, NAME)
        require("ttl", self.ttl, SECONDS)
        if self.ttl < SHORTEST:
            raise ConfigurationError(f"ttl={self.ttl!r}: must be {SHORTEST:g} second or more")
        if self.timeout is not None:
            require("timeout", self.timeout, SECONDS)


class Lock:
    """A lock that is held, as whoever holds it sees it."""

    def __init__(self, options: LockOptions, client: Client) -> None:
        """Hold nothing yet."""
        self.name = options.name
        self.token = 0
        """Rises with each new holder: a system that remembers the highest one it has seen can
        refuse a holder that has lost the lock."""
        self._options = options
        self._client = client
        self._owner = secrets.token_hex(8)
        self._until = -inf
        self._taken_over = False
        self._keeping: asyncio.Task[None] | None = None

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold it by now: it was not extended in time."""
        return self._taken_over or clock.ticks() >= self._until

    def check(self) -> None:
        """Return if the lock is still held; call it before what must not be done twice.

        Raises:
            LockLost: it may be somebody else's by now.
        """
        if self.lost:
            raise LockLost(
                f"lock {self.name!r} was not extended within ttl={self._options.ttl:g} s: "
                "somebody else may hold it"
            )

    async def take(self) -> None:
        """Wait until the lock is ours, and keep it.

        Raises:
            TimeoutError: somebody else held it for all of the timeout.
        """
        await self._client.call_on_loop(self._take)

    async def let_go(self) -> None:
        """Free the lock for others."""
        await self._client.call_on_loop(self._let_go)

    # --- on the store's loop -------------------------------------------------------------

    async def _take(self, store: Store) -> None:
        limit = self._options.timeout
        try:
            async with asyncio.timeout(limit or None):
                while not await self._try(store, patient=limit != 0):
                    pass
        except TimeoutError:
            raise TimeoutError(
                f"lock {self.name!r} was still held by somebody else after {limit:g} s"
            ) from None
        if self._options.extend:
            keeping = self._keep(store)
            self._keeping = asyncio.create_task(keeping, name=f"offload-lock-{self.name}")

    async def _try(self, store: Store, *, patient: bool) -> bool:
        cursor = store.cursor(Channel.LOCKS)
        asked = clock.ticks()
        token = await store.acquire(self.name, self._owner, self._options.ttl)
        if token is not None:
            self.token, self._until = token, asked + self._options.ttl
            return True
        if not patient:
            raise TimeoutError
        await store.wait(Channel.LOCKS, cursor, LOOK_AGAIN)
        return False

    async def _keep(self, store: Store) -> None:
        while not self.lost:
            await asyncio.sleep(self._options.ttl / 3)
            try:
                await self.extend(store)
            except StoreError as error:
                log.warning("lock %s: not extended (%s)", self.name, error)
        log.error("lock %s is lost: it was not extended in time", self.name)

    async def extend(self, store: Store) -> None:
        """Have the lock for another `ttl` seconds, or note that it is lost."""
        asked = clock.ticks()
        token = await store.acquire(self.name, self._owner, self._options.ttl)
        if token == self.token:
            self._until = asked + self._options.ttl
            return
        self._taken_over = True
        if token is not None:
            # It had run out and was free. Others may have had it, so it is not ours any more.
            await self._release(store)

    async def _let_go(self, store: Store) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._release(store)

    async def _release(self, store: Store) -> None:
        # Who cannot say so leaves it to the end of the ttl.
        with contextlib.suppress(StoreError):
            await store.release(self.name, self._owner)
