"""Programs' own connections, one of each library, with what a test has to do on them."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiosqlite
import apsw
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from offload.store.loop import settled

SQLITE = ("sqlite3", "apsw", "aiosqlite")
POSTGRES = ("psycopg", "async psycopg")
ALCHEMY = ("session", "connection", "async session", "async connection")
KINDS = [
    *(f"{kind} on a file" for kind in (*SQLITE, *ALCHEMY)),
    *(f"{kind} on a server" for kind in (*POSTGRES, *ALCHEMY)),
]


class Caller:
    """A database, what `queue.outbox` is given of it, and connections to it."""

    def __init__(self, kind: str, place: str) -> None:
        """Use the file or the server's URL at `place`."""
        self.kind, _, where = kind.rpartition(" on a ")
        self.place = place
        self.is_alchemy = self.kind in ALCHEMY
        self.is_async = self.kind.startswith("a") and self.kind != "apsw"
        self.database: Any = self._connect
        if self.is_alchemy:
            self.database = self._engine(where)

    def _engine(self, where: str) -> Any:
        make: Callable[..., Any] = create_async_engine if self.is_async else create_engine
        if where == "file":
            driver = "aiosqlite" if self.is_async else "pysqlite"
            return make(f"sqlite+{driver}:///{self.place}")
        schema = urlsplit(self.place).query.removeprefix("schema=")
        url = urlsplit(self.place)._replace(scheme="postgresql+psycopg", query="").geturl()
        return make(url, connect_args={"options": f"-c search_path={schema}"})

    def _connect(self) -> Any:
        match self.kind:
            case "sqlite3":
                return sqlite3.connect(self.place)
            case "apsw":
                connection = apsw.Connection(self.place)
                connection.set_busy_timeout(5000)
                return connection
            case "aiosqlite":
                return aiosqlite.connect(self.place)
        url, _, schema = self.place.partition("?schema=")
        kind: Any = psycopg.AsyncConnection if self.is_async else psycopg.Connection
        return kind.connect(url, options=f"-c search_path={schema}")

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator["Connected"]:
        """Yield a connection; what is not committed is undone."""
        match self.kind:
            case "session":
                held: Any = Session(self.database)
            case "async session":
                held = AsyncSession(self.database)
            case "connection":
                held = self.database.connect()
            case "async connection":
                held = await self.database.connect()
            case _:
                held = await settled(self._connect())
        try:
            yield Connected(self, held)
        finally:
            await settled(held.close())

    async def close(self) -> None:
        """Let go of the engine."""
        if self.is_alchemy:
            await settled(self.database.dispose())


class Connected:
    """One connection or session: `held` is what a program would hand over."""

    def __init__(self, caller: Caller, held: Any) -> None:
        """Use `held`."""
        self._caller = caller
        self.held = held

    async def execute(self, sql: str) -> list[Any]:
        """Run a statement in a transaction, and return its rows."""
        if self._caller.kind == "apsw" and not self.held.in_transaction:
            self.held.execute("BEGIN")
        if self._caller.is_alchemy:
            result = await settled(self.held.execute(text(sql)))
            return list(result) if result.returns_rows else []
        cursor = await settled(self.held.execute(sql))
        if cursor.description is None if self._caller.kind.endswith("psycopg") else False:
            return []
        return list(await settled(cursor.fetchall()))

    async def commit(self) -> None:
        """Commit."""
        await self._end("COMMIT", "commit")

    async def rollback(self) -> None:
        """Roll back."""
        await self._end("ROLLBACK", "rollback")

    async def _end(self, sql: str, method: str) -> None:
        if self._caller.kind == "apsw":
            self.held.execute(sql)
        else:
            await settled(getattr(self.held, method)())

    @contextlib.asynccontextmanager
    async def undone(self) -> AsyncIterator[None]:
        """Roll back what the block does, and only that."""
        if self._caller.is_alchemy:
            savepoint = self.held.begin_nested()
            savepoint = await settled(savepoint)
            yield
            await settled(savepoint.rollback())
        else:
            await self.execute("SAVEPOINT inner_one")
            yield
            await self.execute("ROLLBACK TO inner_one")


def place_of(kind: str, tmp_path: Path, server: Callable[[], str]) -> str:
    """Return where a database of this kind is; the server is only asked for if it is needed."""
    return server() if kind.endswith("server") else str(tmp_path / "app.db")
