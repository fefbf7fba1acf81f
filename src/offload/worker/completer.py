"""Writes how runs ended and how far they are, in batches, for as long as it takes."""

import asyncio
import contextlib
import logging
import random
from collections import deque
from itertools import islice

from offload.core.decide import Outcome, Raised, Released, decide
from offload.core.errors import StoreError, StoreRefused
from offload.core.job import Failure, Finish, Job, Report
from offload.core.states import Move
from offload.store.base import Store
from offload.worker.pace import Pace
from offload.worker.runs import Runs
from offload.worker.service import Service

log = logging.getLogger("offload.worker")

End = tuple[Job, Outcome]

MOST = 256
PROGRESS_EVERY = 0.05
"""Seconds between two writes of progress; what comes in between is merged."""


class _Inbox:
    """Wakes the control loop from any thread, once for any number of calls."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def ring(self) -> None:
        if not self._event.is_set():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()


class Completer(Service):
    """Decides what becomes of ended runs and stores it, fenced by their leases."""

    def __init__(self, store: Store, runs: Runs, pace: Pace) -> None:
        """Store the ends of `runs`, and tell `pace` how long their lines took."""
        super().__init__()
        self._store = store
        self._runs = runs
        self._pace = pace
        self._ended: deque[End] = deque()
        self._inbox = _Inbox()
        self.refused = 0

    async def run(self) -> None:
        """Step until stopped, and once more for what came in last."""
        await super().run()
        with contextlib.suppress(StoreError):
            await self._store_ended()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Take an outcome; called once a run, from any thread."""
        self._ended.append((job, outcome))
        self._inbox.ring()

    async def step(self) -> None:
        """Store what has come in; what the store cannot take now is kept."""
        if not self._ended:
            await self.unless_stopping(self._inbox.wait())
        await self._store_ended()

    async def _store_ended(self) -> None:
        batch = list(islice(self._ended, MOST))
        now = asyncio.get_running_loop().time()
        for job, outcome in batch:
            if isinstance(outcome, Released):
                self._pace.slow_down()
            line = self._runs.returned(job)
            if line is not None:
                self._pace.note(line, now)
        if batch:
            await self._store_all(batch)

    async def _store_all(self, batch: list[End]) -> None:
        finishes = [decide(job, outcome, random.random) for job, outcome in batch]
        try:
            applied = await self._store.finish(finishes)
        except StoreRefused as error:
            # One end that cannot be stored must not hold up the others, nor be tried for ever.
            if len(batch) > 1:
                for end in batch:
                    await self._store_all([end])
                return
            finishes = [decide(batch[0][0], _refused(error), random.random)]
            applied = await self._store.finish(finishes)
        for finish, was_applied in zip(finishes, applied, strict=True):
            # An end leaves the list only now: while the store is away, it is kept.
            job, _ = self._ended.popleft()
            self._runs.remove(job)
            if was_applied:
                _tell(job, finish)
            else:
                self.refused += 1
                log.warning("job %s was taken over by another worker: its end is dropped", job.id)


def _refused(error: StoreRefused) -> Outcome:
    return Raised(Failure("StoreRefused", str(error)), retryable=False)


class Progress(Service):
    """Stores the newest progress of each running job."""

    def __init__(self, store: Store) -> None:
        """Report to `store`."""
        super().__init__()
        self._store = store
        self._reports: deque[Report] = deque()
        self._inbox = _Inbox()

    def progress(self, job: Job, percent: int) -> None:
        """Take note of a job's progress; called from any thread."""
        self._reports.append(Report(job.id, job.lease, percent))
        self._inbox.ring()

    async def step(self) -> None:
        """Write what is new, then rest a little so that a busy task costs few writes."""
        await self.unless_stopping(self._inbox.wait())
        newest: dict[str, Report] = {}
        while self._reports:
            report = self._reports.popleft()
            newest[report.job_id] = report
        if newest:
            await self._store.report(list(newest.values()))
            await self.unless_stopping(asyncio.sleep(PROGRESS_EVERY))


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
            log.error("job %s (%s) %s: %s", job.id, job.task, finish.move, failure.summary())
        case _:
            log.debug("job %s (%s) %s", job.id, job.task, finish.move)
