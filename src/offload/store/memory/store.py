"""The store itself: which part of it does what.

Nothing survives the process, and no other process can see it.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from offload.core.job import Job, NewJob
from offload.core.parcel import Parcel
from offload.core.records import (
    AttemptError,
    DeadLetter,
    Family,
    Finish,
    Held,
    JobLog,
    Metric,
    Part,
    Repeat,
    Report,
)
from offload.core.schedule import Edit, Fire, Schedule
from offload.core.states import State
from offload.store.base import (
    Beat,
    Capabilities,
    Channel,
    Claim,
    JobFilter,
    Lapse,
    Pruned,
    QueueRow,
    RecordFilter,
    WorkerRow,
)
from offload.store.clock import Clock, SystemClock
from offload.store.memory import (
    claiming,
    dependencies,
    ending,
    enqueueing,
    housekeeping,
    liveness,
    moving,
    reading,
    schedules,
)
from offload.store.memory.tables import Tables


class MemoryStore:
    """See `offload.store.base.Store` for what each method owes; this is the shortest way there."""

    capabilities = Capabilities(url=None)

    def __init__(self, clock: Clock | None = None) -> None:
        """Start empty."""
        self._db = Tables(clock or SystemClock())

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close: the jobs stay until the object goes."""

    async def now(self) -> int:
        """Return the clock's time."""
        return self._db.clock.now()

    # --- hot -----------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store the jobs."""
        return enqueueing.enqueue(self._db, jobs)

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take jobs."""
        return claiming.claim(self._db, worker, queues, limit)

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record the beat."""
        return liveness.heartbeat(self._db, beat)

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply what is still fenced in."""
        return [ending.finish(self._db, finish) for finish in finishes]

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Keep what is still fenced in."""
        return [ending.report(self._db, report) for report in reports]

    # --- operator ------------------------------------------------------------------------

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or ask a running one to stop."""
        return ending.cancel(self._db, job_id, running=running)

    async def retry_dead(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Put fresh jobs in the letters' places."""
        return enqueueing.retry_dead(self._db, new_ids)

    async def replay(self, new_ids: Mapping[str, str]) -> dict[str, Job]:
        """Put fresh jobs beside those that have ended."""
        return enqueueing.replay(self._db, new_ids)

    async def set_paused(self, queue: str, *, paused: bool) -> bool:
        """Close or open a queue."""
        if paused == (queue in self._db.paused):
            return False
        self._db.paused ^= {queue}
        self._db.signals.notify(Channel.READY)
        return True

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        records_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove what is old."""
        return housekeeping.prune(
            self._db, jobs_older_than, dead_older_than, records_older_than, limit
        )

    # --- liveness ------------------------------------------------------------------------

    async def retire(self, worker: str) -> None:
        """Forget the worker."""
        self._db.workers.pop(worker, None)

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Return jobs whose worker is gone."""
        return list(islice(liveness.lapsed(self._db), limit))

    # --- schedules and locks -------------------------------------------------------------

    async def put_schedules(self, schedules_: Sequence[Schedule]) -> None:
        """Store the definitions."""
        for schedule in schedules_:
            schedules.put(self._db, schedule)
        self._db.signals.notify(Channel.SCHEDULES)

    async def schedules(self) -> list[Schedule]:
        """Return all, by name."""
        return [schedule for _, schedule in sorted(self._db.schedules.items())]

    async def edit_schedule(self, name: str, edit: Edit) -> Schedule | None:
        """Change a schedule."""
        changed = schedules.edit(self._db, name, edit)
        self._db.signals.notify(Channel.SCHEDULES)
        return changed

    async def delete_schedule(self, name: str) -> bool:
        """Remove a schedule."""
        removed = self._db.schedules.pop(name, None)
        self._db.signals.notify(Channel.SCHEDULES)
        return removed is not None

    async def fire(self, fires: Sequence[Fire]) -> list[list[Job] | None]:
        """Fire the ticks that still wait."""
        return schedules.fire(self._db, fires)

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Take or extend a lock."""
        return liveness.acquire(self._db, name, owner, ttl)

    async def release(self, name: str, owner: str) -> bool:
        """Let go of a lock."""
        released = liveness.release(self._db, name, owner)
        self._db.signals.notify(Channel.LOCKS)
        return released

    # --- moving --------------------------------------------------------------------------

    async def pack(self, after: int, limit: int) -> list[Parcel]:
        """Copy jobs."""
        return moving.pack(self._db, after, limit)

    async def unpack(self, parcels: Sequence[Parcel]) -> list[bool]:
        """Take jobs over."""
        return [moving.unpack(self._db, parcel) for parcel in parcels]

    async def forget(self, versions: Mapping[str, int]) -> list[bool]:
        """Remove jobs."""
        return [moving.forget(self._db, job_id, version) for job_id, version in versions.items()]

    async def put_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Take letters over."""
        moving.put_letters(self._db, letters)

    async def drop_letters(self, ids: Sequence[str]) -> None:
        """Remove letters."""
        for letter_id in ids:
            self._db.letters.pop(letter_id, None)

    # --- reads ---------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Return the jobs by id."""
        return [self._db.jobs.get(job_id) for job_id in job_ids]

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Return a page, newest first."""
        return reading.search(self._db, wanted)

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count by state."""
        return reading.stats(self._db, queue)

    async def queues(self) -> list[QueueRow]:
        """Return the queues in use."""
        return reading.queues(self._db)

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Return the failed attempts."""
        return [error for error in self._db.errors if error.job_id == job_id]

    async def logs(self, wanted: RecordFilter) -> list[JobLog]:
        """Return what was logged."""
        return reading.logs(self._db, wanted)

    async def metrics(self, wanted: RecordFilter) -> list[Metric]:
        """Return attempts in numbers."""
        return reading.metrics(self._db, wanted)

    async def parts(self, job_id: str, after: int, limit: int) -> list[Part]:
        """Return partial results."""
        rows = [part for part in self._db.parts if part.job_id == job_id and part.id > after]
        return rows[:limit]

    async def family(self, job_id: str) -> Family:
        """Return parents and dependents."""
        return dependencies.family(self._db, job_id)

    async def repeats(self, job_id: str) -> list[Repeat]:
        """Return how the job was repeated."""
        return [repeat for repeat in self._db.repeats if repeat.origin == job_id]

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Return a page, newest first."""
        return list(reversed(self._db.letters.values()))[offset : offset + limit]

    async def workers(self) -> list[WorkerRow]:
        """Return the known workers."""
        return liveness.workers(self._db)

    # --- waking --------------------------------------------------------------------------

    def cursor(self, channel: Channel) -> int:
        """Return the channel's count."""
        return self._db.signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for the channel to move."""
        await self._db.signals.wait(channel, cursor, limit)
