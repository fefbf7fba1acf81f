"""Connections of the program's own, of whatever library, behind one small face.

A synchronous connection is used on the thread that called, and nothing here then ever waits: such a
coroutine can be run with `at_once`. An asynchronous one is awaited on the loop that called.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from offload.core.errors import ConfigurationError
from offload.store.loop import settled

T = TypeVar("T")

Row = tuple[Any, ...]
Values = dict[str, Any]

KNOWN = (
    "a Session, AsyncSession, Connection or AsyncConnection of SQLAlchemy, or a connection of "
    "psycopg 3, sqlite3, aiosqlite or apsw"
)


class Link(ABC):
    """A connection in the hand of whoever made it: it is never opened or closed here."""

    dialect: str
    """`sqlite`, `postgresql`, `mysql` or `mariadb`."""
    is_async: bool = False

    @abstractmethod
    async def fetch(self, sql: str, values: Values | None = None) -> list[Row]:
        """Run one statement, with its values as `:name`, and return its rows."""

    @abstractmethod
    async def each(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row of values."""

    @abstractmethod
    async def begin(self) -> None:
        """Be in a transaction that may write, unless there is one already."""

    @abstractmethod
    async def commit(self) -> None:
        """Commit whatever transaction there is."""

    @abstractmethod
    async def rollback(self) -> None:
        """Undo whatever transaction there is."""

    @abstractmethod
    async def driver(self) -> object:
        """Return the connection that speaks to the database."""

    def pool(self) -> object:
        """Return what tells its database from others; None if nothing does."""
        return None

    def call_after_commit(self, function: Callable[[], None]) -> bool:
        """Call `function` after the next commit; False if the library does not tell of it."""
        del function
        return False


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never waits, for its connection is synchronous, on this thread."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("what was not to wait, waits")


class SQLiteLink(Link):
    """A connection of `sqlite3`, or of `aiosqlite`."""

    dialect = "sqlite"

    def __init__(self, connection: Any, *, is_async: bool = False) -> None:
        """Use `connection`."""
        self._connection = connection
        self.is_async = is_async

    async def fetch(self, sql: str, values: Values | None = None) -> list[Row]:
        """Run one statement on a cursor that makes plain rows."""
        cursor = await settled(self._connection.cursor())
        cursor.row_factory = None
        await settled(cursor.execute(sql, values or {}))
        rows = await settled(cursor.fetchall())
        await settled(cursor.close())
        return list(rows)

    async def each(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row."""
        await settled(self._connection.executemany(sql, rows))

    async def begin(self) -> None:
        """Take the lock for writing at once."""
        if not self._connection.in_transaction:
            await settled(self._connection.execute("BEGIN IMMEDIATE"))

    async def commit(self) -> None:
        """Commit; where the connection is in autocommit mode, only a statement does."""
        if self._connection.in_transaction:
            await self._end("COMMIT", self._connection.commit)

    async def rollback(self) -> None:
        """Roll back; as `commit`."""
        if self._connection.in_transaction:
            await self._end("ROLLBACK", self._connection.rollback)

    async def _end(self, sql: str, method: Callable[[], Any]) -> None:
        autocommit = getattr(self._connection, "autocommit", None)  # from Python 3.12 on
        await settled(self._connection.execute(sql) if autocommit is True else method())

    async def driver(self) -> object:
        """Return the connection."""
        return self._connection


class ApswLink(Link):
    """A connection of `apsw`."""

    dialect = "sqlite"

    def __init__(self, connection: Any) -> None:
        """Use `connection`."""
        self._connection = connection

    async def fetch(self, sql: str, values: Values | None = None) -> list[Row]:
        """Run one statement on a cursor that makes plain rows."""
        cursor = self._connection.cursor()
        cursor.row_trace = _as_it_is
        return list(cursor.execute(sql, values or {}))

    async def each(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row."""
        self._connection.executemany(sql, rows)

    async def begin(self) -> None:
        """Take the lock for writing at once."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        """Commit if there is something to commit."""
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    async def rollback(self) -> None:
        """Roll back if there is something to undo."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    async def driver(self) -> object:
        """Return the connection."""
        return self._connection


class PsycopgLink(Link):
    """A connection of psycopg 3, of either kind."""

    dialect = "postgresql"

    def __init__(self, connection: Any, *, is_async: bool = False) -> None:
        """Use `connection`."""
        self._connection = connection
        self.is_async = is_async

    def _cursor(self) -> Any:
        from psycopg.rows import tuple_row  # noqa: PLC0415 - there if the connection is

        return self._connection.cursor(row_factory=tuple_row)

    async def fetch(self, sql: str, values: Values | None = None) -> list[Row]:
        """Run one statement on a cursor that makes plain rows."""
        cursor = self._cursor()
        await settled(cursor.execute(_percent(sql), values or {}))
        rows = await settled(cursor.fetchall()) if cursor.description else []
        await settled(cursor.close())
        return list(rows)

    async def each(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row."""
        cursor = self._cursor()
        await settled(cursor.executemany(_percent(sql), rows))
        await settled(cursor.close())

    async def begin(self) -> None:
        """Begin, for in autocommit mode nothing else does."""
        if self._connection.autocommit and not self._connection.info.transaction_status:
            await settled(self._connection.execute("BEGIN"))

    async def commit(self) -> None:
        """Commit."""
        await settled(self._connection.commit())

    async def rollback(self) -> None:
        """Roll back."""
        await settled(self._connection.rollback())

    async def driver(self) -> object:
        """Return the connection."""
        return self._connection


def linked(connection: object) -> Link:
    """Return the face of a connection.

    Raises:
        ConfigurationError: it is of no library that is known here.
    """
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(connection).__mro__}
    if "sqlite3.Connection" in names:
        return SQLiteLink(connection)
    if "aiosqlite.core.Connection" in names:
        return SQLiteLink(connection, is_async=True)
    if "apsw.Connection" in names:
        return ApswLink(connection)
    if "psycopg.Connection" in names:
        return PsycopgLink(connection)
    if "psycopg.AsyncConnection" in names:
        return PsycopgLink(connection, is_async=True)
    if any(name.startswith("sqlalchemy.") for name in names):
        from offload.transactions import alchemy  # noqa: PLC0415 - SQLAlchemy is an extra

        return alchemy.linked(connection)
    raise ConfigurationError(f"connection={connection!r}: must be {KNOWN}")


def _as_it_is(_cursor: object, row: Row) -> Row:
    return row


def _percent(sql: str) -> str:
    return re.sub(r":(\w+)", r"%(\1)s", sql)
