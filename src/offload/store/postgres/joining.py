"""Jobs that are stored in a caller's own transaction on the queue's database."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import tuple_row

from offload.core.job import Job, NewJob
from offload.store.base import Channel
from offload.store.clock import Clock
from offload.store.loop import settled
from offload.store.postgres.bell import TELL, notice
from offload.store.postgres.connection import Session, translated
from offload.store.postgres.enqueueing import enqueue
from offload.store.postgres.locks import number_of
from offload.store.postgres.statements import statements
from offload.store.postgres.url import Address
from offload.store.records import Row

Identity = tuple[Any, ...]
"""What tells a database from all others: the server's own number, and the database's there."""

_identities: WeakKeyDictionary[object, Identity] = WeakKeyDictionary()


class Guest(Session):
    """A caller's connection, of either kind. A plain one is used at once, and never waited for."""

    # Not that of a Session, which takes the time from the loop that it runs on.
    def __init__(self, connection: Any, address: Address, clock: Clock | None) -> None:
        """Send the driver's statements through `connection`."""
        self.connection = connection
        self.channels = set()
        self._sql = statements(address.quoted)
        self._schema = address.schema
        self._clock = clock

    async def fetch(
        self,
        name: str,
        /,
        *,
        tells: Channel | None = None,  # noqa: ARG002 - others hear of it when the caller commits
        early: bool = False,  # noqa: ARG002 - and see it then
        **values: Any,
    ) -> list[Row]:
        """Run a statement and return its rows, whatever the program wants its own to be."""
        return await self.send(self._sql[name], self._stamped(values))

    async def send(self, sql: str, values: Any = None) -> list[Row]:
        """Run a text."""
        is_async = isinstance(self.connection, psycopg.AsyncConnection)
        kind: Any = psycopg.AsyncCursor if is_async else psycopg.Cursor
        cursor = kind(self.connection, row_factory=tuple_row)
        await settled(cursor.execute(sql.encode(), values))
        rows: list[Row] = await settled(cursor.fetchall()) if cursor.description else []
        await settled(cursor.close())
        return rows

    async def lock(self, names: Iterable[str]) -> None:
        """Take these advisory locks until the caller's transaction ends."""
        for number in sorted({number_of(self._schema, name) for name in names}):
            await self.send("SELECT pg_advisory_xact_lock(%s)", [number])

    @contextlib.asynccontextmanager
    async def whole(self) -> AsyncIterator[None]:
        """Undo the block if it raises, and nothing else; outside of a transaction, be one."""
        idle = psycopg.pq.TransactionStatus.IDLE
        is_alone = self.connection.autocommit and self.connection.info.transaction_status is idle
        begin, undo, end = OWN if is_alone else INNER
        await self.send(begin)
        try:
            yield
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                await self.send(undo)
            raise
        await self.send(end)


OWN = ("BEGIN", "ROLLBACK", "COMMIT")
INNER = (
    "SAVEPOINT offload_inner",
    "ROLLBACK TO SAVEPOINT offload_inner",
    "RELEASE SAVEPOINT offload_inner",
)


class JoinedDatabase:
    """See `offload.store.base.Joined`."""

    def __init__(self, guest: Guest, address: Address) -> None:
        """Write through `guest`."""
        self._guest = guest
        self._address = address

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Insert the jobs. The server rings when they are committed, for the store cannot know."""
        guest = self._guest
        try:
            async with guest.whole():
                answer = await enqueue(guest, jobs)
                if guest.channels:
                    name, payload = notice(self._address.schema, guest.channels)
                    await guest.send(TELL, [name, payload])
        except (psycopg.Error, OSError) as error:
            raise translated(error, self._address) from error
        return answer


async def joined(
    connection: object, address: Address, clock: Clock | None, own: Identity
) -> JoinedDatabase | None:
    """Return the way through a connection, if its database is that of the queue."""
    if not isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
        return None
    guest = Guest(connection, address, clock)
    if connection not in _identities:
        _identities[connection] = await identity(guest)
    return JoinedDatabase(guest, address) if _identities[connection] == own else None


async def identity(session: Session) -> Identity:
    """Return what tells the database of a session from others."""
    [row] = await session.fetch("identity")
    return tuple(row)
