"""Writes how runs ended, in batches, for as long as it takes."""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from itertools import compress, islice
from operator import not_

from offload.core.decide import Outcome, Raised, Released, decide
from offload.core.errors import StoreError, StoreRefused
from offload.core.job import Job
from offload.core.records import Failure, Finish
from offload.core.states import Move, told
from offload.store.base import Store
from offload.worker.pace import Pace
from offload.worker.progress import Progress
from offload.worker.runs import Runs
from offload.worker.service import Inbox, Service

log = logging.getLogger("offload.worker")

End = tuple[Job, Outcome, float | None, int | None]

MOST = 256


class Completer(Service):
    """Decides what becomes of ended runs and stores it, fenced by their leases."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        pace: Pace,
        progress: Progress,
        stored: Callable[[Iterable[tuple[Job, Finish]]], None],
    ) -> None:
        """Store the ends of `runs`, and tell `pace` how long their lines took.

        What a run has said is stored before its end. `stored` hears of the ends that count.
        """
        super().__init__()
        self._store = store
        self._runs = runs
        self._pace = pace
        self._progress = progress
        self._stored = stored
        self._ended: deque[End] = deque()
        self._inbox = Inbox()
        self.refused = 0

    async def run(self) -> None:
        """Step until stopped, and once more for what came in last."""
        await super().run()
        with contextlib.suppress(StoreError):
            await self._store_ended()

    def ended(
        self, job: Job, outcome: Outcome, ran: float | None = None, memory: int | None = None
    ) -> None:
        """Take an outcome; called once a run, from any thread.

        `ran` is in seconds, None if the function did not start; `memory` in bytes.
        """
        self._ended.append((job, outcome, ran, memory))
        self._inbox.ring()

    async def step(self) -> None:
        """Store what has come in; what the store cannot take now is kept."""
        if not self._ended:
            await self.unless_stopping(self._inbox.wait())
        await self._store_ended()

    async def _store_ended(self) -> None:
        batch = list(islice(self._ended, MOST))
        now = asyncio.get_running_loop().time()
        if any(isinstance(outcome, Released) for _, outcome, _, _ in batch):
            self._pace.slow_down()
        for job, _, _, _ in batch:
            line = self._runs.returned(job)
            if line is not None:
                self._pace.note(line, now)
        if batch:
            await self._store_all(batch)

    async def _store_all(self, batch: list[End]) -> None:
        await self._progress.flush(job for job, *_ in batch)
        finishes = [
            decide(job, outcome, random.random, ran=ran, memory=memory)
            for job, outcome, ran, memory in batch
        ]
        try:
            applied = await self._store.finish(finishes)
        except StoreRefused as error:
            # One end that cannot be stored must not hold up the others, nor be tried for ever.
            if len(batch) > 1:
                for end in batch:
                    await self._store_all([end])
                return
            job, _, ran, memory = batch[0]
            finishes = [decide(job, _refused(error), random.random, ran=ran, memory=memory)]
            applied = await self._store.finish(finishes)
        self._let_go(finishes, applied)

    def _let_go(self, finishes: list[Finish], applied: list[bool]) -> None:
        # An end leaves the list only now: while the store is away, it is kept.
        jobs = [self._ended.popleft()[0] for _ in finishes]
        self._runs.remove(jobs)
        for job in compress(jobs, map(not_, applied)):
            self.refused += 1
            log.warning("job %s was taken over by another worker: its end is dropped", job.id)
        ends = list(compress(zip(jobs, finishes, strict=True), applied))
        self._stored(ends)
        tells_all, complete = log.isEnabledFor(logging.DEBUG), Move.COMPLETE
        for job, finish in ends:
            if tells_all or finish.move is not complete:
                _tell(job, finish)


def _refused(error: StoreRefused) -> Outcome:
    return Raised(Failure("StoreRefused", str(error)), retryable=False)


_NONE = Failure("", "")


def _tell(job: Job, finish: Finish) -> None:
    failure = finish.failure or _NONE
    match finish.move:
        case Move.RETRY:
            log.warning(
                "job %s (%s) attempt %d: %s; next in %.1f s",
                job.id, job.task, job.attempt, failure.summary(), finish.delay,
            )  # fmt: skip
        case Move.FAIL | Move.BURY:
            log.error("job %s (%s) %s: %s", job.id, job.task, told(finish.move), failure.summary())
        case _:
            log.debug("job %s (%s) %s", job.id, job.task, told(finish.move))
