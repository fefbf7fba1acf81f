"""Statements by way of libpq itself, on a connection that psycopg has made and watches over.

psycopg looks at each value for its type and waits in a task of its own: half of what a short
statement costs. Here the statement says the types, and the answer wakes whoever asked.
"""

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from offload.store.records import Row

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
FINE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
TEXT, BINARY = 0, 1


class Statement(NamedTuple):
    """A text as the server takes it, and which value stands at which number."""

    text: bytes
    names: tuple[str, ...]


@lru_cache(maxsize=512)
def numbered(sql: str) -> Statement:
    """Return a statement whose placeholders have numbers instead of names."""
    names = tuple(dict.fromkeys(PLACEHOLDER.findall(sql)))
    places = {name: f"${number}" for number, name in enumerate(names, start=1)}
    text = PLACEHOLDER.sub(lambda found: places[found[1]], sql)
    return Statement(text.encode(), names)


class Wire:
    """Sends one statement at a time, and prepares those that come again."""

    def __init__(self, connection: psycopg.AsyncConnection[Row], *, prepares: bool) -> None:
        """Use a connection while nobody else does; behind a pooler nothing can be prepared."""
        self._connection = connection
        self._prepares = prepares
        self._names: dict[str, bytes] = {}
        self._readers: dict[str, Any] = {}  # a Transformer, of which psycopg has two kinds

    async def fetch(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """Run a statement and return its rows.

        Raises:
            psycopg.Error: the server refuses, or the answer was lost.
            UnicodeEncodeError: a text has lone surrogates.
        """
        statement = numbered(sql)
        asked = [values[name] for name in statement.names]
        cells = [_cell(value) for value in asked]
        formats = [BINARY if isinstance(value, bytes) else TEXT for value in asked]
        pgconn = self._connection.pgconn
        if self._prepares and sql in self._readers:  # it comes again
            name = self._names.get(sql) or await self._prepared(sql, statement)
            pgconn.send_query_prepared(name, cells, formats, BINARY)
        else:
            pgconn.send_query_params(statement.text, cells, None, formats, BINARY)
        return self._rows(sql, await self._answer())

    async def _prepared(self, sql: str, statement: Statement) -> bytes:
        name = b"offload_%d" % len(self._names)
        self._connection.pgconn.send_prepare(name, statement.text)
        await self._answer()
        self._names[sql] = name
        return name

    async def _answer(self) -> PGresult:
        """Wait until the server is through: what comes before may still fail to commit."""
        pgconn, loop = self._connection.pgconn, asyncio.get_running_loop()
        over: asyncio.Future[PGresult] = loop.create_future()
        found: list[PGresult] = []

        def look() -> None:
            try:
                if not pgconn.flush():
                    loop.remove_writer(descriptor)
                pgconn.consume_input()
                while not over.done() and not pgconn.is_busy():
                    if (result := pgconn.get_result()) is None:
                        over.set_result(found[-1])
                    else:
                        found.append(result)
            except psycopg.Error as error:
                if not over.done():
                    over.set_exception(error)

        descriptor = pgconn.socket
        loop.add_reader(descriptor, look)
        try:
            if pgconn.flush():
                loop.add_writer(descriptor, look)
            result = await over
        finally:
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)
        if result.status not in FINE:
            raise error_from_result(result)
        return result

    def _rows(self, sql: str, result: PGresult) -> list[Row]:
        reader = self._readers.get(sql)
        if reader is None:
            reader = self._readers[sql] = Transformer(self._connection)
            reader.set_pgresult(result)
        else:
            reader.set_pgresult(result, set_loaders=False)
        rows = reader.load_rows(0, result.ntuples, tuple)
        reader.set_pgresult(None, set_loaders=False)
        return rows


def _cell(value: object) -> bytes | None:
    """Return a value as the server reads it; bytes stand for themselves."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"t" if value else b"f"
    cell = str(value).encode()  # of a number, every digit
    if b"\0" in cell:  # libpq would end the text there
        raise psycopg.DataError("text cannot have NUL")
    return cell
