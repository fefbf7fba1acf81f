"""Takes jobs out of a program's database into the queue: each is stored first, then deleted.

A relay that dies in between leaves the row, and whoever comes next stores the job again, which is
once, for its id is known. So any number of relays may look after one outbox.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from offload.core.errors import OffloadError, PayloadError, StoreError, StoreRefused
from offload.core.job import Job, NewJob
from offload.transactions.links import Link
from offload.transactions.outbox import OutboxTable, OutRow
from offload.transactions.rows import job_of
from offload.transactions.sources import Source
from offload.transactions.statements import MARKERS, create, statements

log = logging.getLogger("offload.outbox")

EVERY = 0.4
"""Seconds between two looks, if nobody tells of a commit."""
LONGEST_REST = 5.0
"""Seconds between two looks while one of the two databases is away."""
MOST = 100
"""Rows that are taken at a time."""
LONGEST_WAIT = 300.0
"""Seconds after which a row that was refused is tried again, at the latest."""
PURGE_EVERY = 3600.0
FAREWELL = 5.0
"""Seconds that a look under way has to end."""

Enqueue = Callable[[Sequence[NewJob]], Awaitable[Sequence[Job]]]


class Relay:
    """One outbox of one queue, looked after by a thread or, if it needs it, on a loop."""

    def __init__(
        self, source: Source, table: OutboxTable, enqueue: Enqueue, keep_markers: float
    ) -> None:
        """Take from `table` to `enqueue`; markers are removed after `keep_markers` seconds."""
        self._source = source
        self._table = table
        self._enqueue = enqueue
        self._keep_markers = keep_markers
        self._purged = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._stopping = False
        self._ended = threading.Event()
        self._ended.set()
        self._starting = threading.Lock()
        self._task: asyncio.Task[None] | None = None

    # --- running -------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Begin to look, unless it has; on `loop`, if the database belongs to one."""
        with self._starting:
            if not self._is_over():
                return
            if not self._source.needs_loop:
                own = self._begin(asyncio.new_event_loop())
                threading.Thread(
                    target=self._in_thread, args=(own,), name="offload-relay", daemon=True
                ).start()
            elif loop is not None:
                self._begin(loop).call_soon_threadsafe(self._on_loop)

    def _is_over(self) -> bool:
        # A loop that was closed has ended nothing in order.
        return self._ended.is_set() or self._loop is None or self._loop.is_closed()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
        self._stopping = False
        self._woken = asyncio.Event()
        self._ended.clear()
        self._loop = loop
        return loop

    def _in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._run())
        finally:
            self._ended.set()

    def _on_loop(self) -> None:
        self._task = asyncio.create_task(self._run(), name="offload-relay")
        self._task.add_done_callback(lambda _: self._ended.set())

    def wake(self) -> None:
        """Look at once; called from any thread after a commit."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it was closed
                loop.call_soon_threadsafe(self._woken.set)

    def ask_to_stop(self) -> None:
        """Let it end after the look that is under way."""
        self._stopping = True
        self.wake()

    def join(self) -> None:
        """Wait until it has ended; whoever is on its own loop cannot."""
        with contextlib.suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                return
        if not self._is_over():
            self._ended.wait(FAREWELL)

    async def _run(self) -> None:
        failures = 0
        try:
            while not self._stopping:
                self._woken.clear()
                try:
                    is_more = await self.look()
                    failures = 0
                except Exception as error:  # noqa: BLE001 - of any library, or of the store
                    is_more, failures = False, failures + 1
                    log.warning("outbox %s: nothing was relayed (%s)", self._table.name, error)
                if not is_more and not self._stopping:
                    await self._rest(failures)
        finally:
            await self._source.close()

    async def _rest(self, failures: int) -> None:
        longest = min(LONGEST_REST, EVERY * 2**failures) if failures else EVERY
        jitter = random.random()  # noqa: S311 - spreads relays out, hides nothing
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), longest * (0.75 + jitter / 4))

    # --- one look ------------------------------------------------------------------------

    async def look(self) -> bool:
        """Relay the oldest rows, and say whether there may be more.

        Raises:
            Exception: of the database's library.
            StoreError: the queue's store is away; all rows stay.
        """
        async with self._source.link() as link:
            await self._prepare(link)
            rows = await self._table.due(link, _now(), MOST)
            await link.rollback()  # no transaction is open while the queue stores them
            if rows:
                await self._relay(link, rows)
            await self._purge(link)
        return len(rows) == MOST

    async def _prepare(self, link: Link) -> None:
        if not self._table.is_there:
            await link.begin()
            await self._table.create(link)
            await create(link, "create_markers", MARKERS)
            await link.commit()
            self._table.is_there = True

    async def _purge(self, link: Link) -> None:
        if time.monotonic() - self._purged < PURGE_EVERY:
            return
        self._purged = time.monotonic()
        await link.begin()
        before = _now() - round(self._keep_markers * 1000)
        await link.fetch(statements(link.dialect)["purge_markers"], {"before": before})
        await link.commit()

    async def _relay(self, link: Link, rows: Sequence[OutRow]) -> None:
        jobs, refused = _read(rows)
        try:
            await self._enqueue(list(jobs.values()))
        except OffloadError as error:
            if _is_outage(error):
                raise
            refused |= await self._one_by_one(jobs)
        stored = [row for row in rows if row not in refused]
        await link.begin()
        await self._table.remove(link, stored)
        for row, reason in refused.items():
            await self._defer(link, row, reason)
        await link.commit()

    async def _one_by_one(self, jobs: dict[OutRow, NewJob]) -> dict[OutRow, OffloadError]:
        """Enqueue each by itself, so that one that is refused holds up none; return those."""
        refused: dict[OutRow, OffloadError] = {}
        answers: dict[str, str] = {}
        for row, job in jobs.items():
            # Whoever waits for a job that was answered with another one, waits for that.
            parents = tuple(answers.get(parent, parent) for parent in job.depends_on)
            try:
                [stored] = await self._enqueue([replace(job, depends_on=parents)])
                answers[job.id] = stored.id
            except OffloadError as error:
                if _is_outage(error):
                    raise
                refused[row] = error
        return refused

    async def _defer(self, link: Link, row: OutRow, reason: OffloadError) -> None:
        wait = min(LONGEST_WAIT, 2.0 ** min(row.tries, 20))
        log.error(
            "outbox %s: job %s cannot be enqueued, and is tried again in %g s: %s",
            self._table.name, row.id, wait, reason,
        )  # fmt: skip
        text = f"{type(reason).__name__}: {reason}"
        await self._table.defer(link, row, _now() + round(wait * 1000), text)


def _read(rows: Sequence[OutRow]) -> tuple[dict[OutRow, NewJob], dict[OutRow, OffloadError]]:
    jobs: dict[OutRow, NewJob] = {}
    refused: dict[OutRow, OffloadError] = {}
    now = time.time_ns()
    for row in rows:
        try:
            jobs[row] = job_of(row.payload, (now - row.created_at) / 1e9)
        except PayloadError as error:
            refused[row] = error
    return jobs, refused


def _is_outage(error: OffloadError) -> bool:
    """Say whether the store, and not the job, is the reason."""
    return isinstance(error, StoreError) and not isinstance(error, StoreRefused)


def _now() -> int:
    return time.time_ns() // 1_000_000
