"""A job in the caller's hand."""

import json
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar, cast

from offload.core.alike import Alike
from offload.core.errors import (
    JobCancelled,
    JobDead,
    JobError,
    JobFailed,
    JobNotFound,
    JobPurged,
)
from offload.core.job import Job
from offload.core.options import COUNT, PATIENCE, require, require_text
from offload.core.records import AttemptError, Family, JobLog, Metric, Repeat
from offload.core.states import State
from offload.store.base import RecordFilter
from offload.tasks.bridge import blocking, iterating
from offload.tasks.parts import JobPart, decoded
from offload.tasks.ports import Jobs
from offload.tasks.repeating import replayed

R = TypeVar("R")
T = TypeVar("T")

MOST_PARTS = 1000

ENDINGS: dict[State, type[JobError]] = {
    State.FAILED: JobFailed,
    State.DEAD: JobDead,
    State.CANCELLED: JobCancelled,
}


class JobHandle(Generic[R]):
    """A job as it was last read; `refresh`, `result` and their twins read again.

    Instants are in Unix milliseconds.
    """

    def __init__(
        self, job: Job | Alike[Job], jobs: Jobs, parent: Any = None, place: int = 0
    ) -> None:
        """Hold `job`, or that at `place` among many alike, reachable through `jobs`."""
        self._job = job
        self._place = place
        self.parent = parent
        """In a chain, the handle of what came before: of a job, or of a group."""
        self._jobs = jobs

    @property
    def job(self) -> Job:
        """The job as it was last read."""
        if not isinstance(self._job, Job):
            self._job = self._job[self._place]
        return self._job

    def __repr__(self) -> str:
        """Show what a log line needs."""
        return f"<JobHandle {self.id} {self.task_name} {self.status}>"

    # --- as last read --------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def task_name(self) -> str:
        """The name of the task."""
        return self.job.task

    @property
    def queue_name(self) -> str:
        """The queue that the job waits in or came through."""
        return self.job.queue

    @property
    def status(self) -> str:
        """One of pending, running, complete, failed, dead, cancelled."""
        return str(self.job.state)

    @property
    def progress(self) -> int:
        """Per cent, 0 until the task says otherwise."""
        return self.job.progress or 0

    @property
    def message(self) -> str | None:
        """What the task last said of its progress."""
        return self.job.message

    @property
    def data(self) -> Any:
        """What the task last gave with its progress, as plain JSON."""
        return None if self.job.data is None else json.loads(self.job.data)

    @property
    def error(self) -> str | None:
        """The last error in one line; None if there was none, or the job is complete."""
        return self.job.error

    @property
    def version(self) -> int:
        """Rises with each change of the job; 0 while a transaction has only promised it."""
        return self.job.version

    @property
    def metadata(self) -> Mapping[str, object] | None:
        """What was stored with the job."""
        return self.job.metadata

    @property
    def tags(self) -> tuple[str, ...]:
        """The words by which the job can be found."""
        return self.job.tags

    @property
    def origin(self) -> str | None:
        """The job that this one repeats: retried from its dead letter, or replayed."""
        return self.job.origin

    @property
    def created_at(self) -> int:
        """When it was enqueued."""
        return self.job.created_at

    @property
    def run_at(self) -> int:
        """When it is due, or was: before that it does not start."""
        return self.job.run_at

    @property
    def schedule(self) -> str | None:
        """The name of the schedule that the job is of; None if it was enqueued otherwise."""
        return self.job.schedule

    @property
    def tick(self) -> int | None:
        """When the schedule wanted the job to run; None if nothing but a call did."""
        return self.job.tick

    @property
    def blocked_by(self) -> int:
        """How many jobs it still waits for."""
        return self.job.blockers

    @property
    def started_at(self) -> int | None:
        """When its last attempt started."""
        return self.job.started_at

    @property
    def finished_at(self) -> int | None:
        """When it ended."""
        return self.job.finished_at

    # --- reading again -------------------------------------------------------------------

    async def arefresh(self) -> "JobHandle[R]":
        """Read the job again.

        Raises:
            JobPurged: it is gone.
        """
        [job] = await self._jobs.call(lambda store: store.get([self.id]))
        return self.updated(job)

    refresh = blocking(arefresh)

    async def aresult(self, timeout: float | None = None) -> R:
        """Wait for the job to end and return what the task returned.

        `timeout` is in seconds, None waits for as long as it takes, 0 only looks.

        Raises:
            TimeoutError: time was up; the job goes on.
            JobFailed: the task raised an error that must not be retried.
            JobDead: its attempts are used up.
            JobCancelled: it was cancelled, or expired.
            JobPurged: it is gone.
        """
        if timeout is not None:
            require("timeout", timeout, PATIENCE)
        is_promised = self.version == 0
        self.updated(await self._jobs.wait(self.id, timeout, is_promised=is_promised))
        if self.job.state is State.COMPLETE:
            return cast("R", self._jobs.decode_result(self.job))
        reason = self.job.error or ""
        ending = ENDINGS[self.job.state]
        raise ending(self.id, reason, f"job {self.id} ({self.task_name}) {self.status}: {reason}")

    result = blocking(aresult)

    async def awatch(self, interval: float = 0.1) -> AsyncGenerator["JobHandle[R]", None]:
        """Yield the job now, then on every change until it is final.

        Changes that come faster than `interval` seconds are merged; the last is never left out.
        """
        async with aclosing(self._jobs.watch(self.id, interval)) as changes:
            async for job in changes:
                yield JobHandle(job, self._jobs, self.parent)

    async def astream(self, after: int = 0) -> AsyncGenerator[JobPart, None]:
        """Yield what the task publishes, live and in order, until the job ends.

        All of it from after the part with that id; 0 is the first. None is left out, so an
        attempt that was retried has its own parts before those of the next.

        Raises:
            JobPurged: the job is gone, perhaps with parts that were not seen.
        """
        require("after", after, COUNT)
        async with aclosing(self._jobs.published(self.id, after)) as parts:
            async for part in parts:
                yield decoded(part)

    stream = iterating(astream)

    # --- its records ---------------------------------------------------------------------

    async def aerrors(self) -> list[AttemptError]:
        """Return the failed attempts, oldest first."""
        return await self._jobs.call(lambda store: store.errors(self.id))

    errors = blocking(aerrors)

    async def alogs(self, *, level: str | None = None, limit: int = 100) -> list[JobLog]:
        """Return the newest lines that the task logged, oldest first."""
        require_text("level", level)
        require("limit", limit, COUNT)
        wanted = RecordFilter(job_id=self.id, level=level, limit=limit)
        return await self._jobs.call(lambda store: store.logs(wanted))

    logs = blocking(alogs)

    async def aparts(self, after: int = 0, limit: int = MOST_PARTS) -> list[JobPart]:
        """Return what the task has published so far, in order, from after the part `after`."""
        require("after", after, COUNT)
        require("limit", limit, COUNT)
        parts = await self._jobs.call(lambda store: store.parts(self.id, after, limit))
        return [decoded(part) for part in parts]

    parts = blocking(aparts)

    async def ametrics(self) -> list[Metric]:
        """Return the attempts in numbers, oldest first."""
        wanted = RecordFilter(job_id=self.id)
        return await self._jobs.call(lambda store: store.metrics(wanted))

    metrics = blocking(ametrics)

    async def afamily(self) -> Family:
        """Return the ids of the jobs that this one waits for, and of those that wait for it."""
        return await self._jobs.call(lambda store: store.family(self.id))

    family = blocking(afamily)

    async def arepeats(self) -> list[Repeat]:
        """Return how the job was retried from its dead letter or replayed, oldest first."""
        return await self._jobs.call(lambda store: store.repeats(self.id))

    repeats = blocking(arepeats)

    # --- acting --------------------------------------------------------------------------

    async def acancel(self, *, running: bool = False) -> bool:
        """Cancel the job if it is pending; with `running`, ask a running one to stop.

        False if it was in any other state.
        """
        return await self._jobs.call(lambda store: store.cancel(self.id, running=running))

    cancel = blocking(acancel)

    async def areplay(self) -> "JobHandle[R]":
        """Enqueue a fresh job of the same call, which names this one as its origin.

        Raises:
            JobNotEnded: it is still pending or running.
            JobPurged: it is gone.
        """
        return JobHandle(await replayed(self._jobs, self.id, JobPurged), self._jobs)

    replay = blocking(areplay)

    def updated(self, job: Job | None) -> "JobHandle[R]":
        """Hold the job as it was just read.

        Raises:
            JobPurged: it is not there any more.
        """
        if job is None and self.version == 0:
            raise JobNotFound(
                self.id,
                "",
                f"job {self.id} is not in the queue: its transaction has not committed or was "
                "rolled back, another job holds its key, or nobody relays its outbox",
            )
        if job is None:
            raise JobPurged(self.id, "", f"job {self.id} is not there any more: it was purged")
        self._job = job
        return self

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._jobs.run(coroutine)


def handles(stored: Sequence[Job], jobs: Jobs) -> list[JobHandle[Any]]:
    """Return a handle for each job; those of many alike are not made before they are needed."""
    if isinstance(stored, Alike):
        return [JobHandle(stored, jobs, None, place) for place in range(len(stored))]
    return [JobHandle(job, jobs) for job in stored]
