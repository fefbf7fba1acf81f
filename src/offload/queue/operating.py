"""The part of `Queue` that cancels, repeats, pauses and purges."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from math import inf
from typing import Any, cast

from offload.core.errors import JobNotFound
from offload.core.options import NAME, Valid, is_number, require
from offload.core.states import State
from offload.queue.base import Base
from offload.store.base import JobFilter, Store
from offload.tasks.bridge import blocking
from offload.tasks.handle import JobHandle
from offload.tasks.ids import new_id
from offload.tasks.naming import AnyJob, id_of, ids_of
from offload.tasks.repeating import replayed

PURGE_AGE = 86_400.0
"""Seconds: what `purge_completed` and `purge_dead` spare if nothing is said."""

AGE: Valid = ("a number of seconds", lambda age: is_number(age) and abs(cast("float", age)) < inf)
"""Below 0: also what ends at this moment."""

PAGE = 500
"""How many jobs or letters are taken at a time, so that no call is long."""


class Operating(Base):
    """See `Queue`."""

    # --- cancelling ----------------------------------------------------------------------

    async def acancel_job(self, job_id: AnyJob) -> bool:
        """Cancel a pending job; False if it is in any other state or unknown."""
        known = id_of(job_id)
        return await self._client.call(lambda store: store.cancel(known))

    cancel_job = blocking(acancel_job)

    async def acancel_running_job(self, job_id: AnyJob) -> bool:
        """Ask a running job to stop; False if it is not running.

        A coroutine gets `CancelledError` at its next await, a process is killed. A thread can
        only look: `current_job.check_cancelled()`; one that does not look runs to its end.
        """
        known = id_of(job_id)
        return await self._client.call(lambda store: store.cancel(known, running=True))

    cancel_running_job = blocking(acancel_running_job)

    async def apurge(self, queue: str) -> int:
        """Cancel all jobs that are pending in a queue, and say how many; what runs goes on.

        What is enqueued meanwhile stays.
        """
        require("queue", queue, NAME)
        cancelled, before = 0, None
        while page := await self._pending(queue, before):
            before = page[-1]
            cancelled += await self._client.call_on_loop(partial(_cancelled, page))
        return cancelled

    purge = blocking(apurge)

    async def _pending(self, queue: str, before: str | None) -> list[str]:
        wanted = JobFilter(states=(State.PENDING,), queue=queue, before=before, limit=PAGE)
        return [job.id for job in await self._client.call(lambda store: store.search(wanted))]

    # --- pausing -------------------------------------------------------------------------

    async def apause(self, queue: str = "default") -> bool:
        """Let no worker take jobs of a queue; False if it was paused. What runs goes on."""
        require("queue", queue, NAME)
        return await self._client.call(lambda store: store.set_paused(queue, paused=True))

    pause = blocking(apause)

    async def aresume(self, queue: str = "default") -> bool:
        """Let workers take jobs of a queue again; False if it was not paused."""
        require("queue", queue, NAME)
        return await self._client.call(lambda store: store.set_paused(queue, paused=False))

    resume = blocking(aresume)

    # --- repeating -----------------------------------------------------------------------

    async def aretry_dead(self, dead_id: AnyJob) -> str:
        """Enqueue a fresh job for a dead letter, remove the letter, return the new job's id.

        Raises:
            JobNotFound: there is no such letter; somebody may have retried it already.
        """
        known = id_of(dead_id, "dead_id")
        fresh = await self.aretry_dead_many([known])
        if known not in fresh:
            raise JobNotFound(known, "", f"no dead letter {known}: unknown, retried or purged")
        return fresh[known]

    retry_dead = blocking(aretry_dead)

    async def aretry_dead_many(self, dead_ids: Iterable[AnyJob]) -> dict[str, str]:
        """Enqueue a fresh job for each letter that is there; return their ids by the letters'."""
        fresh: dict[str, str] = {}
        ids = list(dict.fromkeys(ids_of(dead_ids, "dead_ids")))
        for start in range(0, len(ids), PAGE):
            fresh |= await self._retried(ids[start : start + PAGE])
        return fresh

    retry_dead_many = blocking(aretry_dead_many)

    async def _retried(self, dead_ids: Sequence[str]) -> dict[str, str]:
        asked = {dead_id: new_id() for dead_id in dead_ids}
        jobs = await self._client.call(lambda store: store.retry_dead(asked))
        return {dead_id: job.id for dead_id, job in jobs.items()}

    async def aretry_all_dead(self) -> dict[str, str]:
        """Enqueue a fresh job for each dead letter of now; see `retry_dead_many`.

        One that dies again meanwhile is left for another call.
        """
        ids: list[str] = []
        while page := await self._letters(len(ids)):
            ids += page
        return await self.aretry_dead_many(ids)

    retry_all_dead = blocking(aretry_all_dead)

    async def _letters(self, offset: int) -> list[str]:
        letters = await self._client.call(lambda store: store.dead_letters(PAGE, offset))
        return [letter.id for letter in letters]

    async def areplay(self, job_id: AnyJob) -> JobHandle[Any]:
        """Enqueue a fresh job of the same call, which names the old one as its origin.

        Raises:
            JobNotEnded: the job is still pending or running.
            JobNotFound: it is unknown, or was purged.
        """
        fresh = await replayed(self._client, id_of(job_id), JobNotFound)
        return JobHandle(fresh, self._client)

    replay = blocking(areplay)

    # --- purging -------------------------------------------------------------------------

    async def apurge_completed(self, older_than: float = PURGE_AGE) -> int:
        """Remove finished jobs that ended more than `older_than` seconds ago, say how many.

        Their errors, logs, parts and metrics go with them; dead letters stay. A job's own
        `result_ttl` comes before `older_than`.
        """
        require("older_than", older_than, AGE)
        total = 0
        while count := (
            await self._client.call(lambda store: store.prune(jobs_older_than=older_than))
        ).jobs:
            total += count
        return total

    purge_completed = blocking(apurge_completed)

    async def apurge_dead(self, older_than: float = PURGE_AGE) -> int:
        """Remove dead letters older than `older_than` seconds, say how many."""
        require("older_than", older_than, AGE)
        total = 0
        while count := (
            await self._client.call(lambda store: store.prune(dead_older_than=older_than))
        ).dead_letters:
            total += count
        return total

    purge_dead = blocking(apurge_dead)


async def _cancelled(job_ids: Sequence[str], store: Store) -> int:
    # All at once: the store can do them in one commit.
    return sum(await asyncio.gather(*map(store.cancel, job_ids)))
