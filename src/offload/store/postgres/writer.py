"""Group commit: plain jobs that come in together are one statement, and so one commit."""

import asyncio
import time
from collections.abc import Sequence

from offload.core.errors import StoreUnavailable
from offload.core.job import Job, NewJob
from offload.store.postgres.connection import Line
from offload.store.postgres.enqueueing import insert

MOST = 1000
"""Jobs in one statement."""

CROWD, LASTS = 4, 0.01
"""Calls that share a statement, and seconds for which as many are expected again."""

Entry = tuple[Sequence[NewJob], asyncio.Future[list[Job]]]


class Writer:
    """Takes small batches of plain jobs; what piles up during a commit shares the next one."""

    def __init__(self, line: Line) -> None:
        """Write on this connection."""
        self._line = line
        self._waiting: list[Entry] = []
        self._writing: asyncio.Task[None] | None = None
        self._crowded_until = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether who comes now had better share a group; for any thread.

        So it is while one is written, and for a moment after one that many shared.
        """
        return self._writing is not None or time.monotonic() < self._crowded_until

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store the jobs, and return them when they are durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Job]] = loop.create_future()
        self._waiting.append((jobs, future))
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        return await future

    async def _write_all(self) -> None:
        while self._waiting:
            await self._write(self._next())
        self._writing = None

    def _next(self) -> list[Entry]:
        count, size = 0, 0
        for jobs, _ in self._waiting:
            if count and size + len(jobs) > MOST:
                break
            count, size = count + 1, size + len(jobs)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        if count >= CROWD:
            self._crowded_until = time.monotonic() + LASTS
        return batch

    async def _write(self, batch: list[Entry]) -> None:
        jobs = [new for each, _ in batch for new in each]
        try:
            stored = iter(await self._line.run(lambda session: insert(session, jobs)))
        except StoreUnavailable as error:
            for _, future in batch:
                future.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # One of them spoiled it for all: each gets a statement of its own.
            for entry in batch:
                await self._write([entry])
        else:
            for each, future in batch:
                future.set_result([next(stored) for _ in each])
