"""Claims as many jobs as can start now, or soon."""

import asyncio
import random
from collections.abc import Callable, Sequence

from offload.core.job import Job
from offload.store.base import Channel, Store
from offload.worker.pace import Pace
from offload.worker.runs import Runs
from offload.worker.service import Service

SHORT_TASKS = 8
"""Jobs a line from which on the tasks are short enough for lines to wait for a slot."""
VAIN, LONGEST_VAIN = 0.001, 0.016
"""Seconds, at random up to so many, for which a worker rests that was told of jobs and got none:
twice as long each time. Of many idle workers all hear of each job, and only one gets it."""
SLOW_POLL = 2.0
"""Seconds after which an idle worker looks for itself: a wake-up is only a hint."""


class Fetcher(Service):
    """Claims one job a free slot, and more only while tasks prove short (see `Pace`)."""

    def __init__(
        self,
        store: Store,
        worker: str,
        queues: Sequence[str] | None,
        launch: Callable[[list[Job], int | None], None],
        *,
        runs: Runs,
        pace: Pace,
        reserve: int,
    ) -> None:
        """Claim from `queues` for `worker` and `launch` what comes, in so many lines at most.

        While tasks prove short, `reserve` lines more than there are slots are claimed, so that a
        slot need not wait for the next claim.
        """
        super().__init__()
        self._store = store
        self._worker = worker
        self._queues = queues
        self._runs = runs
        self._pace = pace
        self._launch = launch
        self._reserve = reserve
        self._told = False
        self._vain = 0

    async def step(self) -> None:
        """Claim once; if that took all there was, wait for news or for the next due job."""
        self._runs.ahead = self._reserve if self._pace.ahead >= SHORT_TASKS else 0
        if not self._runs.free + self._runs.spare:
            await self.unless_stopping(self._runs.room())
        lines = self._runs.free + self._runs.spare
        if self.stopping.is_set() or not lines:
            return
        cursor = self._store.cursor(Channel.READY)
        asked = lines * self._pace.ahead
        claim = await self._store.claim(self._worker, self._queues, asked)
        # Slots that have become free meanwhile are for the next claim, if there is more to claim:
        # lines that are shorter than asked for would never prove that tasks are short.
        self._launch(claim.jobs, lines if len(claim.jobs) == asked else None)
        self._vain = 0 if claim.jobs else self._vain + self._told
        if len(claim.jobs) < asked:  # nothing more is ready
            await self._wait(cursor, claim.next_due)

    async def _wait(self, cursor: int, next_due: float | None) -> None:
        """Wait for news or for the next due job, and then a little if others are quicker anyhow."""
        limit = SLOW_POLL * (0.75 + random.random() / 2)  # noqa: S311 - jitter
        if next_due is not None:
            limit = min(limit, next_due + 0.001)
        await self.unless_stopping(self._store.wait(Channel.READY, cursor, limit))
        self._told = self._store.cursor(Channel.READY) != cursor
        if self._told and self._vain:
            longest = min(LONGEST_VAIN, VAIN * 2 ** min(self._vain - 1, 10))
            rest = random.random() * longest  # noqa: S311 - spreads workers out, hides nothing
            await self.unless_stopping(asyncio.sleep(rest))
