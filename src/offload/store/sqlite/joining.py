"""Jobs that are stored in a caller's own transaction on the queue's file."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from offload.core.errors import OffloadError
from offload.core.job import Job, NewJob
from offload.store.clock import Clock
from offload.store.records import Row
from offload.store.sqlite.connection import immediate, translated
from offload.store.sqlite.enqueueing import prepared, refusable
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.ticket import Ticket
from offload.store.sqlite.writer import Bindings, Transaction

HOOK = "offload"
"""The name of our commit hook: a connection has one of each name."""


class Guest(Transaction):
    """A transaction on a connection that may be set up to make rows of another kind."""

    def execute(self, sql: str, bindings: Bindings = ()) -> list[tuple[Any, ...]]:
        """Run one statement to its end and return its rows."""
        return self._cursor().execute(sql, bindings).fetchall()

    def each(self, sql: str, rows: Iterable[Bindings]) -> list[tuple[Any, ...]]:
        """Run one statement for each row of bindings and return the rows of all."""
        return self._cursor().executemany(sql, rows).fetchall()

    def _cursor(self) -> apsw.Cursor:
        cursor = self.connection.cursor()
        cursor.row_trace = _as_it_is
        return cursor


class JoinedFile:
    """See `offload.store.base.Joined`."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: Path,
        ticket: Path,
        clock: Clock,
        committing: Callable[[], None],
    ) -> None:
        """Write through `connection`; `committing` is called on its thread as it commits."""
        self._connection = connection
        self._path = path
        self._ticket = ticket
        self._clock = clock
        self._committing = committing

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Insert the jobs; without a transaction, in one of their own."""
        now = self._clock.now()
        fresh = prepared(jobs, now)
        with translated(self._path), self._writing():
            answer = refusable(Guest(self._connection), fresh, now)
            self._connection.set_commit_hook(self._once(), id=HOOK)
        if isinstance(answer, OffloadError):
            raise answer
        return answer

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Have SQLite's lock for writing, for which others wait in turn."""
        connection = self._connection
        if connection.txn_state("main") == apsw.SQLITE_TXN_WRITE:
            yield
            return
        with closing(Ticket(self._ticket)) as ticket:
            if not connection.in_transaction:
                with ticket, immediate(connection):
                    yield
                return
            with ticket:
                connection.execute(SQL["take_lock"])
        yield

    def _once(self) -> Callable[[], bool]:
        """Return a hook that tells of the next commit only: most have nothing to do with jobs."""
        calls = [self._committing]

        def committing() -> bool:
            if calls:
                calls.pop()()
            return False  # True would undo it

        return committing


def is_of(connection: apsw.Connection, path: Path) -> bool:
    """Say whether a connection has this file open as its own."""
    return os.path.realpath(connection.filename) == os.path.realpath(path)


def _as_it_is(_cursor: apsw.Cursor, row: Row) -> Row:
    return row
