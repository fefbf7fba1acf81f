"""Connections and sessions of SQLAlchemy; imported only when the program has one."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
)
from sqlalchemy.orm import Session, scoped_session

from offload.core.errors import ConfigurationError
from offload.store.loop import settled, undriven
from offload.transactions.links import KNOWN, Link, Row, Values

T = TypeVar("T")

DIALECTS = ("sqlite", "postgresql", "mysql", "mariadb")
CALLS = "offload_after_commit"
"""Where a session's `info` has what to call after its next commit."""


class AlchemyLink(Link):
    """A session or a connection, of either kind."""

    def __init__(self, held: Any) -> None:
        """Use a Session, an AsyncSession, a Connection or an AsyncConnection.

        Raises:
            ConfigurationError: its database is of a kind that is not known here.
        """
        self._held = held
        self.is_async = isinstance(held, AsyncSession | AsyncConnection)
        self._session: Session | None = getattr(held, "sync_session", None)
        if isinstance(held, Session):
            self._session = held
        bind = held if self._session is None else self._session.get_bind()
        self.dialect = bind.dialect.name
        self._engine = bind.engine
        if self.dialect not in DIALECTS:
            raise ConfigurationError(
                f"{self.dialect}: an outbox needs one of {', '.join(DIALECTS)}"
            )

    async def fetch(self, sql: str, values: Values | None = None) -> list[Row]:
        """Run one statement."""

        def run(connection: Connection) -> list[Row]:
            result = connection.execute(text(sql), values or {})
            return [tuple(row) for row in result] if result.returns_rows else []

        return await self._on_connection(run)

    async def each(self, sql: str, rows: Sequence[Values]) -> None:
        """Run one statement for each row."""
        await self._on_connection(lambda connection: connection.execute(text(sql), list(rows)))

    async def begin(self) -> None:
        """Leave it to SQLAlchemy, which begins with the first statement."""

    async def commit(self) -> None:
        """Commit; a session writes first what it holds."""
        with undriven():
            await settled(self._held.commit())

    async def rollback(self) -> None:
        """Roll back."""
        with undriven():
            await settled(self._held.rollback())

    async def driver(self) -> object:
        """Return the driver's own connection, in a transaction that SQLAlchemy knows of."""
        return await self._on_connection(_driver)

    def pool(self) -> object:
        """Return the pool of its engine, which engines with other options share."""
        engine = getattr(self._engine, "sync_engine", self._engine)
        return engine.pool

    def call_after_commit(self, function: Callable[[], None]) -> bool:
        """Call `function` after a session's commit; a connection tells only before it."""
        if self._session is None:
            return False
        self._session.info.setdefault(CALLS, set()).add(function)
        if not event.contains(self._session, "after_commit", _committed):
            event.listen(self._session, "after_commit", _committed)
        return True

    async def _on_connection(self, work: Callable[[Connection], T]) -> T:
        if self.is_async:
            result: T = await self._held.run_sync(lambda held: work(_connection(held)))
            return result
        # In `run_sync`, other code of the loop may run while a statement does.
        with undriven():
            return work(_connection(self._held))


def linked(held: object) -> Link:
    """Return the face of what is SQLAlchemy's.

    Raises:
        ConfigurationError: it is nothing that has a transaction.
    """
    if isinstance(held, scoped_session | async_scoped_session):
        held = held()
    if isinstance(held, Session | AsyncSession | Connection | AsyncConnection):
        return AlchemyLink(held)
    raise ConfigurationError(f"connection={held!r}: must be {KNOWN}")


def is_engine(database: object) -> bool:
    """Say whether this makes connections of SQLAlchemy."""
    return isinstance(database, Engine | AsyncEngine)


def _driver(connection: Connection) -> object:
    # What is not begun here, `commit` would not commit.
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


def _connection(held: Session | Connection) -> Connection:
    return held.connection() if isinstance(held, Session) else held


def _committed(session: Session) -> None:
    # The release of a savepoint is told as a commit, too.
    if not session.in_nested_transaction():
        for function in session.info.pop(CALLS, ()):
            function()
