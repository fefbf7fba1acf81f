"""The driver: writes go to the writer thread, reads to a small pool, news to the bell."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import apsw

from offload.core.errors import ConfigurationError
from offload.core.job import AttemptError, DeadLetter, Finish, Held, Job, NewJob, Report
from offload.core.states import State
from offload.store.base import (
    FORGET_WORKERS,
    Beat,
    Capabilities,
    Channel,
    Claim,
    JobFilter,
    Lapse,
    Pruned,
    WorkerRow,
)
from offload.store.clock import Clock, SystemClock
from offload.store.signals import Signals
from offload.store.sqlite import connection, operations
from offload.store.sqlite.bell import Bell
from offload.store.sqlite.operations import SQL
from offload.store.sqlite.rows import Row, error_of, job_of
from offload.store.sqlite.ticket import Ticket
from offload.store.sqlite.writer import Transaction, Writer

T = TypeVar("T")

READERS = 8


class SQLiteStore:
    """See `offload.store.base.Store` for what each method owes."""

    def __init__(
        self, path: str | Path, *, clock: Clock | None = None, synchronous: str = "FULL"
    ) -> None:
        """Keep jobs in the file at `path`, whose folder is made when the store opens.

        `synchronous` is FULL (an acknowledged job survives a power loss) or NORMAL (it survives
        the death of every process, and commits are several times cheaper).

        Raises:
            ConfigurationError: `synchronous` is neither.
        """
        if synchronous not in connection.SYNCHRONOUS:
            raise ConfigurationError(f"synchronous={synchronous!r}: use 'FULL' or 'NORMAL'")
        self.path = Path(path).absolute()
        self.capabilities = Capabilities(url=f"sqlite:///{self.path}")
        self._synchronous = synchronous
        self._clock = clock or SystemClock()
        self._signals = Signals()
        self._writer: Writer | None = None
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._opening = asyncio.Lock()

    # --- opening -------------------------------------------------------------------------

    async def open(self) -> None:
        """Make the folder, bring the schema up to date, start the threads."""
        async with self._opening:
            if self._writer is None:
                await self._open()

    async def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._prepare)
        self._bell = Bell(self.path.with_name(self.path.name + "-bells"))
        self._bell.open(self._signals.notify)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="offload-reader")
        ticket = Ticket(self._ticket_path)
        writer = Writer(self.path, self._synchronous, ticket, self._committed)
        writer.start()
        self._writer = writer

    def _prepare(self) -> None:
        with connection.translated(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection.refuse_network_file_system(self.path)
            connection.guard(self.path)
            # One at a time: on a new file, the change to WAL does not ask the busy handler.
            ticket = Ticket(self._ticket_path)
            with closing(ticket), ticket:
                first = connection.connect(self.path, self._synchronous)
                with closing(first):
                    connection.migrate(first)

    @property
    def _ticket_path(self) -> Path:
        return self.path.with_name(self.path.name + "-ticket")

    async def close(self) -> None:
        """Write what was accepted and close every connection."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        self._opening = asyncio.Lock()  # the store may be opened again on another loop
        await asyncio.to_thread(writer.stop)
        self._bell.close()
        await asyncio.to_thread(self._readers.shutdown)
        for reader in self._connections:
            reader.close()
        self._connections.clear()
        self._local = threading.local()

    def _committed(self, channels: set[Channel]) -> None:
        self._loop.call_soon_threadsafe(self._notify, channels)
        self._bell.ring(channels)

    def _notify(self, channels: set[Channel]) -> None:
        for channel in channels:
            self._signals.notify(channel)

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Insert the jobs in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: operations.enqueue(tx, jobs, now))

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take the first ready jobs."""
        now = self._clock.now()
        return await self._write(lambda tx: operations.claim(tx, worker, queues, limit, now))

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record the beat and read what the worker holds, in one transaction."""
        values = {
            "id": beat.worker,
            "host": beat.host,
            "pid": beat.pid,
            "queues": None if beat.queues is None else json.dumps(beat.queues),
            "concurrency": beat.concurrency,
            "lease": beat.lease,
            "boot": self._clock.boot(),
            "now": self._clock.now(),
        }

        def operation(tx: Transaction) -> list[Row]:
            # The time of its own turn: a beat that had to wait for it is no old one.
            tx.execute(SQL["beat"], {**values, "ticks": self._clock.ticks()})
            return tx.execute(SQL["held"], {"worker": beat.worker})

        rows = await self._write(operation)
        return [Held(job_id, lease, bool(cancel)) for job_id, lease, cancel in rows]

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply the endings in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: operations.finish(tx, finishes, now))

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store the news in one transaction."""
        return await self._write(lambda tx: operations.report(tx, reports))

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or ask a running one to stop."""
        now = self._clock.now()
        return await self._write(lambda tx: operations.cancel(tx, job_id, now, running=running))

    async def retry_dead(self, dead_id: str, new_id: str) -> Job | None:
        """Swap a dead letter for a fresh job in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: operations.retry_dead(tx, dead_id, new_id, now))

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        errors_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove what is old in one transaction."""
        now = self._clock.now()
        ages = (jobs_older_than, dead_older_than, errors_older_than)
        boot, ticks = self._clock.boot(), self._clock.ticks()
        silent = {"boot": boot, "ticks": ticks, "forget": FORGET_WORKERS}

        def operation(tx: Transaction) -> Pruned:
            tx.changed(SQL["prune_workers"], silent)
            return operations.prune(tx, ages, limit, now)

        return await self._write(operation)

    # --- liveness ------------------------------------------------------------------------

    async def retire(self, worker: str) -> None:
        """Forget the worker's row."""
        await self._write(lambda tx: tx.execute(SQL["retire"], {"worker": worker}))

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Join the running jobs with their workers' beats."""
        values = {"limit": limit, "boot": self._clock.boot(), "ticks": self._clock.ticks()}
        rows = await self._read(SQL["lapsed"], values)
        return [Lapse(job_of(row), self._silence(row)) for row in rows]

    def _silence(self, row: Row) -> str:
        *_, boot, age = row
        worker = job_of(row).worker
        if boot is None:
            return f"worker {worker} is gone"
        if boot != self._clock.boot():
            return f"worker {worker} ended with its machine"
        return f"worker {worker} was silent for {age:.0f} s"

    # --- reads ---------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Read the jobs at once."""
        rows = await self._read(SQL["get"], {"ids": json.dumps(list(job_ids))})
        found = {row[0]: job_of(row) for row in rows}
        return [found.get(job_id) for job_id in job_ids]

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Read a page."""
        values = {
            "states": json.dumps([str(state) for state in wanted.states]),
            "task": wanted.task,
            "queue": wanted.queue,
            "tag": wanted.tag,
            "before": wanted.before,
            "limit": wanted.limit,
        }
        return [job_of(row) for row in await self._read(SQL["search"], values)]

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count by state."""
        rows = await self._read(SQL["stats"], {"queue": queue})
        return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Read the failed attempts."""
        return [error_of(row) for row in await self._read(SQL["errors"], {"id": job_id})]

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Read a page of dead letters."""
        rows = await self._read(SQL["dead_letters"], {"limit": limit, "offset": offset})
        jobs = [job_of(row) for row in rows]
        return [DeadLetter(job.id, job, job.finished_at or 0) for job in jobs]

    async def workers(self) -> list[WorkerRow]:
        """Read the workers."""
        rows = await self._read(SQL["workers"], {"ticks": self._clock.ticks()})
        return [self._worker_of(row) for row in rows]

    def _worker_of(self, row: Row) -> WorkerRow:
        name, host, pid, queues, concurrency, started_at, lease, boot, age = row
        return WorkerRow(
            id=name,
            host=host,
            pid=pid,
            queues=None if queues is None else tuple(json.loads(queues)),
            concurrency=concurrency,
            started_at=started_at,
            age=age,
            alive=boot == self._clock.boot() and age <= lease,
        )

    # --- waking --------------------------------------------------------------------------

    def cursor(self, channel: Channel) -> int:
        """Return the channel's count."""
        return self._signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for news of this process or, through the bell, of another."""
        await self._signals.wait(channel, cursor, limit)

    # --- threads -------------------------------------------------------------------------

    async def _write(self, operation: Callable[[Transaction], T]) -> T:
        if self._writer is None:
            raise ConfigurationError("the store is not open")
        return await self._writer.submit(operation)

    async def _read(self, sql: str, values: dict[str, Any]) -> list[Row]:
        if self._writer is None:
            raise ConfigurationError("the store is not open")
        return await self._loop.run_in_executor(self._readers, self._read_now, sql, values)

    def _read_now(self, sql: str, values: dict[str, Any]) -> list[Row]:
        reader = getattr(self._local, "connection", None)
        with connection.translated(self.path):
            if reader is None:
                reader = self._local.connection = connection.connect(self.path, self._synchronous)
                self._connections.append(reader)
            rows: list[Row] = reader.execute(sql, values).fetchall()
        return rows
