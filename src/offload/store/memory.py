"""The store in a dictionary: the model that the real drivers are compared with, and for tests.

Nothing survives the process, and no other process can see it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from offload.core.job import Job, NewJob, repeated, stored
from offload.core.records import AttemptError, DeadLetter, Finish, Held, Report
from offload.core.states import LIVE, Move, State, target
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

Aged = TypeVar("Aged", DeadLetter, AttemptError)


@dataclass(slots=True)
class _Worker:
    beat: Beat
    started_at: int
    ticks: float


class MemoryStore:
    """See `offload.store.base.Store` for what each method owes; this is the shortest way there."""

    capabilities = Capabilities(url=None)

    def __init__(self, clock: Clock | None = None) -> None:
        """Start empty."""
        self._clock = clock or SystemClock()
        self._signals = Signals()
        self._jobs: dict[str, Job] = {}
        self._errors: dict[str, list[AttemptError]] = {}
        self._dead: dict[str, DeadLetter] = {}
        self._workers: dict[str, _Worker] = {}
        self._error_ids = 0

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close: the jobs stay until the object goes."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store the jobs."""
        now = self._clock.now()
        answers = []
        # All are made first, so that one that cannot be stored is refused before any other is.
        for candidate in [stored(new, now) for new in jobs]:
            job = self._existing(candidate)
            if job is None:
                job = self._jobs[candidate.id] = candidate
            answers.append(job)
        self._signals.notify(Channel.READY)
        return answers

    def _existing(self, new: Job) -> Job | None:
        if new.id in self._jobs:
            return self._jobs[new.id]
        if new.unique_key is None:
            return None
        return next(
            (
                job
                for job in self._jobs.values()
                if job.unique_key == new.unique_key and job.state in LIVE
            ),
            None,
        )

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        """Take the first due jobs by priority, due time and age."""
        now = self._clock.now()
        self._expire(now)
        pending = [
            job
            for job in self._jobs.values()
            if job.state is State.PENDING and (queues is None or job.queue in queues)
        ]
        due = [job for job in pending if job.run_at <= now]
        due.sort(key=lambda job: (-job.priority, job.run_at))
        taken = [self._claimed(job, worker, now) for job in due[:limit]]
        later = [job.run_at for job in pending if job.run_at > now]
        return Claim(taken, (min(later) - now) / 1000 if later else None)

    def _claimed(self, job: Job, worker: str, now: int) -> Job:
        return self._put(
            replace(
                job,
                state=target(job.state, Move.CLAIM),
                attempt=job.attempt + 1,
                lease=job.lease + 1,
                worker=worker,
                started_at=now,
                progress=None,
            )
        )

    def _expire(self, now: int) -> None:
        for job in list(self._jobs.values()):
            if job.state is State.PENDING and job.expires_at is not None and job.expires_at <= now:
                state = target(job.state, Move.EXPIRE)
                self._put(replace(job, state=state, error="expired", finished_at=now))

    async def heartbeat(self, beat: Beat) -> list[Held]:
        """Record the beat."""
        known = self._workers.get(beat.worker)
        started = known.started_at if known else self._clock.now()
        self._workers[beat.worker] = _Worker(beat, started, self._clock.ticks())
        return [
            Held(job.id, job.lease, job.cancel_requested)
            for job in self._jobs.values()
            if job.state is State.RUNNING and job.worker == beat.worker
        ]

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Apply what is still fenced in."""
        return [self._finish(finish) for finish in finishes]

    def _finish(self, finish: Finish) -> bool:
        job = self._held(finish.job_id, finish.lease)
        if job is None:
            return False
        now = self._clock.now()
        again = target(job.state, finish.move) is State.PENDING
        stopped = again and job.cancel_requested
        ended = self._put(_ended(job, finish.stopped() if stopped else finish, now))
        if finish.failure is not None and finish.move is not Move.CANCEL:
            self._error_ids += 1
            record = AttemptError(self._error_ids, job.id, job.attempt, finish.failure, now)
            self._errors.setdefault(job.id, []).append(record)
        if ended.state is State.DEAD:
            self._dead.pop(ended.id, None)  # of a purged job of this id; the newest goes last
            self._dead[ended.id] = DeadLetter(ended.id, ended, now)
        if ended.state is State.PENDING:
            self._signals.notify(Channel.READY)
        return True

    def _held(self, job_id: str, lease: int) -> Job | None:
        job = self._jobs.get(job_id)
        if job is None or job.state is not State.RUNNING or job.lease != lease:
            return None
        return job

    async def report(self, reports: Sequence[Report]) -> list[bool]:
        """Store progress."""
        answers = []
        for report in reports:
            job = self._held(report.job_id, report.lease)
            if job is not None:
                self._put(replace(job, progress=report.progress))
            answers.append(job is not None)
        return answers

    async def cancel(self, job_id: str, *, running: bool = False) -> bool:
        """Cancel a pending job, or ask a running one to stop."""
        job = self._jobs.get(job_id)
        if job is None or job.state is not (State.RUNNING if running else State.PENDING):
            return False
        if running:
            self._put(replace(job, cancel_requested=True))
            self._signals.notify(Channel.CONTROL)
        else:
            now = self._clock.now()
            state = target(job.state, Move.CANCEL)
            self._put(replace(job, state=state, error="cancelled", finished_at=now))
        return True

    async def retry_dead(self, dead_id: str, new_id: str) -> Job | None:
        """Put a fresh job in the letter's place."""
        letter = self._dead.pop(dead_id, None)
        if letter is None:
            return None
        return (await self.enqueue([repeated(letter.job, new_id)]))[0]

    async def prune(
        self,
        *,
        jobs_older_than: float | None = None,
        dead_older_than: float | None = None,
        errors_older_than: float | None = None,
        limit: int = 1000,
    ) -> Pruned:
        """Remove what is old."""
        now = self._clock.now()
        old = [job for job in self._jobs.values() if _outlived(job, jobs_older_than, now)][:limit]
        dead = _aged(self._dead.values(), dead_older_than, now)[:limit]
        for job in old:
            del self._jobs[job.id]
        lost = [len(self._errors.pop(job.id, ())) for job in old]
        for letter in dead:
            del self._dead[letter.id]
        records = [record for kept in self._errors.values() for record in kept]
        errors = _aged(records, errors_older_than, now)[:limit]
        for record in errors:
            self._errors[record.job_id].remove(record)
        self._forget_workers()
        return Pruned(len(old), len(dead), sum(lost) + len(errors))

    def _forget_workers(self) -> None:
        holders = {job.worker for job in self._jobs.values() if job.state is State.RUNNING}
        for name, row in list(self._workers.items()):
            silent = self._clock.ticks() - row.ticks
            if name not in holders and silent > row.beat.lease + FORGET_WORKERS:
                del self._workers[name]

    async def retire(self, worker: str) -> None:
        """Forget the worker."""
        self._workers.pop(worker, None)

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Return the running jobs of workers that are silent or unknown."""
        found: list[Lapse] = []
        for job in self._jobs.values():
            if job.state is State.RUNNING and len(found) < limit:
                reason = self._silent(job.worker or "")
                if reason:
                    found.append(Lapse(job, reason))
        return found

    def _silent(self, worker: str) -> str | None:
        row = self._workers.get(worker)
        if row is None:
            return f"worker {worker} is gone"
        age = self._clock.ticks() - row.ticks
        return f"worker {worker} was silent for {age:.0f} s" if age > row.beat.lease else None

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Return the jobs by id."""
        return [self._jobs.get(job_id) for job_id in job_ids]

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Return a page, newest first."""
        jobs = list(self._jobs.values())
        if wanted.before is not None:
            ids = [job.id for job in jobs]
            jobs = jobs[: ids.index(wanted.before)] if wanted.before in ids else []
        return [job for job in reversed(jobs) if _matches(job, wanted)][: wanted.limit]

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count by state."""
        counts = dict.fromkeys(State, 0)
        for job in self._jobs.values():
            if queue is None or job.queue == queue:
                counts[job.state] += 1
        return counts

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Return the failed attempts."""
        return list(self._errors.get(job_id, ()))

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Return a page, newest first."""
        return list(reversed(self._dead.values()))[offset : offset + limit]

    async def workers(self) -> list[WorkerRow]:
        """Return the known workers."""
        return [
            WorkerRow(
                id=name,
                host=row.beat.host,
                pid=row.beat.pid,
                queues=row.beat.queues,
                concurrency=row.beat.concurrency,
                started_at=row.started_at,
                age=self._clock.ticks() - row.ticks,
                alive=self._silent(name) is None,
            )
            for name, row in self._workers.items()
        ]

    def cursor(self, channel: Channel) -> int:
        """Return the channel's count."""
        return self._signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for the channel to move."""
        await self._signals.wait(channel, cursor, limit)

    def _put(self, job: Job) -> Job:
        changed = self._jobs[job.id] = replace(job, version=job.version + 1)
        self._signals.notify(Channel.CHANGED)
        return changed


def _ended(job: Job, finish: Finish, now: int) -> Job:
    state = target(State.RUNNING, finish.move)
    ended = replace(
        job,
        state=state,
        worker=None,
        crashes=job.crashes + finish.crashed,
        attempt=job.attempt - finish.gives_back_attempt,
        error=job.error if finish.error is None else finish.error,
        result=finish.result,
    )
    if finish.move is Move.RELEASE:
        return ended  # its due time is untouched, so that it keeps its place in the line
    if state is State.PENDING:
        return replace(ended, run_at=now + round(finish.delay * 1000))
    if state is State.COMPLETE:
        ended = replace(ended, error=None, progress=100)
    return replace(ended, finished_at=now)


def _outlived(job: Job, older_than: float | None, now: int) -> bool:
    age = job.result_ttl if job.result_ttl is not None else older_than
    return job.finished_at is not None and age is not None and now - job.finished_at > age * 1000


def _aged(records: Iterable[Aged], older_than: float | None, now: int) -> list[Aged]:
    if older_than is None:
        return []
    return [record for record in records if now - record.failed_at > older_than * 1000]


def _matches(job: Job, wanted: JobFilter) -> bool:
    return (
        (not wanted.states or job.state in wanted.states)
        and (wanted.task is None or job.task == wanted.task)
        and (wanted.queue is None or job.queue == wanted.queue)
        and (wanted.tag is None or wanted.tag in job.tags)
    )
