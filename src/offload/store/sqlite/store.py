"""The driver: writes go to the writer, reads to a small pool, news to the bell."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from offload.core.alike import Alike
from offload.core.errors import ConfigurationError, OffloadError, StoreError
from offload.core.job import Job, NewJob
from offload.core.parcel import Parcel
from offload.core.records import DeadLetter, Finish, Held, Report
from offload.core.schedule import Edit, Fire, Schedule
from offload.store.base import FORGET_WORKERS, Beat, Capabilities, Channel, Claim, Pruned
from offload.store.clock import Clock, SystemClock
from offload.store.records import Row
from offload.store.signals import Signals
from offload.store.sqlite import connection, moving, operating, scheduling
from offload.store.sqlite.bell import Bell
from offload.store.sqlite.claimed import Claimed
from offload.store.sqlite.claiming import claim
from offload.store.sqlite.enqueueing import enqueue_alike, prepared, prepared_alike, refusable
from offload.store.sqlite.finishing import Fenced, complete, finish, report
from offload.store.sqlite.joining import JoinedFile, is_of
from offload.store.sqlite.readers import Readers
from offload.store.sqlite.reading import Reading
from offload.store.sqlite.rows import job_of
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.ticket import Ticket
from offload.store.sqlite.writer import Transaction, Writer

T = TypeVar("T")


class SQLiteStore(Reading):
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
        self.capabilities = Capabilities(url=f"sqlite:///{self.path}", any_thread=True)
        self.synchronous = synchronous
        self._clock = clock or SystemClock()
        self._signals = Signals()
        self._claimed = Claimed()
        self._writer: Writer | None = None
        self._opening = asyncio.Lock()

    # --- opening -------------------------------------------------------------------------

    async def open(self) -> None:
        """Make the folder, bring the schema up to date, start the threads."""
        async with self._opening:
            if self._writer is None:
                await self._open()

    async def _open(self) -> None:
        await asyncio.to_thread(self._prepare)
        writer = Writer(self.path, self.synchronous, Ticket(self._ticket_path), self._committed)
        self._bell = Bell(self.path.with_name(self.path.name + "-bells"))
        self._readers = Readers(self.path, self.synchronous)
        writer.start()
        self._bell.open(self._signals.notify)
        self._writer = writer

    def _prepare(self) -> None:
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder: name a file in it, {self.path}/jobs.db")
        with connection.translated(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection.refuse_network_file_system(self.path)
            connection.guard(self.path)
            # One at a time: on a new file, the change to WAL does not ask the busy handler.
            ticket = Ticket(self._ticket_path)
            with closing(ticket), ticket:
                first = connection.connect(self.path, self.synchronous)
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
        await asyncio.to_thread(self._readers.close)

    async def now(self) -> int:
        """Return the machine's clock, which all processes on the file share."""
        return self._clock.now()

    def _committed(self, channels: set[Channel]) -> None:
        for channel in channels:
            self._signals.notify(channel)
        self._bell.ring(channels)

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Insert the jobs in one transaction."""
        now = self._clock.now()
        if isinstance(jobs, Alike) and not jobs.pattern.depends_on and jobs.pattern.lane is None:
            rows, alike = prepared_alike(jobs, now)
            return await self._write(lambda tx: enqueue_alike(tx, rows, alike))
        fresh = prepared(jobs, now)
        answer = await self._write(lambda tx: refusable(tx, fresh, now))
        if isinstance(answer, OffloadError):
            raise answer
        return answer

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take the first ready jobs."""
        now = self._clock.now()
        rows, due = await self._write(
            lambda tx: claim(tx, worker, queues, limit, now), may_be_lost=True
        )
        self._claimed.note(rows)
        next_due = None if due is None else max(0.0, (due - now) / 1000)
        return Claim([job_of(row) for row in rows], next_due)

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
        claimed = self._claimed.take(finishes)
        if claimed:
            with suppress(Fenced):
                return await self._write(lambda tx: complete(tx, finishes, claimed, now))
        return await self._write(lambda tx: finish(tx, finishes, now))

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store the news in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: report(tx, reports, now))

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or ask a running one to stop."""
        now = self._clock.now()
        return await self._write(lambda tx: operating.cancel(tx, job_id, now, running=running))

    async def retry_dead(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Swap dead letters for fresh jobs in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: operating.repeat(tx, "take_dead_letter", new_ids, now))

    async def replay(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Enqueue ended jobs again in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: operating.repeat(tx, "ended_job", new_ids, now))

    async def set_paused(self, queue: str, *, paused: bool) -> bool:
        """Add or remove the queue's row."""
        now = self._clock.now()
        return await self._write(lambda tx: operating.set_paused(tx, queue, now, paused=paused))

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        records_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove what is old in one transaction."""
        now = self._clock.now()
        ages = (jobs_older_than, dead_older_than, records_older_than)
        boot, ticks = self._clock.boot(), self._clock.ticks()
        silent = {"boot": boot, "ticks": ticks, "forget": FORGET_WORKERS}

        def operation(tx: Transaction) -> Pruned:
            tx.changed(SQL["prune_workers"], silent)
            return operating.prune(tx, ages, limit, now)

        return await self._write(operation)

    async def retire(self, worker: str) -> None:
        """Forget the worker's row."""
        await self._write(lambda tx: tx.execute(SQL["retire"], {"worker": worker}))

    # --- schedules and locks -------------------------------------------------------------

    async def put_schedules(self, schedules: Sequence[Schedule]) -> None:
        """Upsert the schedules in one transaction."""
        await self._write(lambda tx: scheduling.put_schedules(tx, schedules))

    async def edit_schedule(self, name: str, edit: Edit) -> Schedule | None:
        """Update the schedule's row."""
        return await self._write(lambda tx: scheduling.edit_schedule(tx, name, edit))

    async def delete_schedule(self, name: str) -> bool:
        """Delete the schedule's row."""
        return await self._write(lambda tx: scheduling.delete_schedule(tx, name))

    async def fire(self, fires: Sequence[Fire]) -> list[list[Job] | None]:
        """Enqueue the jobs of due ticks in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: scheduling.fire(tx, fires, now))

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Take or extend the lock."""
        wanted = self._lock(name, owner)
        return await self._write(lambda tx: scheduling.acquire(tx, wanted, ttl))

    async def release(self, name: str, owner: str) -> bool:
        """Clear the lock's owner."""
        wanted = self._lock(name, owner)
        return await self._write(lambda tx: scheduling.release(tx, wanted))

    def _lock(self, name: str, owner: str) -> dict[str, Any]:
        boot, ticks = self._clock.boot(), self._clock.ticks()
        return {"name": name, "owner": owner, "boot": boot, "ticks": ticks}

    # --- moving --------------------------------------------------------------------------

    async def pack(self, after: int, limit: int) -> list[Parcel]:
        """Read jobs and what is kept of them."""
        # In one transaction, so that what is read of a job belongs together.
        return await self._write(lambda tx: moving.pack(tx, after, limit))

    async def unpack(self, parcels: Sequence[Parcel]) -> list[bool]:
        """Insert the jobs in one transaction."""
        now = self._clock.now()
        return await self._write(lambda tx: [moving.unpack(tx, each, now) for each in parcels])

    async def forget(self, versions: Mapping[str, int]) -> list[bool]:
        """Delete the jobs in one transaction."""
        return await self._write(lambda tx: moving.forget(tx, versions))

    async def put_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Insert the letters in one transaction."""
        await self._write(lambda tx: moving.put_letters(tx, letters))

    async def drop_letters(self, ids: Sequence[str]) -> None:
        """Delete the letters in one transaction."""
        await self._write(lambda tx: tx.each(SQL["drop_letter"], [(each,) for each in ids]))

    # --- waking --------------------------------------------------------------------------

    def cursor(self, channel: Channel) -> int:
        """Return the channel's count."""
        return self._signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for news of this process or, through the bell, of another."""
        await self._signals.wait(channel, cursor, limit)

    # --- callers' transactions -----------------------------------------------------------

    async def join(self, connection: object) -> JoinedFile | None:
        """Reach the file through a connection of the caller's, if that has it open."""
        if not isinstance(connection, apsw.Connection) or not is_of(connection, self.path):
            return None
        clock, path = self._clock, self._ticket_path
        return JoinedFile(connection, self.path, path, clock, self._ring_after_commit)

    def _ring_after_commit(self) -> None:
        """Wake whoever waits for jobs, when the transaction that now commits is over.

        The writer gets the lock only then. Until it does, no news can be missed.
        """
        if self._writer is not None:
            self._writer.post(lambda tx: tx.channels.add(Channel.READY))

    # --- threads -------------------------------------------------------------------------

    async def _write(
        self, operation: Callable[[Transaction], T], *, may_be_lost: bool = False
    ) -> T:
        if self._writer is None:
            raise ConfigurationError("the store is not open")
        return await self._writer.submit(operation, may_be_lost=may_be_lost)

    async def _read(self, sql: str, values: dict[str, Any]) -> list[Row]:
        if self._writer is None:
            raise ConfigurationError("the store is not open")
        return await self._readers.read(sql, values)
