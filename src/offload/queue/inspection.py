"""The part of `Queue` that looks at jobs, queues and workers."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from offload.core.errors import ConfigurationError
from offload.core.instants import instant
from offload.core.metrics import TaskMetrics, by_task
from offload.core.options import COUNT, require, require_text
from offload.core.records import AttemptError, DeadLetter, JobLog, Metric, Repeat
from offload.core.states import State
from offload.queue.base import Base
from offload.store.base import JobFilter, QueueRow, RecordFilter, WorkerRow
from offload.tasks.bridge import blocking
from offload.tasks.handle import MOST_PARTS, JobHandle
from offload.tasks.naming import AnyJob, id_of, ids_of
from offload.tasks.parts import JobPart, decoded
from offload.tasks.registry import AnyTask, name_of

Instant = datetime | int
"""A moment: a datetime with a time zone, or Unix milliseconds."""

MOST_METRICS = 10_000


class Inspection(Base):
    """See `Queue`."""

    # --- jobs ----------------------------------------------------------------------------

    async def aget_job(self, job_id: AnyJob) -> JobHandle[Any] | None:
        """Return the job, None if it is unknown or was purged."""
        return (await self.aget_jobs([id_of(job_id)]))[0]

    get_job = blocking(aget_job)

    async def aget_jobs(self, job_ids: Sequence[AnyJob]) -> list[JobHandle[Any] | None]:
        """Return the jobs in the order asked for, None for each that is unknown or was purged."""
        ids = ids_of(job_ids, "job_ids")
        jobs = await self._client.call(lambda store: store.get(ids))
        return [None if job is None else JobHandle(job, self._client) for job in jobs]

    get_jobs = blocking(aget_jobs)

    async def alist_jobs(
        self,
        *,
        status: str | Sequence[str] | None = None,
        task: str | AnyTask | None = None,
        queue: str | None = None,
        tag: str | None = None,
        schedule: str | None = None,
        created_after: Instant | None = None,
        created_before: Instant | None = None,
        before: AnyJob | None = None,
        limit: int = 20,
    ) -> list[JobHandle[Any]]:
        """Return a page of jobs, newest first.

        Args:
            status: one of the public strings, or several.
            task: the task, or its name.
            queue: the queue's name.
            tag: a word that was given with the job.
            schedule: the name of the schedule that fired it.
            created_after: enqueued at this moment or later: a datetime with a time zone, or
                Unix milliseconds.
            created_before: enqueued before this moment.
            before: the last job of the page before, or its id.
            limit: how many.

        Raises:
            ConfigurationError: there is no such status, a moment is none, or a name no text.
        """
        name = None if task is None else name_of(task)
        require_text("task", name)
        for option, word in (("queue", queue), ("tag", tag), ("schedule", schedule)):
            require_text(option, word)
        require("limit", limit, COUNT)
        wanted = JobFilter(
            states=_states(status),
            task=name,
            queue=queue,
            tag=tag,
            schedule=schedule,
            created_after=_moment("created_after", created_after),
            created_before=_moment("created_before", created_before),
            before=None if before is None else id_of(before, "before"),
            limit=limit,
        )
        jobs = await self._client.call(lambda store: store.search(wanted))
        return [JobHandle(job, self._client) for job in jobs]

    list_jobs = blocking(alist_jobs)

    async def awatch(
        self, job_id: AnyJob, interval: float = 0.1
    ) -> AsyncGenerator[JobHandle[Any], None]:
        """Yield the job now and on every change, until it is final or gone.

        Changes that come faster than `interval` seconds are merged; the last is never left out.
        However many watch, the process reads the store once for all of them.
        """
        async with aclosing(self._client.watch(id_of(job_id), interval)) as jobs:
            async for job in jobs:
                yield JobHandle(job, self._client)

    # --- what is kept of a job; empty for an unknown id ----------------------------------

    async def ajob_errors(self, job_id: AnyJob) -> list[AttemptError]:
        """Return the failed attempts of a job, oldest first."""
        known = id_of(job_id)
        return await self._client.call(lambda store: store.errors(known))

    job_errors = blocking(ajob_errors)

    async def ajob_logs(
        self, job_id: AnyJob, *, level: str | None = None, limit: int = 100
    ) -> list[JobLog]:
        """Return the newest lines that a job logged, oldest first."""
        require_text("level", level)
        require("limit", limit, COUNT)
        wanted = RecordFilter(job_id=id_of(job_id), level=level, limit=limit)
        return await self._client.call(lambda store: store.logs(wanted))

    job_logs = blocking(ajob_logs)

    async def ajob_metrics(self, job_id: AnyJob) -> list[Metric]:
        """Return the attempts of a job in numbers, oldest first."""
        wanted = RecordFilter(job_id=id_of(job_id))
        return await self._client.call(lambda store: store.metrics(wanted))

    job_metrics = blocking(ajob_metrics)

    async def ajob_parts(
        self, job_id: AnyJob, after: int = 0, limit: int = MOST_PARTS
    ) -> list[JobPart]:
        """Return what a job has published so far, in order, from after the part `after`."""
        known = id_of(job_id)
        require("after", after, COUNT)
        require("limit", limit, COUNT)
        parts = await self._client.call(lambda store: store.parts(known, after, limit))
        return [decoded(part) for part in parts]

    job_parts = blocking(ajob_parts)

    async def areplay_history(self, job_id: AnyJob) -> list[Repeat]:
        """Return how a job was retried from its dead letter or replayed, oldest first."""
        known = id_of(job_id)
        return await self._client.call(lambda store: store.repeats(known))

    replay_history = blocking(areplay_history)

    # --- all of them ---------------------------------------------------------------------

    async def astats(self, queue: str | None = None) -> dict[str, int]:
        """Count the jobs: pending, running, completed, failed, dead, cancelled."""
        require_text("queue", queue)
        counts = await self._client.call(lambda store: store.stats(queue))
        return {
            "completed" if state is State.COMPLETE else str(state): counts[state] for state in State
        }

    stats = blocking(astats)

    async def ametrics(
        self,
        task: str | AnyTask | None = None,
        *,
        since: Instant | None = None,
        limit: int = MOST_METRICS,
    ) -> dict[str, TaskMetrics]:
        """Return the newest `limit` attempts in a few numbers for each task.

        Args:
            task: only this one: the task, or its name.
            since: only what ended at this moment or later: a datetime with a time zone, or Unix
                milliseconds.
            limit: how many attempts to look at.

        Raises:
            ConfigurationError: `since` is no moment, or another value is wrong.
        """
        name = None if task is None else name_of(task)
        require_text("task", name)
        require("limit", limit, COUNT)
        wanted = RecordFilter(task=name, since=_moment("since", since), limit=limit)
        return by_task(await self._client.call(lambda store: store.metrics(wanted)))

    metrics = blocking(ametrics)

    async def adead_letters(self, limit: int = 10, offset: int = 0) -> list[DeadLetter]:
        """Return a page of dead letters, newest first."""
        require("limit", limit, COUNT)
        require("offset", offset, COUNT)
        return await self._client.call(lambda store: store.dead_letters(limit, offset))

    dead_letters = blocking(adead_letters)

    async def aqueues(self) -> list[QueueRow]:
        """Return the queues that have pending or running jobs or are paused, by name."""
        return await self._client.call(lambda store: store.queues())

    queues = blocking(aqueues)

    async def apaused_queues(self) -> list[str]:
        """Return the names of the paused queues."""
        return [row.name for row in await self.aqueues() if row.paused]

    paused_queues = blocking(apaused_queues)

    async def alist_workers(self) -> list[WorkerRow]:
        """Return the workers that are alive, or died without being replaced."""
        return await self._client.call(lambda store: store.workers())

    list_workers = blocking(alist_workers)


def _states(status: str | Sequence[str] | None) -> tuple[State, ...]:
    try:
        names = [status] if isinstance(status, str) else list(status or ())
        return tuple(State("complete" if name == "completed" else name) for name in names)
    except (TypeError, ValueError):
        raise ConfigurationError(f"status={status!r}: use {', '.join(State)}") from None


def _moment(name: str, moment: Instant | None) -> int | None:
    return None if moment is None else instant(name, moment)
