"""A job in the caller's hand."""

from collections.abc import AsyncIterator, Mapping
from typing import Generic, TypeVar, cast

from offload.core.errors import JobCancelled, JobDead, JobError, JobFailed, JobNotFound
from offload.core.job import Job
from offload.core.states import State
from offload.tasks.ports import Jobs

R = TypeVar("R")

ENDINGS: dict[State, type[JobError]] = {
    State.FAILED: JobFailed,
    State.DEAD: JobDead,
    State.CANCELLED: JobCancelled,
}


class JobHandle(Generic[R]):
    """A job as it was last read; `refresh`, `result` and their twins read again."""

    def __init__(self, job: Job, jobs: Jobs) -> None:
        """Hold `job`, reachable through `jobs`."""
        self.job = job
        self._jobs = jobs

    def __repr__(self) -> str:
        """Show what a log line needs."""
        return f"<JobHandle {self.id} {self.task_name} {self.status}>"

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
    def error(self) -> str | None:
        """The last error in one line; None if there was none, or the job is complete."""
        return self.job.error

    @property
    def version(self) -> int:
        """Rises with each change of the job."""
        return self.job.version

    @property
    def metadata(self) -> Mapping[str, object] | None:
        """What was stored with the job."""
        return self.job.metadata

    @property
    def created_at(self) -> int:
        """When it was enqueued, in Unix milliseconds."""
        return self.job.created_at

    @property
    def started_at(self) -> int | None:
        """When its last attempt started, in Unix milliseconds."""
        return self.job.started_at

    @property
    def finished_at(self) -> int | None:
        """When it ended, in Unix milliseconds."""
        return self.job.finished_at

    def refresh(self) -> "JobHandle[R]":
        """Read the job again.

        Raises:
            JobNotFound: it was purged.
        """
        return self._updated(self._jobs.run(self._jobs.get(self.id)))

    async def arefresh(self) -> "JobHandle[R]":
        """Read the job again; see `refresh`."""
        return self._updated(await self._jobs.get(self.id))

    def result(self, timeout: float | None = None) -> R:
        """Wait for the job to end and return what the task returned.

        `timeout` is in seconds, None waits for as long as it takes, 0 only looks.

        Raises:
            TimeoutError: time was up; the job goes on.
            JobFailed, JobDead, JobCancelled: it ended without a result.
            JobNotFound: it was purged.
        """
        return self._concluded(self._jobs.run(self._jobs.wait(self.id, timeout)))

    async def aresult(self, timeout: float | None = None) -> R:
        """Wait for the job to end and return what the task returned; see `result`."""
        return self._concluded(await self._jobs.wait(self.id, timeout))

    def cancel(self, *, running: bool = False) -> bool:
        """Cancel the job if it is pending; with `running`, ask a running one to stop."""
        return self._jobs.run(self._jobs.cancel(self.id, running=running))

    async def acancel(self, *, running: bool = False) -> bool:
        """Cancel the job if it is pending; see `cancel`."""
        return await self._jobs.cancel(self.id, running=running)

    async def awatch(self, interval: float = 0.1) -> AsyncIterator["JobHandle[R]"]:
        """Yield the job now, then on every change until it is final.

        Changes that come faster than `interval` seconds are merged; the last is never left out.
        """
        async for job in self._jobs.watch(self.id, interval):
            yield JobHandle(job, self._jobs)

    def _updated(self, job: Job | None) -> "JobHandle[R]":
        if job is None:
            raise JobNotFound(self.id, "", f"job {self.id} is not there any more: it was purged")
        self.job = job
        return self

    def _concluded(self, job: Job | None) -> R:
        self._updated(job)
        if self.job.state is State.COMPLETE:
            return cast("R", self._jobs.decode_result(self.job))
        reason = self.job.error or ""
        ending = ENDINGS[self.job.state]
        raise ending(self.id, reason, f"job {self.id} ({self.task_name}) {self.status}: {reason}")
