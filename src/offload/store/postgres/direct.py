"""A connection for threads that block anyhow: no hop to the store's loop, and none back."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

import psycopg

from offload.core.job import Job, NewJob
from offload.store.base import Channel
from offload.store.clock import Clock
from offload.store.postgres.connection import LIMIT, Connection, Session, connected, has_hung_up
from offload.store.postgres.enqueueing import insert
from offload.store.postgres.url import Address
from offload.store.postgres.wire import BlockingWire, Ring

log = logging.getLogger("offload.store")


class Direct:
    """One connection, for one thread at a time. Whatever is unusual is left to the long way."""

    def __init__(
        self,
        address: Address,
        clock: Clock | None,
        committed: Callable[[Session], None],
        ring: Callable[[Channel], Ring | None],
    ) -> None:
        """Connect on the running loop when somebody asks; `committed` hears on their threads."""
        self._address = address
        self._clock = clock
        self._committed = committed
        self._ring = ring
        self._home = asyncio.get_running_loop()
        self._turn = threading.Lock()
        self._connecting: asyncio.Task[None] | None = None
        self._made: tuple[Connection, BlockingWire] | None = None
        """Set on the loop, where there is none; taken away by who has the turn."""
        self._closed = False

    async def insert(self, jobs: Sequence[NewJob]) -> list[Job] | None:
        """Store plain jobs for a driven caller; None if they have to go the long way.

        They may be stored all the same: whoever goes that way finds them.
        """
        # Who finds it taken is better off in the next group commit.
        if not self._turn.acquire(blocking=False):
            return None
        try:
            return await self._inserted(jobs)
        finally:
            self._turn.release()

    async def close(self) -> None:
        """Hang up, when whoever has the connection is through."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        await asyncio.to_thread(self._turn.acquire)  # and never released
        self._drop()

    async def _inserted(self, jobs: Sequence[NewJob]) -> list[Job] | None:
        if self._made is not None and has_hung_up(self._made[0]):
            self._drop()
        if self._made is None:
            self._home.call_soon_threadsafe(self._connect)
            return None
        connection, wire = self._made
        session = Session(connection, wire, self._address, self._clock, self._ring)
        try:
            stored = await insert(session, jobs)
        except (psycopg.Error, UnicodeEncodeError) as error:
            log.debug("jobs go the long way: %s", error)
            self._drop()
            return None
        except BaseException:  # nobody knows where it stands
            self._drop()
            raise
        self._committed(session)
        return stored

    def _drop(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made[0].pgconn.finish()

    def _connect(self) -> None:
        if self._made is None and self._connecting is None and not self._closed:
            self._connecting = self._home.create_task(self._connected(), name="offload-direct")

    async def _connected(self) -> None:
        try:
            connection = await connected(self._address, tuned=True)
        except (psycopg.Error, OSError) as error:
            log.debug("no direct connection for now: %s", error)
        else:
            prepares = not self._address.pooled
            self._made = connection, BlockingWire(connection, prepares=prepares, limit=LIMIT)
        finally:
            self._connecting = None
