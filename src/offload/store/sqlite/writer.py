"""The one thread of a process that writes: what comes in together is committed together.

A commit waits for the disk, so the operations that pile up meanwhile share the next one. That
gives a burst of enqueues, finishes and heartbeats the durability of FULL at the price of one
sync for all of them.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import apsw

from offload.core.errors import StoreError, StoreUnavailable
from offload.store.base import Channel
from offload.store.sqlite.connection import connect, immediate, translated
from offload.store.sqlite.ticket import Ticket

T = TypeVar("T")

MOST = 256
"""Operations in one transaction: others want to write too."""

Bindings = dict[str, Any] | tuple[Any, ...]


@dataclass(slots=True)
class Transaction:
    """What an operation gets: the connection, and whom to wake after the commit."""

    connection: apsw.Connection
    channels: set[Channel] = field(default_factory=set)

    def execute(self, sql: str, bindings: Bindings = ()) -> list[tuple[Any, ...]]:
        """Run one statement to its end and return its rows."""
        return self.connection.execute(sql, bindings).fetchall()

    def each(self, sql: str, rows: Iterable[Bindings]) -> list[tuple[Any, ...]]:
        """Run one statement for each row of bindings and return the rows of all."""
        return self.connection.executemany(sql, rows).fetchall()

    def insert(self, sql: str, rows: list[tuple[Any, ...]]) -> int:
        """Run one statement for each row and return how many rows came of it."""
        before = self.connection.total_changes()
        self.connection.executemany(sql, rows)
        return self.connection.total_changes() - before

    def changed(self, sql: str, bindings: Bindings, *channels: Channel) -> int:
        """Run one statement, return how many rows it changed and wake `channels` if any."""
        self.connection.execute(sql, bindings)
        count = self.connection.changes()
        if count:
            self.channels.update(channels)
        return count


Operation = Callable[[Transaction], Any]
Entry = tuple[Operation, "asyncio.Future[Any]"]
Answer = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Writer:
    """Takes operations from one event loop and answers them there once they are on disk.

    An operation must only use its transaction: it is run again, alone, when the one that it
    shared was undone because of a neighbour.
    """

    def __init__(
        self,
        path: Path,
        synchronous: str,
        ticket: Ticket,
        committed: Callable[[set[Channel]], None],
    ) -> None:
        """Write to `path` in turn; `committed` is called on this thread after each commit."""
        self._path = path
        self._synchronous = synchronous
        self._ticket = ticket
        self._committed = committed
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="offload-writer", daemon=True)
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Open the connection and begin to write."""
        self._connection = connect(self._path, self._synchronous)
        self._thread.start()

    def stop(self) -> None:
        """Write what was accepted, then let go of the file. Blocks; call it from a thread."""
        self._entries.put(None)
        self._thread.join()
        self._connection.close()
        self._ticket.close()

    def submit(self, operation: Callable[[Transaction], T]) -> "asyncio.Future[T]":
        """Hand over an operation; the future is done when its effect is durable."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._entries.put((operation, future))
        return future

    def _run(self) -> None:
        while True:
            batch, last = self._next_batch()
            if batch:
                self._answer(self._write(batch))
            if last:
                return

    def _next_batch(self) -> tuple[list[Entry], bool]:
        batch: list[Entry] = []
        entry = self._entries.get()
        while entry is not None:
            batch.append(entry)
            if len(batch) >= MOST or self._entries.empty():
                return batch, False
            entry = self._entries.get()
        return batch, True

    def _write(self, batch: list[Entry]) -> list[Answer]:
        try:
            results = self._transact(batch)
        except StoreUnavailable as error:
            return [(future, None, error) for _, future in batch]
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            if len(batch) == 1:
                return [(batch[0][1], None, error)]
            # One of them spoiled it for all: each gets a transaction of its own.
            return [answer for entry in batch for answer in self._write([entry])]
        return [(future, result, None) for (_, future), result in zip(batch, results, strict=True)]

    def _transact(self, batch: list[Entry]) -> list[Any]:
        transaction = Transaction(self._connection)
        with self._ticket, translated(self._path), immediate(self._connection):
            results = [operation(transaction) for operation, _ in batch]
        if transaction.channels:
            self._committed(transaction.channels)
        return results

    def _answer(self, answers: list[Answer]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError as error:  # the loop was closed under us: nobody is left to tell
            if not self._loop.is_closed():
                raise StoreError("the store's event loop is gone") from error


def _resolve(answers: list[Answer]) -> None:
    for future, result, error in answers:
        if future.done():  # its caller was cancelled
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
