"""Takes over what dead workers left, and sweeps out what is old."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from offload.core.decide import Lapsed, decide
from offload.store.base import Store
from offload.worker.service import Service

log = logging.getLogger("offload.worker")

EVERY = 5.0
RETENTION_EVERY = 60.0
MOST = 100


async def take_over(
    store: Store,
    worker: str | None = None,
    may_judge: Callable[[], bool] = lambda: True,
    *,
    crashed: bool = False,
) -> None:
    """Decide what becomes of the jobs of dead workers, or of one that is known to be dead.

    `crashed` says that a function may have been the death of it; a worker that froze, was cut
    off or ran its functions in other processes is no fault of its jobs.

    `may_judge` is asked before each look: what was decided at the last one may have had to wait
    for the store, and then everybody looks silent.

    It needs no lock and no leader: each end is stored under the *old* lease, so whoever comes
    second, another janitor or the worker itself, changes nothing.
    """
    while may_judge() and (
        lapses := [
            lapse for lapse in await store.lapsed(MOST) if worker in (None, lapse.job.worker)
        ]
    ):
        finishes = [
            decide(lapse.job, Lapsed(lapse.reason, crashed), random.random) for lapse in lapses
        ]
        applied = await store.finish(finishes)
        for lapse, was_applied in zip(lapses, applied, strict=True):
            if was_applied:
                log.warning("job %s (%s): %s", lapse.job.id, lapse.job.task, lapse.reason)


class Janitor(Service):
    """Runs in every worker: what two of them do at once is done once."""

    def __init__(
        self, store: Store, may_judge: Callable[[], bool], result_ttl: float | None
    ) -> None:
        """Sweep `store`; `may_judge` says whether this process may call others dead."""
        super().__init__()
        self._store = store
        self._may_judge = may_judge
        self._result_ttl = result_ttl
        self._swept = float("-inf")

    async def step(self) -> None:
        """Take over, once a minute also prune, then rest with jitter."""
        await take_over(self._store, may_judge=self._may_judge)
        if time.monotonic() - self._swept >= RETENTION_EVERY:
            self._swept = time.monotonic()
            await self.sweep()
        rest = EVERY * (0.75 + random.random() / 2)  # noqa: S311 - jitter
        await self.unless_stopping(asyncio.sleep(rest))

    async def sweep(self) -> None:
        """Remove what has outlived its time."""
        age = self._result_ttl
        while True:
            pruned = await self._store.prune(
                jobs_older_than=age, dead_older_than=age, records_older_than=age
            )
            if not (pruned.jobs or pruned.dead_letters or pruned.records):
                return
            log.info("pruned %d jobs, %d dead letters", pruned.jobs, pruned.dead_letters)
