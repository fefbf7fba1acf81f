"""The driver: a connection for each kind of write, a few for reads, news through the bell."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from offload.core.alike import Alike
from offload.core.errors import ConfigurationError
from offload.core.job import Job, NewJob
from offload.core.parcel import Parcel
from offload.core.records import DeadLetter, Finish, Held, Report
from offload.core.schedule import Edit, Fire, Schedule
from offload.core.states import Move
from offload.store.base import Beat, Capabilities, Channel, Claim, Pruned
from offload.store.clock import Clock
from offload.store.holders import Holders
from offload.store.postgres import connection, moving, operating, scheduling
from offload.store.postgres.arrays import texts
from offload.store.postgres.bell import PATIENCE, Bell
from offload.store.postgres.claiming import claim
from offload.store.postgres.connection import Line, Session
from offload.store.postgres.direct import Direct
from offload.store.postgres.enqueueing import (
    COPY_FROM,
    all_plain,
    enqueue,
    has_lanes,
    insert,
    stream,
)
from offload.store.postgres.finishing import finish, in_parts, report
from offload.store.postgres.joining import JoinedDatabase, identity, joined
from offload.store.postgres.migrating import migrate
from offload.store.postgres.reading import Reading
from offload.store.postgres.rows import can_be_there
from offload.store.postgres.url import parsed
from offload.store.postgres.writer import Writer
from offload.store.records import Row
from offload.store.signals import Signals

T = TypeVar("T")

READERS = 4


class PostgresStore(Reading):
    """See `offload.store.base.Store` for what each method owes."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Keep jobs in the schema that the URL names, `offload` if it names none.

        Raises:
            ConfigurationError: the URL says what makes no sense.
        """
        self.address = parsed(url)
        self.capabilities = Capabilities(url=url)
        self._clock = clock
        self._signals = Signals()
        self._holders = Holders()
        self._opening = asyncio.Lock()
        self._is_open = False

    # --- opening -------------------------------------------------------------------------

    async def open(self) -> None:
        """Bring the schema up to date; connections are made when they are needed."""
        async with self._opening:
            if not self._is_open:
                await self._open()
                self._is_open = True

    async def _open(self) -> None:
        self._home = asyncio.get_running_loop()
        self._bell = Bell(self.address, self._signals.notify)
        first = self._line(limit=connection.LONG_LIMIT, tuned=False)
        try:
            await first.run(lambda session: migrate(session, self.address))
            self._identity = await first.run(identity)
        finally:
            await first.close()
        # What waits for a lock or has much to do must not hold up a claim, an end or a beat.
        self._calls, self._ends, self._beats = (self._line() for _ in range(3))
        self._claims = self._line(told=self._claimed)
        self._upkeep = self._line(limit=connection.LONG_LIMIT)
        self._readers = [
            self._line(limit=connection.LONG_LIMIT, tuned=False) for _ in range(READERS)
        ]
        self._idle = asyncio.LifoQueue[Line]()
        for line in self._readers:
            self._idle.put_nowait(line)
        self._writer = Writer(self._calls)
        self._direct = Direct(
            self.address, self._clock, self._committed_elsewhere, self._bell.carried
        )
        self._under_way: set[asyncio.Task[Any]] = set()

    def _line(
        self,
        *,
        limit: float | None = None,
        tuned: bool = True,
        told: Callable[[Session], None] | None = None,
    ) -> Line:
        limit = connection.LIMIT if limit is None else limit
        told = told or self._committed
        ring = self._bell.carried
        return Line(self.address, self._clock, told, ring, limit=limit, tuned=tuned)

    async def close(self) -> None:
        """Finish what was accepted and close every connection."""
        if not self._is_open:
            return
        self._is_open = False
        self._opening = asyncio.Lock()  # the store may be opened again on another loop
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._direct.close()
        await self._bell.close()
        lines = (self._calls, self._claims, self._ends, self._beats, self._upkeep, *self._readers)
        for line in lines:
            await line.close()

    def _committed(self, session: Session, wait: float = 0.0) -> None:
        for channel in session.channels:
            self._signals.notify(channel)
        if rest := session.channels - session.rung:
            self._bell.ring(rest, wait)

    def _committed_elsewhere(self, session: Session) -> None:
        """Tell the same from any thread, and wake the loop only if it does not know already."""
        for channel in session.channels:
            self._signals.notify(channel)
        rest = session.channels - session.rung
        if rest and not self._bell.will_tell(rest):
            self._bell.note(rest)  # the program may end before the loop comes to it
            self._home.call_soon_threadsafe(self._bell.ring, set())

    def _claimed(self, session: Session) -> None:
        # That a job runs is mostly told with its end: who rings now delays the job itself.
        self._committed(session, PATIENCE)

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Job]:
        """Insert the jobs: in the next group if there is nothing special about them."""
        if not jobs:
            return []
        if not all_plain(jobs):
            return await self._transact(self._calls, lambda tx: enqueue(tx, jobs))
        if len(jobs) >= COPY_FROM:
            return await self._run(self._upkeep, lambda session: stream(session, jobs))
        if has_lanes(jobs):
            return await self._transact(self._calls, lambda tx: insert(tx, jobs))
        asked = list(jobs) if isinstance(jobs, Alike) else jobs
        return await self._surely(self._writer.enqueue(asked))

    async def enqueue_here(self, jobs: Sequence[NewJob]) -> Sequence[Job] | None:
        """Insert a few plain jobs on a connection for blocking threads, if nobody else enqueues."""
        # Many threads are better off if what they enqueue shares a commit.
        if not self._is_open or self._writer.is_busy:
            return None
        if not 0 < len(jobs) < COPY_FROM or not all_plain(jobs) or has_lanes(jobs):
            return None
        return await self._direct.insert(list(jobs) if isinstance(jobs, Alike) else jobs)

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take the first ready jobs."""
        claimed = await self._run(
            self._claims, lambda session: claim(session, worker, queues, limit), repeatable=False
        )
        # The server has crashed and has forgotten that this process was given them already: what
        # runs, or ran, under the same number must not be taken for what would begin now.
        before = self._holders.note(worker, claimed.jobs)
        if before:
            await self.finish([Finish(job.id, job.lease, Move.RELEASE) for job in before])
            claimed = replace(claimed, jobs=[job for job in claimed.jobs if job not in before])
        return claimed

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record the beat and read what the worker holds, in one statement."""
        queues = None if beat.queues is None else json.dumps(beat.queues)

        async def operation(session: Session) -> list[Row]:
            return await session.fetch(
                "beat",
                worker=beat.worker,
                host=beat.host,
                pid=beat.pid,
                queues=queues,
                concurrency=beat.concurrency,
                lease=beat.lease,
            )

        return [Held(*row) for row in await self._run(self._beats, operation)]

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply the endings."""
        applied: list[bool] = []
        for holder, part in in_parts(finishes, self._holders):
            done: set[str] = set()
            await self._run(self._ends, partial(finish, finishes=part, holder=holder, done=done))
            applied += [each.job_id in done for each in part]
        for each in finishes:
            self._holders.forget(each.job_id, each.lease)
        return applied

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store the news in one transaction."""
        return await self._transact(
            self._ends, lambda tx: report(tx, reports, self._holders), repeatable=False
        )

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or ask a running one to stop."""
        if not can_be_there(job_id):
            return False
        return await self._transact(
            self._calls,
            lambda tx: operating.cancel(tx, job_id, running=running),
            repeatable=False,
        )

    async def retry_dead(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Swap dead letters for fresh jobs in one transaction."""
        return await self._transact(
            self._calls,
            lambda tx: operating.repeat(tx, "take_dead_letters", new_ids),
            repeatable=False,
        )

    async def replay(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Enqueue ended jobs again in one transaction."""
        return await self._transact(
            self._calls, lambda tx: operating.repeat(tx, "ended_jobs", new_ids)
        )

    async def set_paused(self, queue: str, *, paused: bool) -> bool:
        """Add or remove the queue's row."""
        return await self._transact(
            self._calls,
            lambda tx: operating.set_paused(tx, queue, paused=paused),
            repeatable=False,
        )

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        records_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove what is old in one transaction."""
        ages = (jobs_older_than, dead_older_than, records_older_than)
        return await self._transact(self._upkeep, lambda tx: operating.prune(tx, ages, limit))

    async def retire(self, worker: str) -> None:
        """Forget the worker's row."""
        await self._run(self._beats, lambda session: session.fetch("retire", worker=worker))

    # --- schedules and locks -------------------------------------------------------------

    async def put_schedules(self, schedules: Sequence[Schedule]) -> None:
        """Upsert the schedules in one transaction."""
        await self._transact(self._calls, lambda tx: scheduling.put_schedules(tx, schedules))

    async def edit_schedule(self, name: str, edit: Edit) -> Schedule | None:
        """Update the schedule's row."""
        if not can_be_there(name):
            return None
        return await self._transact(
            self._calls, lambda tx: scheduling.edit_schedule(tx, name, edit)
        )

    async def delete_schedule(self, name: str) -> bool:
        """Delete the schedule's row."""
        if not can_be_there(name):
            return False
        return await self._transact(
            self._calls, lambda tx: scheduling.delete_schedule(tx, name), repeatable=False
        )

    async def fire(self, fires: Sequence[Fire]) -> list[list[Job] | None]:
        """Enqueue the jobs of due ticks in one transaction."""
        return await self._transact(
            self._calls, lambda tx: scheduling.fire(tx, fires), repeatable=False
        )

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Take or extend the lock in one statement."""
        rows = await self._run(
            self._beats, lambda session: session.fetch("acquire", name=name, owner=owner, ttl=ttl)
        )
        return int(rows[0][0]) if rows else None

    async def release(self, name: str, owner: str) -> bool:
        """Clear the lock's owner."""

        async def operation(session: Session) -> bool:
            released = await session.fetch("drop_lock", name=name, owner=owner)
            if released:
                session.channels.add(Channel.LOCKS)
            return bool(released)

        return await self._run(self._beats, operation, repeatable=False)

    # --- moving --------------------------------------------------------------------------

    async def pack(self, after: int, limit: int) -> list[Parcel]:
        """Read jobs and what is kept of them."""
        return await self._transact(self._upkeep, lambda tx: moving.pack(tx, after, limit))

    async def unpack(self, parcels: Sequence[Parcel]) -> list[bool]:
        """Insert the jobs in one transaction."""
        return await self._transact(self._upkeep, lambda tx: moving.unpack(tx, parcels))

    async def forget(self, versions: Mapping[str, int]) -> list[bool]:
        """Delete the jobs in one transaction."""
        return await self._transact(self._upkeep, lambda tx: moving.forget(tx, versions))

    async def put_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Insert the letters in one transaction."""
        await self._transact(self._upkeep, lambda tx: moving.put_letters(tx, letters))

    async def drop_letters(self, ids: Sequence[str]) -> None:
        """Delete the letters in one statement."""
        there = texts(filter(can_be_there, ids))
        await self._run(self._upkeep, lambda session: session.fetch("drop_letters", ids=there))

    # --- waking --------------------------------------------------------------------------

    def cursor(self, channel: Channel) -> int:
        """Return the channel's count."""
        return self._signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for news of this process or, through the bell, of another."""
        if self._is_open:
            self._bell.listen()
        await self._signals.wait(channel, cursor, limit)

    # --- callers' transactions -----------------------------------------------------------

    async def join(self, connection: object) -> JoinedDatabase | None:
        """Reach the jobs through a connection of the caller's, if that is to their database."""
        return await joined(connection, self.address, self._clock, self._identity)

    # --- connections ---------------------------------------------------------------------

    async def _run(
        self,
        line: Line,
        operation: Callable[[Session], Awaitable[T]],
        *,
        repeatable: bool = True,
    ) -> T:
        return await self._surely(line.run(operation, repeatable=repeatable))

    async def _transact(
        self,
        line: Line,
        operation: Callable[[Session], Awaitable[T]],
        *,
        repeatable: bool = True,
    ) -> T:
        async def whole(session: Session) -> T:
            async with session.transaction():
                return await operation(session)

        return await self._run(line, whole, repeatable=repeatable)

    async def _read(self, name: str, /, **values: Any) -> list[Row]:
        self._require_open()
        if not all(map(can_be_there, values.values())):
            return []
        line = await self._idle.get()
        try:
            return await self._run(line, lambda session: session.fetch(name, **values))
        finally:
            self._idle.put_nowait(line)

    async def _surely(self, call: Coroutine[Any, Any, T]) -> T:
        """Finish what was begun, though whoever asked for it may be cancelled meanwhile."""
        if not self._is_open:
            call.close()
            raise ConfigurationError("the store is not open")
        task = asyncio.get_running_loop().create_task(call)
        self._under_way.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may not be there any more to hear of it

    def _require_open(self) -> None:
        if not self._is_open:
            raise ConfigurationError("the store is not open")
