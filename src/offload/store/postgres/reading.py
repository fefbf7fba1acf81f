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
from offload.store.postgres.arrays import texts
from offload.store.postgres.rows import can_be_there, job_of
from offload.store.records import (
    Row,
    error_of,
    log_of,
    metric_of,
    part_of,
    repeat_of,
    schedule_of,
)


class Reading(ABC):
    """The reading half of the store."""

    @abstractmethod
    async def _read(self, name: str, /, **values: Any) -> list[Row]: ...

    async def now(self) -> int:
        """Return the server's clock."""
        ((now,),) = await self._read("now")
        return int(now)

    async def lapsed(self, limit: int) -> list[Lapse]:
        """Join the running jobs with their workers' beats."""
        rows = await self._read("lapsed", limit=limit)
        return [Lapse(job_of(row), _silence(row)) for row in rows]

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Read the jobs at once."""
        if len(job_ids) == 1:
            rows = await self._read("get_one", id=job_ids[0])
        else:
            rows = await self._read("get", ids=texts(filter(can_be_there, job_ids)))
        found = {row[0]: job_of(row) for row in rows}
        return [found.get(job_id) for job_id in job_ids]

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Read a page."""
        values = asdict(wanted) | {"states": texts(wanted.states) if wanted.states else None}
        return [job_of(row) for row in await self._read("search", **values)]

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count by state."""
        counts = dict.fromkeys(State, 0)
        for state, count in await self._read("stats", queue=queue):
            counts[State(state)] += count
        return counts

    async def queues(self) -> list[QueueRow]:
        """Count by queue."""
        return [QueueRow(*row) for row in await self._read("queues")]

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Read the failed attempts."""
        return [error_of(row) for row in await self._read("errors", id=job_id)]

    async def logs(self, wanted: RecordFilter) -> list[JobLog]:
        """Read the newest lines."""
        return [log_of(row) for row in await self._read("logs", **asdict(wanted))]

    async def metrics(self, wanted: RecordFilter) -> list[Metric]:
        """Read the newest metrics."""
        return [metric_of(row) for row in await self._read("metrics", **asdict(wanted))]

    async def parts(self, job_id: str, after: int, limit: int) -> list[Part]:
        """Read what comes after a part."""
        rows = await self._read("parts", id=job_id, after=after, limit=limit)
        return [part_of(row) for row in rows]

    async def family(self, job_id: str) -> Family:
        """Read both directions."""
        parents = await self._read("parents_of", id=job_id)
        dependents = await self._read("dependents_of", id=job_id)
        return Family([row[0] for row in parents], [row[0] for row in dependents])

    async def repeats(self, job_id: str) -> list[Repeat]:
        """Read the job's repeats."""
        return [repeat_of(row) for row in await self._read("repeats", id=job_id)]

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Read a page of dead letters."""
        jobs = [job_of(row) for row in await self._read("dead_letters", limit=limit, offset=offset)]
        return [DeadLetter(job.id, job, job.finished_at or 0) for job in jobs]

    async def schedules(self) -> list[Schedule]:
        """Read the schedules."""
        return [schedule_of(row) for row in await self._read("schedules")]

    async def workers(self) -> list[WorkerRow]:
        """Read the workers."""
        return [_worker_of(row) for row in await self._read("workers")]


def _silence(row: Row) -> str:
    *_, same_boot, age = row
    worker = job_of(row).worker
    if same_boot is None:
        return f"worker {worker} is gone"
    if not same_boot:
        return f"worker {worker} ended with its machine"
    return f"worker {worker} was silent for {age:.0f} s"


def _worker_of(row: Row) -> WorkerRow:
    name, host, pid, queues, concurrency, started_at, age, alive = row
    return WorkerRow(
        id=name,
        host=host,
        pid=pid,
        queues=None if queues is None else tuple(json.loads(queues)),
        concurrency=concurrency,
        started_at=started_at,
        age=age,
        alive=alive,
    )
