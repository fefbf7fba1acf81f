"""What can be read: a script each, in pages where there may be much."""

import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from offload.core.job import Job
from offload.core.records import AttemptError, DeadLetter, Family, JobLog, Metric, Part, Repeat
from offload.core.schedule import Schedule
from offload.core.states import State
from offload.store.base import JobFilter, QueueRow, RecordFilter, WorkerRow
from offload.store.redis import records, rows, wire
from offload.store.redis.requests import named

Row = TypeVar("Row", JobLog, Metric)

PAGE = 500
STATES = list(State)


class Reading(ABC):
    """The reading half of the store."""

    @abstractmethod
    async def _call(self, name: str, *values: wire.Part) -> rows.Reply: ...

    @abstractmethod
    async def _command(self, name: str, key: str, *values: wire.Part) -> Any: ...

    # --- jobs ----------------------------------------------------------------------------

    async def get(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Read the jobs, some at a time."""
        found: list[Job | None] = []
        for place in range(0, len(job_ids), PAGE):
            found += rows.jobs_of(await self._call("get", *job_ids[place : place + PAGE]), 1)
        return found

    async def search(self, wanted: JobFilter) -> list[Job]:
        """Look through the shortest list that has them all, some at a time."""
        found: list[Job] = []
        below: wire.Part = ""
        if wanted.before is not None:
            below = await self._place(wanted.before)
        while below != b"" and len(found) < wanted.limit:
            most = wanted.limit - len(found)
            _, below, *shown = await self._call("search", *_asked(wanted), below, most)
            found += rows.all_jobs_of(shown, 0)
        return found

    async def _place(self, job_id: str) -> int:
        """Return below which number the page behind a job goes on."""
        row = await self._command("HGET", "row", job_id)
        if row is not None:
            return rows.number_of(row)
        # It was purged since: seldom enough for no list of all ids to be kept.
        lower = (b"", b"")
        async for pair in self._all_rows():
            if lower < pair < (job_id.encode(), b""):
                lower = pair
        return rows.number_of(lower[1]) + 1 if lower[1] else 0

    async def _all_rows(self) -> AsyncIterator[tuple[bytes, bytes]]:
        cursor = b"0"
        while True:
            cursor, pairs = await self._command("HSCAN", "row", cursor, "COUNT", PAGE)
            for pair in zip(pairs[::2], pairs[1::2], strict=True):
                yield pair
            if cursor == b"0":
                return

    async def stats(self, queue: str | None = None) -> Mapping[State, int]:
        """Count by state."""
        totals = dict.fromkeys(State, 0)
        for _, counts, _ in await self._counts(queue):
            for state, count in zip(STATES, counts, strict=True):
                totals[state] += count
        return totals

    async def queues(self) -> list[QueueRow]:
        """Count by queue."""
        pending, running = STATES.index(State.PENDING), STATES.index(State.RUNNING)
        return sorted(
            (
                QueueRow(name, paused, counts[pending], counts[running])
                for name, counts, paused in await self._counts(None)
                if paused or counts[pending] or counts[running]
            ),
            key=lambda row: row.name,
        )

    async def _counts(self, queue: str | None) -> list[tuple[str, list[int], bool]]:
        asked = ("1",) if queue is None else ("0", queue)
        _, *said = await self._call("stats", *asked)
        return [
            (said[place].decode(), said[place + 1 : place + 7], said[place + 7] == 1)
            for place in range(0, len(said), 8)
        ]

    async def dead_letters(self, limit: int, offset: int) -> list[DeadLetter]:
        """Read a page of dead letters."""
        if limit < 1:
            return []
        reply = await self._call("letters", offset, offset + limit - 1)
        jobs = rows.all_jobs_of(reply, 1)
        return [DeadLetter(job.id, job, job.finished_at or 0) for job in jobs]

    async def family(self, job_id: str) -> Family:
        """Read both directions."""
        _, count, *ids = await self._call("family", job_id)
        names = [each.decode() for each in ids]
        return Family(names[:count], names[count:])

    async def repeats(self, job_id: str) -> list[Repeat]:
        """Read the job's repeats."""
        entries = await self._command("LRANGE", f"repeats:{job_id}", 0, -1)
        return [
            Repeat(job_id, entry[8:].decode(), struct.unpack_from(">q", entry)[0])
            for entry in entries
        ]

    # --- records -------------------------------------------------------------------------

    async def errors(self, job_id: str) -> list[AttemptError]:
        """Read the failed attempts."""
        found = [records.error_of(*each) async for each in self._of_job("errors", job_id)]
        return found[::-1]

    async def logs(self, wanted: RecordFilter) -> list[JobLog]:
        """Read the newest lines."""

        def fits(log: JobLog) -> bool:
            is_new = wanted.since is None or log.logged_at >= wanted.since
            return is_new and wanted.level in {None, log.line.level}

        return await self._newest("logs", wanted, records.log_of, fits)

    async def metrics(self, wanted: RecordFilter) -> list[Metric]:
        """Read the newest metrics."""
        return await self._newest(
            "metrics",
            wanted,
            records.metric_of,
            lambda metric: wanted.since is None or metric.recorded_at >= wanted.since,
        )

    async def _newest(
        self,
        kind: str,
        wanted: RecordFilter,
        read: Callable[[int, bytes], Row],
        fits: Callable[[Row], bool],
    ) -> list[Row]:
        found: list[Row] = []
        all_of_them = (
            self._of_all(kind) if wanted.job_id is None else self._of_job(kind, wanted.job_id)
        )
        async for each in all_of_them:
            if len(found) >= wanted.limit:
                break
            record = read(*each)
            if wanted.task in {None, record.task} and fits(record):
                found.append(record)
        return found[::-1]

    async def _of_all(self, kind: str) -> AsyncIterator[tuple[int, bytes]]:
        """Yield all records of a kind, newest first."""
        below: wire.Part = ""
        while below != 0:
            _, below, *said = await self._call("newest", kind, below, PAGE)
            for pair in zip(said[::2], said[1::2], strict=True):
                yield pair

    async def _of_job(self, kind: str, job_id: str) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the records of a job, newest first."""
        number: wire.Part = ""
        while number != 0:
            _, number, *said = await self._call("chain", kind, job_id, number, PAGE)
            for pair in zip(said[::2], said[1::2], strict=True):
                yield pair

    async def parts(self, job_id: str, after: int, limit: int) -> list[Part]:
        """Read what comes after a part."""
        key = f"parts:{job_id}"
        entries = await self._command("XRANGE", key, f"({after}", "+", "COUNT", limit)
        return [records.part_of(job_id, entry) for entry in entries]

    # --- schedules and workers -----------------------------------------------------------

    async def schedules(self) -> list[Schedule]:
        """Read the schedules."""
        said = await self._command("HGETALL", "schedules")
        found = dict(zip(said[::2], said[1::2], strict=True))
        named = [records.schedule_of(name.decode(), raw) for name, raw in found.items()]
        return sorted(named, key=lambda schedule: schedule.name)

    async def workers(self) -> list[WorkerRow]:
        """Read the workers."""
        _, *said = await self._call("workers")
        found = [records.worker_of(*said[place : place + 4]) for place in range(0, len(said), 4)]
        return sorted(found, key=lambda row: (row.started_at, row.id))


def _asked(wanted: JobFilter) -> list[wire.Part]:
    """Return what to look for; that of names which may be empty is told from none."""
    states = ",".join(str(rows.STATE_CODES[state]) for state in wanted.states)
    names = (wanted.task, wanted.queue, wanted.tag, wanted.schedule)
    instants = (wanted.created_after, wanted.created_before)
    return [states, *map(named, names), *("" if at is None else at for at in instants)]
