"""What can be read: one statement each, on a connection of the readers."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from offload.core.job import Job
from offload.core.records import (
    AttemptError,
    DeadLetter,
    Family,
    JobLog,
    Metric,
    Part,
    Repeat,
)
from offload.core.schedule import Schedule
from offload.core.states import State
from offload.store.base import JobFilter, Lapse, QueueRow, RecordFilter, WorkerRow
from offload.store.clock import Clock
from offload.store.records import (
    Row,
    error_of,
    log_of,
    metric_of,
    part_of,
    repeat_of,
    schedule_of,
)
from offload.store.sqlite.rows import job_of
from offload.store.sqlite.statements import SQL


class Reading(ABC):
    """The reading half of the store."""

    _clock: Clock

    @abstractmethod
    async def _read(self, sql: str, values: dict[str, Any]) -> list[Row]: ...

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

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Read the jobs at once."""
        rows = await self._read(SQL["get"], {"ids": json.dumps(list(job_ids))})
        found = {row[0]: job_of(row) for row in rows}
        return [found.get(job_id) for job_id in job_ids]

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Read a page."""
        values = asdict(wanted) | {"states": json.dumps(wanted.states)}
        return [job_of(row) for row in await self._read(SQL["search"], values)]

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count by state."""
        counts = dict.fromkeys(State, 0)
        name, values = ("stats", {}) if queue is None else ("stats_of_queue", {"queue": queue})
        for state, count in await self._read(SQL[name], values):
            counts[State(state)] += count
        return counts

    async def queues(self) -> list[QueueRow]:
        """Count by queue."""
        rows = await self._read(SQL["queues"], {})
        return [QueueRow(name, bool(paused), *counts) for name, paused, *counts in rows]

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Read the failed attempts."""
        return [error_of(row) for row in await self._read(SQL["errors"], {"id": job_id})]

    async def logs(self, wanted: RecordFilter) -> list[JobLog]:
        """Read the newest lines."""
        return [log_of(row) for row in await self._records("logs", wanted)]

    async def metrics(self, wanted: RecordFilter) -> list[Metric]:
        """Read the newest metrics."""
        return [metric_of(row) for row in await self._records("metrics", wanted)]

    async def _records(self, kind: str, wanted: RecordFilter) -> list[Row]:
        name = kind if wanted.job_id is None else f"{kind}_of_job"
        return await self._read(SQL[name], asdict(wanted))

    async def parts(self, job_id: str, after: int, limit: int) -> list[Part]:
        """Read what comes after a part."""
        values = {"id": job_id, "after": after, "limit": limit}
        return [part_of(row) for row in await self._read(SQL["parts"], values)]

    async def family(self, job_id: str) -> Family:
        """Read both directions."""
        parents = await self._read(SQL["parents"], {"id": job_id})
        dependents = await self._read(SQL["dependents"], {"id": job_id})
        return Family([row[0] for row in parents], [row[0] for row in dependents])

    async def repeats(self, job_id: str) -> list[Repeat]:
        """Read the job's repeats."""
        return [repeat_of(row) for row in await self._read(SQL["repeats"], {"id": job_id})]

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Read a page of dead letters."""
        rows = await self._read(SQL["dead_letters"], {"limit": limit, "offset": offset})
        jobs = [job_of(row) for row in rows]
        return [DeadLetter(job.id, job, job.finished_at or 0) for job in jobs]

    async def schedules(self) -> list[Schedule]:
        """Read the schedules."""
        return [schedule_of(row) for row in await self._read(SQL["schedules"], {})]

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
