"""Where a relay gets connections of its own from."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol

from offload.core.errors import ConfigurationError
from offload.store.loop import settled
from offload.transactions.links import Link, linked


class Source(Protocol):
    """A database that can be reached."""

    needs_loop: bool
    """Whether its connections belong to the program's event loop."""

    def link(self) -> AbstractAsyncContextManager[Link]:
        """Lend a connection for the block; what the block does not commit is undone."""

    def is_of(self, link: Link) -> bool:
        """Say whether a connection of the program may be to this database."""

    async def close(self) -> None:
        """Let go of what is still open."""


class EngineSource:
    """An engine of SQLAlchemy, whose pool lends a connection for each look."""

    def __init__(self, engine: Any) -> None:
        """Use an Engine or an AsyncEngine."""
        self._engine = engine
        self.needs_loop = hasattr(engine, "sync_engine")

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """Take a connection from the pool and give it back."""
        if self.needs_loop:
            async with self._engine.connect() as connection:
                yield linked(connection)
        else:
            with self._engine.connect() as connection:
                yield linked(connection)

    def is_of(self, link: Link) -> bool:
        """Compare the pools: engines that differ in options share one."""
        if link.pool() is None:
            return bool(link.dialect == self._engine.dialect.name)
        return bool(link.pool() is getattr(self._engine, "sync_engine", self._engine).pool)

    async def close(self) -> None:
        """The engine is not ours to close."""


class FactorySource:
    """A function that makes a connection, which is kept until it breaks."""

    needs_loop = False

    def __init__(self, connect: Callable[[], Any]) -> None:
        """Call `connect`, and await what it returns if that has to be."""
        self._connect = connect
        self._connection: Any = None

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """Lend the connection, made anew if there is none."""
        if self._connection is None:
            self._connection = await settled(self._connect())
        link = linked(self._connection)
        try:
            yield link
            await link.rollback()
        except BaseException:
            await self.close()
            raise

    def is_of(self, link: Link) -> bool:
        """Nothing tells: it may be."""
        return link.pool() is None

    async def close(self) -> None:
        """Close the connection; one that is broken may say so."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await settled(connection.close())


def source(database: object) -> Source:
    """Return how to reach a database.

    Raises:
        ConfigurationError: it is neither an engine nor a function.
    """
    modules = {kind.__module__ for kind in type(database).__mro__}
    if any(module.startswith("sqlalchemy.") for module in modules):
        from offload.transactions import alchemy  # noqa: PLC0415 - SQLAlchemy is an extra

        if alchemy.is_engine(database):
            return EngineSource(database)
    elif callable(database):
        return FactorySource(database)
    raise ConfigurationError(
        f"outbox({database!r}): give an Engine or AsyncEngine of SQLAlchemy, or a function "
        "without arguments that makes a connection, such as lambda: psycopg.connect(dsn)"
    )
