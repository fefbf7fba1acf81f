"""Group commit: plain jobs that come in together are one statement, and so one commit."""

import asyncio
from collections.abc import Sequence

from offload.core.errors import StoreRefused
from offload.core.job import Job, NewJob
from offload.store.postgres.connection import Line
from offload.store.postgres.enqueueing import insert

MOST = 1000
"""Jobs in one statement."""

Entry = tuple[Sequence[NewJob], asyncio.Future[list[Job]]]


class Writer:
    """Takes small batches of plain jobs; what piles up during a commit shares the next one."""

    def __init__(self, line: Line) -> None:
        """Write on this connection."""
        self._line = line
        self._waiting: list[Entry] = []
        self._writing = False

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Store the jobs, and return them when they are durable."""
        future: asyncio.Future[list[Job]] = asyncio.get_running_loop().create_future()
        self._waiting.append((jobs, future))
        if not self._writing:
            self._writing = True
            try:
                while self._waiting:
                    await self._write(self._next())
            finally:
                self._writing = False
        return await future

    def _next(self) -> list[Entry]:
        count, size = 0, 0
        for jobs, _ in self._waiting:
            if count and size + len(jobs) > MOST:
                break
            count, size = count + 1, size + len(jobs)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _write(self, batch: list[Entry]) -> None:
        jobs = [new for each, _ in batch for new in each]
        try:
            stored = iter(await self._line.run(lambda session: insert(session, jobs)))
        except StoreRefused as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # One of them spoiled it for all: each gets a statement of its own.
            for entry in batch:
                await self._write([entry])
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for each, future in batch:
                future.set_result([next(stored) for _ in each])
