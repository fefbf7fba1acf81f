"""One connection of a process writes: what comes in together is committed together.

A commit waits for the disk, so the operations that pile up meanwhile share the next one. That
gives a burst of enqueues, finishes and heartbeats the durability of FULL at the price of one
sync for all of them.

What a power cut may undo, because nobody was promised it, is committed without a sync of its own.
The next one covers it too, for the log is one file, written in order; it comes soon.

Whoever blocks a thread for its answer, while nobody else writes, writes on that thread: handing
an operation to the writer's and back takes as long as half a sync.
"""

import asyncio
import contextlib
import queue
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from offload.core.errors import StoreUnavailable
from offload.store.base import Channel
from offload.store.loop import CLOSED, is_driven
from offload.store.sqlite.connection import connect, immediate, schema_version, translated
from offload.store.sqlite.ticket import Ticket

T = TypeVar("T")

MOST = 256
"""Operations in one transaction: others want to write too."""
ROWS = 32
"""Rows that a wide statement takes: more are hardly cheaper, and apsw caches no longer text."""
SOON = 0.02
"""Seconds after which what was not synced is, if nothing else has had a sync by then."""

Bindings = dict[str, Any] | tuple[Any, ...]


class MustLast(Exception):
    """What a transaction without a sync would do has to survive a power cut."""


@dataclass(slots=True)
class Transaction:
    """What an operation gets: the connection, and whom to wake after the commit."""

    connection: apsw.Connection
    lasts: bool = True
    """Whether it is synced before anybody sees it, as far as the store's `synchronous` goes."""
    channels: set[Channel] = field(default_factory=set)

    def must_last(self) -> None:
        """Have the transaction synced: if it would not be, it is undone and run again.

        Raises:
            MustLast: for the writer.
        """
        if not self.lasts:
            raise MustLast

    def execute(self, sql: str, bindings: Bindings = ()) -> list[tuple[Any, ...]]:
        """Run one statement to its end and return its rows."""
        return self.connection.execute(sql, bindings).fetchall()

    def each(self, sql: str, rows: Iterable[Bindings]) -> list[tuple[Any, ...]]:
        """Run one statement for each row of bindings and return the rows of all."""
        return self.connection.executemany(sql, rows).fetchall()

    def wide(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run a statement that has `VALUES (?, …)` for all rows, `ROWS` of them at a time.

        Returns how many rows came of it, or were changed.

        `executemany` takes it out of apsw's cache for each row and puts it back as the newest:
        after 100 rows every other statement is gone from there, and has to be compiled anew.
        """
        before = self.connection.total_changes()
        full = len(rows) - len(rows) % ROWS
        for at in range(0, full, ROWS):
            self.execute(_widened(sql), (*chain.from_iterable(rows[at : at + ROWS]),))
        self.each(sql, rows[full:])
        return self.connection.total_changes() - before

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


class Pending(Generic[T]):
    """The answer for a driven caller, whose thread waits for it."""

    def __init__(self) -> None:
        """Know no answer yet."""
        self._done = threading.Lock()
        self._done.acquire()
        self._result: T
        self._error: BaseException | None = None

    def answer(self, result: T, error: BaseException | None) -> None:
        """Give the answer; called once."""
        self._result, self._error = result, error
        self._done.release()

    def wait(self) -> T:
        """Block the thread until there is an answer: a driven coroutine has no loop to go on."""
        with self._done:
            if self._error is not None:
                raise self._error
            return self._result


Operation = Callable[[Transaction], Any]
Waiting = Pending[Any] | asyncio.Future[Any]
Entry = tuple[Operation, Waiting, bool]
"""What to do, who waits for it, and whether it may be lost."""
Answer = tuple[Waiting, Any, BaseException | None]


class Writer:
    """Takes operations from any thread and loop, and answers where they came from.

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
        self._turn = threading.Lock()
        """Held by the thread that writes."""
        self._writing: int | None = None
        self._closing = threading.Lock()
        self._closed = False
        self._unsynced = False
        self._news: set[Channel] = set()

    def start(self) -> None:
        """Open the connection and begin to write.

        Raises:
            StoreError: it cannot be opened; nothing stays open.
        """
        try:
            self._connection = connect(self._path, self._synchronous)
            self._level = self._synchronous
        except BaseException:
            self._ticket.close()
            raise
        self._thread.start()

    def stop(self) -> None:
        """Write what was accepted, then let go of the file. Blocks; call it from a thread."""
        with self._closing:
            self._closed = True
            self._entries.put(None)
        self._thread.join()
        with self._turn:
            self._connection.close()
            self._ticket.close()

    async def submit(
        self, operation: Callable[[Transaction], T], *, may_be_lost: bool = False
    ) -> T:
        """Carry out an operation and return its result when its effect is durable.

        With `may_be_lost`, a power cut soon after may undo it, unless it says `must_last`.

        Raises:
            StoreUnavailable: the store was closed.
        """
        if is_driven():
            pending: Pending[T] = Pending()
            if may_be_lost or not self._write_here(operation, pending):
                self._put(operation, pending, may_be_lost=may_be_lost)
            return pending.wait()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(operation, future, may_be_lost=may_be_lost)
        return await future

    def post(self, operation: Operation) -> None:
        """Carry out an operation of which nobody hears; a closed store does not."""
        with contextlib.suppress(StoreUnavailable):
            self._put(operation, Pending())

    def _write_here(self, operation: Operation, pending: Pending[Any]) -> bool:
        """Carry out an operation on this thread, if nobody else writes or waits to."""
        if self._writing == threading.get_ident():
            # In a signal handler or a finalizer, which came amid an operation of this thread.
            raise StoreUnavailable("called while this very thread writes: try again after that")
        if self._turn.locked() or not self._entries.empty():
            return False  # it will share the next commit
        with self._at_turn():
            if self._closed:
                raise StoreUnavailable(CLOSED)
            _tell(self._write([(operation, pending, False)]))
            self._spread()
        return True

    @contextlib.contextmanager
    def _at_turn(self) -> Iterator[None]:
        with self._turn:
            self._writing = threading.get_ident()
            try:
                yield
            finally:
                self._writing = None

    def _put(self, operation: Operation, waiting: Waiting, *, may_be_lost: bool = False) -> None:
        with self._closing:
            if self._closed:
                raise StoreUnavailable(CLOSED)
            self._entries.put((operation, waiting, may_be_lost))

    def _run(self) -> None:
        while True:
            batch, last = self._next_batch()
            with self._at_turn():
                if batch:
                    _tell(self._write(batch))
                if last or self._entries.empty():
                    self._spread()
            if last:
                return

    def _next_batch(self) -> tuple[list[Entry], bool]:
        batch: list[Entry] = []
        try:
            entry = self._entries.get(timeout=SOON if self._unsynced else None)
        except queue.Empty:
            self._unsynced = False
            return [(_touch, Pending(), False)], False
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
            return [(waiting, None, error) for _, waiting, _ in batch]
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            if len(batch) == 1:
                return [(batch[0][1], None, error)]
            # One of them spoiled it for all: each gets a transaction of its own.
            return [answer for entry in batch for answer in self._write([entry])]
        return [
            (waiting, result, None) for (_, waiting, _), result in zip(batch, results, strict=True)
        ]

    def _transact(self, batch: list[Entry]) -> list[Any]:
        if all(may_be_lost for *_, may_be_lost in batch):
            with contextlib.suppress(MustLast):
                return self._commit(batch, "NORMAL", lasts=False)
        return self._commit(batch, self._synchronous, lasts=True)

    def _commit(self, batch: list[Entry], level: str, *, lasts: bool) -> list[Any]:
        transaction = Transaction(self._connection, lasts)
        before = self._connection.total_changes()
        with self._ticket, translated(self._path):
            if level != self._level:
                self._connection.execute(f"PRAGMA synchronous = {level}")
                self._level = level
            with immediate(self._connection):
                results = [operation(transaction) for operation, *_ in batch]
        if self._connection.total_changes() != before:
            self._unsynced = level != self._synchronous
        self._news |= transaction.channels
        if lasts:
            self._spread()
        return results

    def _spread(self) -> None:
        """Wake whom the news concern; those of a claim wait until its worker has the jobs."""
        if self._news:
            news, self._news = self._news, set()
            self._committed(news)


@cache
def _widened(sql: str) -> str:
    """Return a statement for `ROWS` rows of values."""
    return _VALUES.sub(lambda found: f"VALUES {', '.join([found[1]] * ROWS)}", sql)


_VALUES = re.compile(r"VALUES (\([?, ]+\))")


def _touch(tx: Transaction) -> None:
    """Change the file without changing anything: SQLite syncs nothing else on demand."""
    tx.execute(f"PRAGMA user_version = {schema_version(tx.connection)}")


def _tell(answers: list[Answer]) -> None:
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[Answer]] = defaultdict(list)
    for waiting, result, error in answers:
        if isinstance(waiting, Pending):
            waiting.answer(result, error)
        else:
            by_loop[waiting.get_loop()].append((waiting, result, error))
    for loop, its in by_loop.items():
        # A loop may have been closed under its callers: nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, its)


def _resolve(answers: list[Answer]) -> None:
    for waiting, result, error in answers:
        if isinstance(waiting, Pending) or waiting.done():  # its caller was cancelled
            continue
        if error is None:
            waiting.set_result(result)
        else:
            waiting.set_exception(error)
