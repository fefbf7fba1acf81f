"""Keeps the worker's leases alive, and hears from the store what became of them."""

import asyncio
import logging
import random
import time

from offload.core.errors import StoreUnavailable
from offload.core.records import Finish, Held
from offload.core.states import Move
from offload.store.base import Beat, Channel, Store
from offload.worker.executors import Executor
from offload.worker.run import Run, Stop
from offload.worker.runs import Runs
from offload.worker.service import REST, Service

log = logging.getLogger("offload.worker")


class Steward(Service):
    """Beats once for all jobs, and compares what the store says with what the worker knows.

    A lost job is told so, a job asked to stop is stopped, an unknown one is given back.
    """

    def __init__(
        self,
        store: Store,
        beat: Beat,
        interval: float,
        runs: Runs,
        executors: dict[str, Executor],
    ) -> None:
        """Send `beat` every `interval` seconds, and at once when a stop is asked for."""
        super().__init__()
        self._store = store
        self._beat = beat
        self._interval = interval
        self._runs = runs
        self._executors = executors
        self._strangers: dict[str, int] = {}
        self._beaten = time.monotonic()
        self._late_until = self._beaten + beat.lease

    @property
    def may_judge(self) -> bool:
        """Whether this process was itself on time lately.

        After a pause (a stopped process, a laptop's sleep, a store that somebody blocked)
        everybody looks silent: who was late, or has only just come and cannot know, judges
        nobody for one lease.
        """
        now = time.monotonic()
        return now >= self._late_until and now - self._beaten <= self._beat.lease / 2

    async def register(self, stop: asyncio.Event) -> None:
        """Beat for the first time, however long the store is away, unless asked to stop.

        It comes before the first claim: a job of an unknown worker counts as lapsed.
        """
        while not stop.is_set():
            try:
                await self._store.heartbeat(self._beat)
            except StoreUnavailable as error:
                log.warning("the store is away (%s)", error)
                await asyncio.sleep(REST * (0.5 + random.random()))  # noqa: S311 - jitter
            else:
                return

    async def step(self) -> None:
        """Beat and reconcile, then wait for the next beat or for a call to stop a job."""
        cursor = self._store.cursor(Channel.CONTROL)
        # Runs that start while the beat is under way are not in its answer.
        known = list(self._runs)
        held = await self._store.heartbeat(self._beat)
        self._note_beat()
        self._reconcile(known, {job.job_id: job for job in held})
        await self._give_back(held)
        wait = self._store.wait(Channel.CONTROL, cursor, self._interval)
        await self.unless_stopping(wait)

    def _note_beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten > self._beat.lease / 2:
            self._late_until = now + self._beat.lease
        self._beaten = now

    def _reconcile(self, known: list[Run], held: dict[str, Held]) -> None:
        for run in known:
            row = held.get(run.job.id)
            if run.is_over or (run.job.id, run.job.lease) not in self._runs:
                continue
            if row is None or row.lease != run.job.lease:
                self._stop(run, Stop.LOST)
            elif row.cancel_requested:
                self._stop(run, Stop.CANCEL)

    def _stop(self, run: Run, stop: Stop) -> None:
        if run.stop is None:
            log.info("job %s (%s): %s", run.job.id, run.job.task, stop.value)
            run.ask(stop)
            if not run.end_unbegun(run.stopped()):
                self._executors[run.task.executor].stop(run)

    async def _give_back(self, held: list[Held]) -> None:
        """Release jobs whose claim was stored but never arrived here, seen twice to be sure."""
        strangers = {
            job.job_id: job.lease for job in held if (job.job_id, job.lease) not in self._runs
        }
        again = [
            Finish(job_id, lease, Move.RELEASE)
            for job_id, lease in strangers.items()
            if self._strangers.get(job_id) == lease
        ]
        self._strangers = strangers
        if again:
            await self._store.finish(again)
