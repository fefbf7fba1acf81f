"""Statements by way of libpq itself, on a connection that psycopg has made and watches over.

psycopg looks at each value for its type and waits in a task of its own: half of what a short
statement costs. Here the statement says the types, and the answer wakes whoever asked.
"""

import asyncio
import re
import select
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from offload.store.records import Row

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
FINE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
TEXT, BINARY = 0, 1

Ring = Sequence[bytes]
"""What NOTIFY takes, a name and a text."""
RING = b"SELECT pg_notify($1, $2)"


class Behind(NamedTuple):
    """A statement that goes out in one breath with another and is carried out after its commit."""

    text: bytes
    values: Sequence[bytes] = ()
    is_hint: bool = False
    """Whether nothing is lost if the server refuses it."""


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


class Answer:
    """What comes back for what was sent last, as far as it has come."""

    def __init__(self, pgconn: PGconn, behind: Sequence[Behind] = ()) -> None:
        """Expect also what comes `behind` it, each in a transaction of its own, in a pipeline."""
        self._pgconn = pgconn
        self._results: dict[int, PGresult] = {}
        self._behind = behind
        self._syncs = 1 + len(behind) if behind else 0
        self._seen = 0
        self._over = False

    def look(self) -> bool:
        """Take in what is there; say whether that is all."""
        self._pgconn.consume_input()
        while not self._over and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:  # in a pipeline, the end of a statement; else that of all
                self._over = not self._syncs or self._pgconn.status == ConnStatus.BAD
            elif result.status == ExecStatus.PIPELINE_SYNC:
                self._seen += 1
                self._over = self._seen == self._syncs
            else:
                self._results[self._seen] = result
        return self._over

    def checked(self) -> PGresult:
        """Return the last word on the statement.

        Raises:
            psycopg.Error: it is a refusal, or none has come; or so for what came behind it.
        """
        hints = {place for place, each in enumerate(self._behind, start=1) if each.is_hint}
        for place in range(1 + len(self._behind)):
            result = self._results.get(place)
            if place in hints:
                continue
            if result is None:
                raise psycopg.OperationalError("the connection was lost")
            if result.status not in FINE:
                raise error_from_result(result)
        return self._results[0]


class Wire:
    """Sends one statement at a time, and prepares those that come again."""

    def __init__(self, connection: psycopg.AsyncConnection[Row], *, prepares: bool) -> None:
        """Use a connection while nobody else does; behind a pooler nothing can be prepared."""
        self._connection = connection
        self._prepares = prepares
        self._names: dict[bytes, bytes] = {}
        self._seen: set[bytes] = set()
        self._readers: dict[str, Any] = {}  # a Transformer, of which psycopg has two kinds

    async def fetch(
        self, sql: str, values: Mapping[str, Any], behind: Sequence[Behind] = ()
    ) -> list[Row]:
        """Run a statement and return its rows, when what is `behind` it is done, too.

        Raises:
            psycopg.Error: the server refuses, or the answer was lost.
            UnicodeEncodeError: a text has lone surrogates.
        """
        for answer in self._asked(sql, values, behind):
            await self._arrived(answer)
        return self._rows(sql, answer.checked())

    def _asked(
        self, sql: str, values: Mapping[str, Any], behind: Sequence[Behind]
    ) -> Iterator["Answer"]:
        """Send what it takes, step by step; each step begins when the answer before has come."""
        statement, pgconn = numbered(sql), self._connection.pgconn
        asked = [values[name] for name in statement.names]
        cells = [_cell(value) for value in asked]
        formats = [BINARY if isinstance(value, bytes) else TEXT for value in asked]
        for text in (statement.text, *(each.text for each in behind)):
            yield from self._prepared(text)
        if not behind:
            self._send(statement.text, cells, formats)
            yield Answer(pgconn)
            return
        pgconn.enter_pipeline_mode()
        self._send(statement.text, cells, formats)
        for each in behind:
            pgconn.pipeline_sync()  # here ends the transaction before
            self._send(each.text, each.values, [TEXT] * len(each.values))
        pgconn.pipeline_sync()
        yield Answer(pgconn, behind)
        pgconn.exit_pipeline_mode()

    def _prepared(self, text: bytes) -> Iterator["Answer"]:
        """Have the server plan a statement once and for all, if it comes again."""
        if self._prepares and text in self._seen and text not in self._names:
            name = b"offload_%d" % len(self._names)
            self._connection.pgconn.send_prepare(name, text)
            yield (answer := Answer(self._connection.pgconn))
            answer.checked()
            self._names[text] = name
        self._seen.add(text)

    def _send(self, text: bytes, cells: Sequence[bytes | None], formats: Sequence[int]) -> None:
        name, pgconn = self._names.get(text), self._connection.pgconn
        if name is None:
            pgconn.send_query_params(text, cells, None, formats, BINARY)
        else:
            pgconn.send_query_prepared(name, cells, formats, BINARY)

    async def _arrived(self, answer: "Answer") -> None:
        """Wait until the server is through: what comes before may still fail to commit."""
        pgconn, loop = self._connection.pgconn, asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def look() -> None:
            try:
                if not pgconn.flush():
                    loop.remove_writer(descriptor)
                if answer.look() and not over.done():
                    over.set_result(None)
            except psycopg.Error as error:
                if not over.done():
                    over.set_exception(error)

        descriptor = pgconn.socket
        loop.add_reader(descriptor, look)
        try:
            if pgconn.flush():
                loop.add_writer(descriptor, look)
            await over
        finally:
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)

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


class BlockingWire(Wire):
    """The same for a thread that blocks, because it has no loop to wait on."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Row], *, prepares: bool, limit: float
    ) -> None:
        """Count a server as lost that does not answer within `limit` seconds."""
        super().__init__(connection, prepares=prepares)
        self._limit = limit

    async def _arrived(self, answer: Answer) -> None:
        pgconn = self._connection.pgconn
        poll = select.poll()
        while not answer.look():
            wanted = select.POLLIN | select.POLLOUT if pgconn.flush() else select.POLLIN
            poll.register(pgconn.socket, wanted)
            if not poll.poll(self._limit * 1000):
                raise psycopg.OperationalError("the server does not answer")


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
