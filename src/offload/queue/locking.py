"""The part of `Queue` that locks."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from offload.client.locks import Lock, LockOptions
from offload.queue.base import Base


class Locking(Base):
    """See `Queue`."""

    @contextmanager
    def lock(
        self, name: str, *, ttl: float = 30.0, timeout: float | None = None, extend: bool = True
    ) -> Iterator[Lock]:
        """Hold a lock that one holder has at a time, over all processes of the store.

        It is let go at the end of the block, and `ttl` seconds after its process has died. It is
        not reentrant: who takes it twice waits for itself.

        Args:
            name: of the lock.
            ttl: seconds for which it is held without being extended, 1 or more.
            timeout: seconds to wait for it; None waits for as long as it takes, 0 only looks.
            extend: extend it again and again, every third of the ttl, until the block ends.

        Raises:
            TimeoutError: somebody else held it all the time.
            LockLost: at the end of the block: it was not extended in time. An error that the
                block raised comes first.
            ConfigurationError: an option is wrong.
        """
        lock = Lock(LockOptions(name, ttl, timeout, extend), self._client)
        # Also when the taking is interrupted: the store may just have said yes.
        try:
            self._run(lock.take())
            yield lock
            lock.check()
        finally:
            self._run(lock.let_go())

    @asynccontextmanager
    async def alock(
        self, name: str, *, ttl: float = 30.0, timeout: float | None = None, extend: bool = True
    ) -> AsyncIterator[Lock]:
        """Hold a lock; see `lock`."""
        lock = Lock(LockOptions(name, ttl, timeout, extend), self._client)
        try:
            await lock.take()
            yield lock
            lock.check()
        finally:
            await lock.let_go()
