"""One watcher a process, however many wait for jobs: it reads once for all of them.

Everything here runs on the store's event loop.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict

from offload.core.errors import StoreError
from offload.core.job import Job
from offload.store.base import Channel, Store

log = logging.getLogger("offload.client")

SLOW_POLL = 1.0
"""Seconds after which watched jobs are read even if no news came: a wake-up may be lost."""


FRESH = 0.01
"""Seconds for which what an enqueue has answered is as good as a look, unless news came."""


class Subscription:
    """The newest state of one job, for one reader. A slow reader skips states, never the last."""

    def __init__(self, job_id: str, seen: int = 0) -> None:
        """Watch `job_id` from after version `seen`."""
        self.job_id = job_id
        self._seen = seen
        self._job: Job | None = None
        self._gone = False
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    def offer(self, job: Job | None) -> None:
        """Take the job as it was just read, None if it is not there."""
        if job is None:
            self._gone = True
        elif self._job is None or job.version > self._job.version:
            self._job = job
        if job is None or job.is_final:
            self._ended.set()
        if self._gone or (self._job is not None and self._job.version > self._seen):
            self._news.set()

    async def next(self) -> Job | None:
        """Wait for a state that was not returned yet; None if the job is not there."""
        await self._news.wait()
        self._news.clear()
        if self._gone or self._job is None:
            return None
        self._seen = self._job.version
        return self._job

    async def pause(self, seconds: float) -> None:
        """Wait so long before the next state, but not longer than until the last one."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)


class Watcher:
    """Reads the jobs that anybody watches, when the store says that something changed."""

    def __init__(self, store: Store) -> None:
        """Watch `store`."""
        self._store = store
        self._watched: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._pump: asyncio.Task[None] | None = None
        self._newest: tuple[Job, int, float] | None = None

    def note(self, job: Job, cursor: int) -> None:
        """Take what an enqueue has answered, of any thread, with the count from before it."""
        self._newest = job, cursor, time.monotonic()

    async def subscribe(self, job_id: str, *, anew: bool = False) -> Subscription:
        """Begin to watch a job; its current state is the first that comes.

        That is read `anew`, or may be what an enqueue has just answered.
        """
        subscription = Subscription(job_id)
        # First listed, then read: a change in between is seen by the pump, or by this read.
        self._watched[job_id].add(subscription)
        cursor = self._store.cursor(Channel.CHANGED)
        try:
            fresh = None if anew else self._fresh(job_id, cursor)
            subscription.offer(fresh or await self._look(job_id))
        except BaseException:
            self.unsubscribe(subscription)
            raise
        if self._pump is None:
            self._pump = asyncio.create_task(self._run(cursor), name="offload-watcher")
        return subscription

    def _fresh(self, job_id: str, cursor: int) -> Job | None:
        """Return the job that was just enqueued, if nothing has changed in the store since.

        Who enqueues and waits for the result would else take processor time from the worker.
        """
        if self._newest is None:
            return None
        job, then, when = self._newest
        is_fresh = then == cursor and time.monotonic() < when + FRESH
        return job if job.id == job_id and is_fresh else None

    async def _look(self, job_id: str) -> Job | None:
        return (await self._store.get([job_id]))[0]

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop to watch; the last one to go stops the reading."""
        readers = self._watched[subscription.job_id]
        readers.discard(subscription)
        if not readers:
            del self._watched[subscription.job_id]
        if not self._watched:
            self.stop()

    def stop(self) -> None:
        """Read no more."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None

    async def _run(self, cursor: int) -> None:
        while True:
            await self._store.wait(Channel.CHANGED, cursor, SLOW_POLL)
            cursor = self._store.cursor(Channel.CHANGED)
            try:
                await self._read()
            except StoreError as error:
                log.warning("watched jobs cannot be read for now: %s", error)
                await asyncio.sleep(SLOW_POLL * (0.5 + random.random()))  # noqa: S311 - jitter

    async def _read(self) -> None:
        watched = list(self._watched)
        for job_id, job in zip(watched, await self._store.get(watched), strict=True):
            for subscription in self._watched.get(job_id, ()):
                subscription.offer(job)
