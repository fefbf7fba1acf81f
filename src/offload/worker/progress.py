"""Stores what running functions say: in batches, in order, and before their jobs end."""

import asyncio
import logging
import threading
from collections.abc import Iterable

from offload.core.errors import StoreError, StoreRefused, StoreUnavailable
from offload.core.job import Job
from offload.core.records import LogLine, Report
from offload.store.base import Store
from offload.worker.runs import Key
from offload.worker.service import Inbox, Service

log = logging.getLogger("offload.worker")

PROGRESS_EVERY = 0.05
"""Seconds between two writes; what comes in between is merged."""
MOST_WAITING = 1024 * 1024
"""Bytes of one run's news that may wait; then who brings more has to wait."""
PATIENCE = 5.0
"""Seconds that a function waits for room: it may hold up an event loop."""
LINE_COST = 200
"""Bytes that a line or a part takes beside its text."""


class _News:
    """What waits of one run."""

    def __init__(self) -> None:
        self.said = Report("", 0)
        self.logs: list[LogLine] = []
        self.parts: list[bytes] = []
        self.left_out = 0
        self.size = 0

    def add(self, report: Report) -> None:
        """Merge what is newer; logs and parts follow each other."""
        self.said = Report(
            report.job_id,
            report.lease,
            self.said.progress if report.progress is None else report.progress,
            self.said.message if report.message is None else report.message,
            self.said.data if report.data is None else report.data,
        )
        self.logs += report.logs
        self.parts += report.parts
        self.size += _size(report)

    def report(self) -> Report:
        """Return all in one."""
        said, logs = self.said, tuple(self.logs)
        if self.left_out:
            note = f"{self.left_out:,} lines are left out: more was logged than could be stored"
            logs = (*logs, LogLine("warning", note))
        return Report(
            said.job_id, said.lease, said.progress, said.message, said.data, logs, (*self.parts,)
        )


class Progress(Service):
    """Keeps the news of all runs until they are stored; belongs to the control loop."""

    def __init__(self, store: Store) -> None:
        """Report to `store`."""
        super().__init__()
        self._store = store
        self._inbox = Inbox()
        self._room = threading.Condition()
        self._waiting: dict[Key, _News] = {}
        self._under_way: dict[Key, _News] = {}
        self._write = asyncio.Lock()
        self._stored = asyncio.Event()

    def report(self, report: Report) -> None:
        """Take news from any thread but the control loop's; see `Reporter`."""
        key = (report.job_id, report.lease)
        with self._room:
            if report.logs or report.parts:
                fits = self._room.wait_for(lambda: self._fits(key), self._patience(key))
                if not fits and report.parts:
                    raise StoreUnavailable(
                        f"job {report.job_id} publishes more than the store takes: nothing went "
                        f"out for {PATIENCE:g} s"
                    )
                if not fits:
                    self._waiting.setdefault(key, _News()).left_out += len(report.logs)
                    return
            self._take(key, report)

    async def relay(self, report: Report) -> None:
        """Take news on the control loop, and return when there is room for more."""
        key = (report.job_id, report.lease)
        with self._room:
            self._take(key, report)
        while not self._fits(key) and not self.stopping.is_set():
            self._stored.clear()
            await self.unless_stopping(self._stored.wait())

    async def flush(self, jobs: Iterable[Job]) -> None:
        """Store what these jobs have said, before their ends are.

        Raises:
            StoreError: it could not be stored; it is kept.
        """
        if not self._waiting and not self._under_way:
            return
        keys = {(job.id, job.lease) for job in jobs}
        if not keys.isdisjoint([*self._waiting, *self._under_way]):
            await self._store_news(keys)

    async def step(self) -> None:
        """Write what is new, then rest a little so that a busy task costs few writes."""
        await self.unless_stopping(self._inbox.wait())
        if self._waiting:
            await self._store_news(None)
            await self.unless_stopping(asyncio.sleep(PROGRESS_EVERY))

    def _take(self, key: Key, report: Report) -> None:
        news = self._waiting.get(key)
        if news is None:
            news = self._waiting[key] = _News()
            self._inbox.ring()
        news.add(report)

    def _patience(self, key: Key) -> float:
        # Who has waited in vain for room for a line does not wait again with each further one.
        news = self._waiting.get(key)
        return 0 if news is not None and news.left_out else PATIENCE

    def _fits(self, key: Key) -> bool:
        held = (self._waiting.get(key), self._under_way.get(key))
        return sum(news.size for news in held if news is not None) < MOST_WAITING

    async def _store_news(self, keys: set[Key] | None) -> None:
        """Store the news of these runs, or of all; one at a time, for their order."""
        async with self._write:
            with self._room:
                chosen = list(self._waiting) if keys is None else keys & self._waiting.keys()
                self._under_way = {key: self._waiting.pop(key) for key in chosen}
            try:
                await self._send([news.report() for news in self._under_way.values()])
            except StoreError:
                self._take_back()
                raise
            with self._room:
                self._under_way = {}
                self._room.notify_all()
            self._stored.set()

    async def _send(self, reports: list[Report]) -> None:
        try:
            await self._store.report(reports)
        except StoreRefused as error:
            # What one run said must not hold up the others, nor be tried for ever.
            if len(reports) > 1:
                for report in reports:
                    await self._send([report])
            elif reports:
                log.warning("news of job %s are dropped: %s", reports[0].job_id, error)

    def _take_back(self) -> None:
        with self._room:
            for key, news in self._under_way.items():
                newer = self._waiting.get(key)
                if newer is not None:
                    news.add(newer.report())
                self._waiting[key] = news
            self._under_way = {}
        self._inbox.ring()


def _size(report: Report) -> int:
    lines = sum(LINE_COST + len(line.message) + len(str(line.extra or "")) for line in report.logs)
    return lines + sum(LINE_COST + len(part) for part in report.parts)
