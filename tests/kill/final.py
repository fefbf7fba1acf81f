"""What is stored when all is over, read through the public API."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from math import inf
from typing import Any

from offload import JobHandle, Queue
from tests.kill.history import Kept, Pen, now
from tests.kill.places import Place

LOOK = 0.2
PAGE = 500


class Final:
    """The queue of a run, as an outsider sees it."""

    def __init__(self, place: Place) -> None:
        """Read what is stored there."""
        self._place = place
        self._queue = Queue(place.url())

    async def drained(self, patience: float) -> None:
        """Wait until every job is final, or for `patience` seconds nothing has become so."""
        least, deadline = inf, now() + patience
        while now() < deadline:
            stats = await self._queue.astats()
            left = stats["pending"] + stats["running"]
            if not left:
                return
            if left < least:
                least, deadline = left, now() + patience
            await asyncio.sleep(LOOK)

    async def keep(self, pen: Pen) -> tuple[dict[str, int], str]:
        """Write down every job; return what the store counts, and whether all is sound."""
        letters = Counter([letter async for letter in self._letters()])
        async for jobs in self._pages():
            for kept in await asyncio.gather(*(self._kept(job, letters) for job in jobs)):
                pen.write(kept)
        stats = await self._queue.astats()
        await self._queue.aclose()
        return stats, self._place.integrity()

    async def _pages(self) -> AsyncIterator[list[JobHandle[Any]]]:
        before = None
        while jobs := await self._queue.alist_jobs(before=before, limit=PAGE):
            yield jobs
            before = jobs[-1].id

    async def _letters(self) -> AsyncIterator[str]:
        offset = 0
        while page := await self._queue.adead_letters(PAGE, offset):
            for letter in page:
                yield letter.job.id
            offset += len(page)

    async def _kept(self, handle: JobHandle[Any], letters: Counter[str]) -> Kept:
        job = handle.job
        errors = await self._queue.ajob_errors(job.id)
        return Kept(
            job=job.id,
            state=handle.status,
            attempt=job.attempt,
            lease=job.lease,
            crashes=job.crashes,
            result=None if job.result is None else json.loads(job.result),
            errors=tuple((e.attempt, e.failure.type, e.failure.message[:60]) for e in errors),
            letters=letters[job.id],
        )
