"""A worker: the services that claim, run and finish jobs, and how they start and stop."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from offload.core.decide import Outcome, Released
from offload.core.errors import ConfigurationError, StoreError
from offload.core.job import Job
from offload.core.records import Report
from offload.store.base import Beat, Store
from offload.tasks.registry import Registry
from offload.worker.completer import Completer
from offload.worker.crew import Crew, CrewOptions
from offload.worker.executors import AsyncExecutor, Executor, ThreadExecutor
from offload.worker.fetcher import Fetcher
from offload.worker.hooks import Teller
from offload.worker.janitor import Janitor
from offload.worker.pace import PATIENCE, Pace
from offload.worker.processes import ProcessExecutor
from offload.worker.progress import Progress
from offload.worker.pulse import Pulse
from offload.worker.run import STRANGE_AGAIN, Run, Stop
from offload.worker.runs import Line, Runs, in_lines
from offload.worker.service import Service
from offload.worker.steward import Steward
from offload.worker.timekeeper import Timekeeper

log = logging.getLogger("offload.worker")

HARD_AFTER = 10.0
"""Seconds that a run has to end by itself after its timeout, before it is cut off."""
FAREWELL = 0.5
"""Seconds that functions have to stop when the grace is over."""
LAST_WORDS = 5.0
"""Seconds that hooks have for what is still to be told when the worker ends."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works; times in seconds."""

    concurrency: int = 4
    queues: Sequence[str] | None = None
    """None serves every queue."""
    lease: float = 30.0
    heartbeat: float = 5.0
    grace: float = 30.0
    result_ttl: float | None = None
    url: str | None = None
    """Where another process finds the store, to beat from there; None if none can."""
    crew: CrewOptions | None = None
    """How functions run in processes of their own; None runs them in this one."""


class Worker:
    """One incarnation: it lives on the control loop and is run once."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        options: WorkerOptions,
        user_loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Run the tasks of `registry`; coroutines that run in this process do so on `user_loop`."""
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._store = store
        self._registry = registry
        self._options = options
        self._runs = Runs()
        self._pace = Pace()
        self._progress = Progress(store)
        self._teller = Teller(registry.hooks, user_loop)
        self._completer = Completer(
            store, self._runs, self._pace, self._progress, self._teller.stored
        )
        self._pulse: Pulse | None = None
        self._broken: str | None = None
        self._executors = self._hands(user_loop)
        self._beat = Beat(
            worker=self.id,
            lease=options.lease,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=None if options.queues is None else tuple(options.queues),
            concurrency=options.concurrency,
        )
        if options.url is not None:
            blames = options.crew is None
            self._pulse = Pulse(options.url, self._beat, options.heartbeat, blames=blames)
        timekeeper = Timekeeper(store, registry)
        self._services: list[Service] = [self._completer, self._progress, timekeeper]

    def _hands(self, user_loop: asyncio.AbstractEventLoop) -> dict[str, Executor]:
        options = self._options
        processes = ProcessExecutor(self._progress.relay, self._turning)
        if options.crew is not None:
            crew = Crew(
                options.crew, options.lease, self._runs.resize, self._progress.relay, self._turning,
                give_up=self._give_up,
            )  # fmt: skip
            return {"async": crew, "thread": crew, "process": processes}
        self._runs.resize(options.concurrency)
        return {
            "async": AsyncExecutor(user_loop),
            "thread": ThreadExecutor(options.concurrency),
            "process": processes,
        }

    @property
    def _reserve(self) -> int:
        # Members keep their lines waiting; in this process they would all run at once.
        crew = self._options.crew
        return 0 if crew is None else crew.processes * crew.setup.slots

    def _give_up(self, reason: str) -> None:
        self._broken = reason
        self._stop.set()

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Work until `stop`, then finish what runs within the grace, or until `hurry`.

        Raises:
            ConfigurationError: the processes of its crew could not import the application.
        """
        self._loop = asyncio.get_running_loop()
        self._stop = stop
        queues = self._options.queues
        fetcher = Fetcher(
            self._store, self.id, queues, self._launch,
            runs=self._runs, pace=self._pace, reserve=self._reserve,
        )  # fmt: skip
        steward = Steward(
            self._store, self._beat, self._options.heartbeat, self._runs, self._executors
        )
        janitor = Janitor(self._store, lambda: steward.may_judge, self._options.result_ttl)
        await steward.register(stop)
        services = [*self._services, steward, janitor]
        own = set(self._executors.values())
        services += [executor for executor in own if isinstance(executor, Service)]
        try:
            async with self._beating(), asyncio.TaskGroup() as group:
                for service in services:
                    name = f"offload-{type(service).__name__.lower()}"
                    group.create_task(service.run(), name=name)
                fetching = group.create_task(fetcher.run(), name="offload-fetcher")
                log.info("worker %s started", self.id)
                await stop.wait()
                fetcher.stopping.set()
                await fetching  # a claim under way still brings jobs, which the drain must see
                await self._drain(hurry)
                for service in services:
                    service.stopping.set()  # the group waits for them
        finally:
            # Also when a service died of a bug: what is left lapses now, not after a lease.
            self._progress.stopping.set()
            for executor in own:
                await executor.close()
            with contextlib.suppress(StoreError):
                await self._store.retire(self.id)
            await self._teller.close(LAST_WORDS)
        log.info("worker %s stopped", self.id)
        if self._broken is not None:
            raise ConfigurationError(self._broken)

    @contextlib.asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        if self._pulse is None:
            yield
            return
        await self._pulse.start()
        tasks = [
            asyncio.create_task(self._pulse.keep(), name="offload-pulse"),
            asyncio.create_task(self._keep_turning(), name="offload-ping"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pulse.stop()

    async def _keep_turning(self) -> None:
        # Apart from the steward, whose own beat may have to wait for a store that is blocked.
        while True:
            self._turning()
            await asyncio.sleep(self._options.heartbeat)

    def _turning(self) -> None:
        if self._pulse is not None:
            executors = set(self._executors.values())
            self._pulse.ping(pid for executor in executors for pid in executor.kin())

    # --- runs ----------------------------------------------------------------------------

    def _launch(self, jobs: list[Job], most: int | None) -> None:
        """Start the jobs, in as many lines as there are free slots, and in `most` at most."""
        runs = [run for job in jobs if (run := self._run_of(job)) is not None]
        lines, left = in_lines(runs, self._runs.free, self._runs.spare, most)
        for sharing in lines:
            line = Line(sharing, self._loop.time())
            self._runs.add(line)
            if len(sharing) > 1:
                sharing[-1].timers = (self._loop.call_later(PATIENCE, line.cut),)
            self._hand_over(sharing[0])
        if left:
            self._pace.slow_down()
        for run in left:
            run.end_unbegun(Released())

    def _run_of(self, job: Job) -> Run | None:
        task = self._registry.find(job.task)
        if task is None:
            known = ", ".join(sorted(task.name for task in self._registry)) or "none"
            log.warning(
                "job %s is given back: no task named %r is known to this worker (known: %s)",
                job.id, job.task, known,
            )  # fmt: skip
            # While a new version is rolled out, some workers know tasks that others do not.
            self._completer.ended(job, Released(STRANGE_AGAIN))
            return None
        return Run(job, task, self)

    def _hand_over(self, run: Run) -> None:
        self._executors[run.task.executor].start(run)

    def start(self, run: Run) -> None:
        """See `Owner`."""
        self._loop.call_soon_threadsafe(self._hand_over, run)

    def begun(self, run: Run) -> None:
        """See `Owner`."""
        self._teller.started(run.job)
        if run.job.timeout is not None:
            self._loop.call_soon_threadsafe(self._start_timers, run, run.job.timeout)

    def said(self, run: Run, report: Report) -> None:  # noqa: ARG002 - it names its run
        """See `Owner`."""
        self._progress.report(report)

    def ended(self, run: Run, outcome: Outcome) -> None:
        """See `Owner`."""
        self._completer.ended(run.job, outcome, run.ran, run.memory)

    def _start_timers(self, run: Run, timeout: float) -> None:
        if not run.is_over:
            run.timers += (
                self._loop.call_later(timeout, self._time_is_up, run),
                self._loop.call_later(timeout + HARD_AFTER, self._cut_off, run),
            )

    def _time_is_up(self, run: Run) -> None:
        if run.stop is None:
            run.ask(Stop.TIMEOUT)
            self._executors[run.task.executor].stop(run)

    def _cut_off(self, run: Run) -> None:
        if run.end(run.overdue(", and did not stop")):
            self._executors[run.task.executor].abandon(run)

    # --- the end -------------------------------------------------------------------------

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Let runs finish within the grace; give back what is left, no attempt used."""
        if running := sum(1 for _ in self._runs):
            log.info("jobs still running: %d; they have %g s", running, self._options.grace)
        await self._emptied(self._options.grace, hurry)
        left = list(self._runs)
        for run in left:
            if run.stop is None:
                run.ask(Stop.SHUTDOWN)
                self._executors[run.task.executor].stop(run)
        await self._emptied(FAREWELL)
        for run in left:
            if run.end(Released()):
                log.warning("job %s (%s) is given back unfinished", run.job.id, run.job.task)
                self._executors[run.task.executor].abandon(run)
        await self._emptied(FAREWELL)

    async def _emptied(self, seconds: float, hurry: asyncio.Event | None = None) -> None:
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._runs.empty())]
        if hurry is not None:
            waits.append(asyncio.create_task(hurry.wait()))
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
