"""Connections: how they are made, watched and made anew, and errors in our words."""

import asyncio
import contextlib
import os
import random
import re
import select
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from offload.core.errors import StoreError, StoreFull, StoreRefused, StoreUnavailable
from offload.store.base import Channel
from offload.store.clock import Clock
from offload.store.postgres.arrays import Asked
from offload.store.postgres.locks import number_of
from offload.store.postgres.rows import Values
from offload.store.postgres.statements import statements
from offload.store.postgres.url import Address
from offload.store.postgres.wire import RING, Behind, Ring, Wire
from offload.store.records import Row

T = TypeVar("T")
Each = TypeVar("Each")

Connection = psycopg.AsyncConnection[Row]

PATIENCE = 5.0
"""Seconds for which a call is tried again while the server is away."""
FIRST_REST, LONGEST_REST = 0.01, 0.5
LIMIT = 15.0
"""Seconds after which a connection that does not answer counts as lost."""
LONG_LIMIT = 120.0
"""The same for what may have much to do: reads by operators, a migration."""

DEFAULTS = {
    "connect_timeout": 5,
    "application_name": "offload",
    # A server that is only there to be read from is not the one that has the jobs.
    "target_session_attrs": "read-write",
    # A peer that vanished is noticed although nobody hangs up.
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
SETTINGS = (
    # Each statement has an index that it was written for. A plan made while the table was
    # empty would scan it, and would be kept while it grows.
    "-c enable_seqscan=off -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan "
    "-c jit=off -c idle_in_transaction_session_timeout=60000"
)

AGAIN = frozenset({"40001", "40P01", "55P03", "53300", "57P03", "57P05"})
"""What the server refuses for the moment: deadlock, lock, too many sessions, it starts."""
GONE = frozenset({"57P01", "57P02"})
"""It ends the session; whether it has committed before, it does not say."""

REFUSALS = (
    (
        re.compile(r'FATAL: +database ".*" does not exist'),
        "there is no such database: create it (`createdb NAME`), or put its name right in the URL",
    ),
    (
        re.compile(
            r'FATAL: .*authentication failed for user|FATAL: +role ".*" does not exist'
            r"|no password supplied"
        ),
        "the server does not accept who asks: put user and password right in the URL",
    ),
    (
        re.compile(r"FATAL: .*pg_hba\.conf"),
        "the server lets nobody in this way: allow it in its pg_hba.conf",
    ),
)
"""How a server turns away whoever connects, and the way out. libpq tells no code there, only words:
a server that speaks another language is tried for as long as one that is away."""


class Doubt(Exception):
    """The answer to a commit was lost, and the call must not be repeated blindly."""


class Session:
    """A connection while one caller has it."""

    def __init__(
        self,
        connection: Connection,
        wire: Wire,
        address: Address,
        clock: Clock | None,
        ring: Callable[[Channel], Ring | None],
    ) -> None:
        """Send the driver's statements, with the time of `clock`, if there is one.

        `ring` gives what wakes other processes, if that may be sent at once.
        """
        self.connection = connection
        self._wire = wire
        self._ring = ring
        self.channels: set[Channel] = set()
        """Whom to wake when this is through."""
        self.rung: set[Channel] = set()
        """Which of them other processes have heard of already."""
        self._sql = statements(address.quoted)
        self._schema = address.schema
        self._clock = clock
        self._whole = False
        self.answered = time.monotonic()
        """When the last answer came."""
        self.in_doubt = False
        """Whether something may be committed of which no answer has come."""
        self.repeated = False
        """Whether the same call was in doubt before."""

    async def fetch(
        self,
        name: str,
        /,
        *,
        tells: Channel | None = None,
        early: bool = False,
        **values: Any,
    ) -> list[Row]:
        """Run a statement and return its rows; outside of `transaction` it commits by itself.

        That the channel it `tells` moves, others may then hear a round trip earlier; and `early`,
        before it is durable. When this returns, it is.
        """
        self.in_doubt = not self._whole
        ring = None if tells is None or self._whole else self._ring(tells)
        # What this one moves has not been told by a ring before it.
        self.rung = set() if ring is None or tells is None else {tells}
        behind = [] if ring is None else [Behind(RING, ring, is_hint=True)]
        if behind and early:
            values["early"] = True
            behind.append(Behind(self._sql["flush"].encode()))
        rows = await self._wire.fetch(self._sql[name], self._stamped(values), behind)
        self.in_doubt = False
        self.answered = time.monotonic()
        return rows

    async def fetch_for(
        self,
        asked: Asked[Each],
        name: str,
        rows: Sequence[Each],
        *,
        tells: Channel | None = None,
        early: bool = False,
        **values: Any,
    ) -> list[Row]:
        """Run a statement for these rows, of which there is at least one."""
        if len(rows) == 1:
            name += "_of_one"
        return await self.fetch(name, tells=tells, early=early, **asked.values(rows), **values)

    def _stamped(self, values: Values) -> Values:
        clock = self._clock
        if clock is None:
            return {"now": None, "ticks": None, "boot": None, "early": False, **values}
        instant = {"now": clock.now(), "ticks": clock.ticks(), "boot": clock.boot()}
        return {**instant, "early": False, **values}

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit what the block does as one, or nothing of it."""
        await self.connection.execute(b"BEGIN")
        self._whole = True
        try:
            yield
        except BaseException:
            self._whole = False
            with contextlib.suppress(psycopg.Error):
                await self.connection.execute(b"ROLLBACK")
            raise
        self._whole = False
        self.in_doubt = True
        await self.connection.execute(b"COMMIT")
        self.in_doubt = False

    async def lock(self, names: Iterable[str]) -> None:
        """Take these advisory locks, in one order, so that two callers cannot block each other."""
        for number in sorted({number_of(self._schema, name) for name in names}):
            await self.connection.execute(b"SELECT pg_advisory_xact_lock(%s)", [number])

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo only the block if it raises."""
        await self.connection.execute(b"SAVEPOINT inner_one")
        try:
            yield
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                await self.connection.execute(b"ROLLBACK TO inner_one")
            raise

    async def copy(self, name: str, block: str) -> None:
        """Stream a block of rows into a table, inside a transaction."""
        async with (
            self.connection.cursor() as cursor,
            cursor.copy(self._sql[name].encode()) as copy,
        ):
            await copy.write(block)


Operation = Callable[[Session], Awaitable[T]]


class Line:
    """One connection, for one caller at a time; it is made when it is needed, and made anew."""

    def __init__(
        self,
        address: Address,
        clock: Clock | None,
        committed: Callable[[Session], None],
        ring: Callable[[Channel], Ring | None],
        *,
        limit: float,
        tuned: bool,
    ) -> None:
        """Reach the server; an answer that takes more than `limit` seconds counts as lost.

        `committed` hears of a call that has moved channels, `ring` is for its `Session`; `tuned`
        is for the driver's statements.
        """
        self._address = address
        self._clock = clock
        self._committed = committed
        self._ring = ring
        self._limit = limit
        self._tuned = tuned
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._wire: Wire | None = None

    async def run(self, operation: Operation[T], *, repeatable: bool = True) -> T:
        """Carry out an operation, again if the server was away or asked for that.

        One that is not `repeatable` is not tried again when it may have been committed.

        Raises:
            StoreUnavailable: the server is away, or its answer was lost.
            StoreError: it refused.
        """
        loop = asyncio.get_running_loop()
        deadline, rest, repeated = loop.time() + PATIENCE, FIRST_REST, False
        while True:
            try:
                return await self._once(operation, repeated=repeated)
            except Doubt as doubt:
                if not repeatable or loop.time() > deadline:
                    raise StoreUnavailable(
                        f"{self._address.shown}: the connection was lost before the answer came; "
                        f"what was asked for may have been done ({doubt})"
                    ) from doubt.__cause__
                repeated = True
            except UnicodeEncodeError as error:
                raise StoreRefused(f"{self._address.shown}: {error}") from error
            except (psycopg.Error, OSError) as error:
                if not is_passing(error) or loop.time() > deadline:
                    raise translated(error, self._address) from error
            await asyncio.sleep(rest * (0.5 + random.random()))  # noqa: S311 - jitter
            rest = min(2 * rest, LONGEST_REST)

    async def _once(self, operation: Operation[T], *, repeated: bool) -> T:
        async with self._turn:
            connection, wire = await self._connected()
            session = Session(connection, wire, self._address, self._clock, self._ring)
            session.repeated = repeated
            try:
                with self._watched(session):
                    result = await operation(session)
            except psycopg.Error as error:
                if session.in_doubt and is_lost(error):
                    raise Doubt(str(error)) from error
                raise
            finally:
                await self._checked(session.connection)
        if session.channels:
            self._committed(session)
        return result

    @contextlib.contextmanager
    def _watched(self, session: Session) -> Iterator[None]:
        """Hang up if no answer comes: the other side may be gone without a word."""
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        def look() -> None:
            due = session.answered + self._limit
            if loop.time() < due:
                timers[:] = [loop.call_at(due, look)]
            else:
                hang_up(session.connection)

        look()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    async def _connected(self) -> tuple[Connection, Wire]:
        if self._connection is not None and has_hung_up(self._connection):
            await self._connection.close()
            self._connection = None
        if self._connection is None or self._wire is None:
            self._connection = await connected(self._address, tuned=self._tuned)
            self._wire = Wire(self._connection, prepares=not self._address.pooled)
        return self._connection, self._wire

    async def _checked(self, connection: Connection) -> None:
        """Keep the connection only if it is fit for the next caller."""
        idle = psycopg.pq.TransactionStatus.IDLE
        if connection.info.transaction_status is not idle:
            self._connection = None
            await connection.close()

    async def close(self) -> None:
        """Hang up, when whoever has the connection is through."""
        async with self._turn:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None


async def connected(address: Address, *, tuned: bool) -> Connection:
    """Return a new connection that commits each statement by itself."""
    asked = conninfo_to_dict(address.conninfo)
    missing: dict[str, Any] = {key: value for key, value in DEFAULTS.items() if key not in asked}
    if not address.pooled:
        # A pooler shares sessions with others, and takes no settings for one.
        settings = SETTINGS if tuned else "-c jit=off"
        missing["options"] = f"{settings} {asked.get('options', '')}"
    return await psycopg.AsyncConnection.connect(
        make_conninfo(address.conninfo, client_encoding="utf8", **missing),
        autocommit=True,
        # With statements of its own, psycopg would also deallocate those of `Wire`.
        prepare_threshold=None,
    )


def has_hung_up(connection: Connection) -> bool:
    """Say whether the server has ended an idle connection: then nothing is in doubt yet."""
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
        while poll.poll(0):  # the end, behind word of it, or a setting that has changed
            connection.pgconn.consume_input()
    except psycopg.Error:
        return True
    return connection.closed


def hang_up(connection: Connection) -> None:
    """Cut a connection from this side: whoever waits for an answer hears that it is lost."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as other_end,
    ):
        other_end.shutdown(socket.SHUT_RDWR)


def is_lost(error: BaseException) -> bool:
    """Say whether no answer came, or one that leaves open what was committed."""
    if not isinstance(error, psycopg.Error):
        return isinstance(error, OSError)
    state = error.sqlstate
    if state is None:  # not the server's word
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state in GONE or state.startswith("08")


def is_passing(error: BaseException) -> bool:
    """Say whether the same call may well succeed soon."""
    if refusal(error) is not None:
        return False
    return is_lost(error) or (isinstance(error, psycopg.Error) and error.sqlstate in AGAIN)


def refusal(error: BaseException) -> str | None:
    """Return the way out if the server has turned away whoever connects, and will do so again."""
    if not isinstance(error, psycopg.OperationalError) or error.sqlstate is not None:
        return None
    return next((remedy for words, remedy in REFUSALS if words.search(str(error))), None)


def translated(error: BaseException, address: Address) -> StoreError:
    """Return an error of the driver in our words, with the way out."""
    place = address.shown
    state = (error.sqlstate if isinstance(error, psycopg.Error) else None) or ""
    line = " ".join(str(error).split())
    if (remedy := refusal(error)) is not None:
        return StoreError(f"{place}: {remedy} ({line})")
    if state in {"53100", "53200"}:
        return StoreFull(f"{place}: the server is out of space or memory ({line})")
    if state == "42501":
        return StoreError(f"{place}: this role may not do that ({line}): grant it the rights")
    if state[:2] in {"22", "23", "54"} or isinstance(error, psycopg.DataError):
        return StoreRefused(f"{place}: this cannot be stored ({line})")
    if is_passing(error) or state[:2] in {"25", "53", "57"}:
        return StoreUnavailable(f"{place}: the server is away ({line})")
    return StoreError(f"{place}: PostgreSQL reports an error ({line})")
