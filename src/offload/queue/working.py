"""The part of `Queue` that runs a worker."""

import asyncio
import gc
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import cast

from offload.core.errors import ConfigurationError
from offload.core.options import NAME, SECONDS, SOME, Valid, is_number, require
from offload.queue.base import Base
from offload.queue.running import Running, stop_signals
from offload.store.base import Store
from offload.store.loop import running_loop
from offload.worker.crew import CrewOptions
from offload.worker.userloop import UserLoop
from offload.worker.worker import WorkerOptions

GRACE: Valid = (SECONDS[0], lambda value: is_number(value) and cast("float", value) >= 0)
"""Also infinity: however long they take."""


class Working(Base):
    """See `Queue`."""

    store: Store
    workers: int
    result_ttl: float | None
    _lease: float
    _heartbeat: float

    def run_worker(
        self,
        *,
        concurrency: int | None = None,
        queues: Sequence[str] | None = None,
        grace: float = 30.0,
        crew: CrewOptions | None = None,
    ) -> None:
        """Work in this process until Ctrl-C or SIGTERM, then finish what runs and return.

        Running jobs have `grace` seconds; what is left is given back without using an attempt.
        A second signal ends the grace. It returns in time whatever the tasks do: async tasks
        run on a loop in another thread, and one that blocks it is left behind. With `crew`,
        which the command gives, functions run in processes of their own.

        Raises:
            ConfigurationError: `queues` or `concurrency` make no sense, an event loop runs on
                this thread, or a process of the crew could not import the application.
        """
        if running_loop() is not None:
            raise ConfigurationError("an event loop runs here: await queue.arun_worker()")
        options = replace(self._worker_options(concurrency, queues, grace), crew=crew)

        if crew is not None:
            # The application stays as long as this process, which makes and drops thousands of
            # small objects a second: the collector need not look through it each time.
            gc.freeze()

        async def waiting() -> None:
            with UserLoop() as loop:
                self._client.outboxes.start(loop)
                running = Running(self.tasks, options, loop)
                with stop_signals(running.ask_to_stop):
                    await self._work(running)

        asyncio.run(waiting())

    async def arun_worker(
        self,
        stop: asyncio.Event | None = None,
        *,
        concurrency: int | None = None,
        queues: Sequence[str] | None = None,
        grace: float = 30.0,
        install_signals: bool = True,
    ) -> None:
        """Work until `stop` is set or, with `install_signals`, a SIGINT or SIGTERM comes.

        Async tasks run on the loop that awaits this. The end is that of `run_worker`; to cancel
        this is to end it without grace.

        Raises:
            ConfigurationError: `queues` or `concurrency` make no sense.
        """
        options = self._worker_options(concurrency, queues, grace)
        if stop is not None and not iscoroutinefunction(getattr(stop, "wait", None)):
            raise ConfigurationError(f"stop={stop!r}: must be an asyncio.Event")
        self._client.outboxes.start(asyncio.get_running_loop())
        running = Running(self.tasks, options, asyncio.get_running_loop())
        signals = stop_signals(running.ask_to_stop) if install_signals else nullcontext()
        with signals:
            working = asyncio.create_task(self._work(running))
            await running.watch(working, stop or asyncio.Event())

    async def _work(self, running: Running) -> None:
        async def nothing(_: Store) -> None: ...

        if await running.opened(lambda: self._client.call_on_loop(nothing)):
            await self._client.call_on_loop(running.work)

    def _worker_options(
        self, concurrency: int | None, queues: Sequence[str] | None, grace: float
    ) -> WorkerOptions:
        if concurrency is not None:
            require("concurrency", concurrency, SOME)
        if queues is not None and not _are_names(queues):
            raise ConfigurationError(f"queues={queues!r}: give a list of names, or None for all")
        require("grace", grace, GRACE)
        return WorkerOptions(
            concurrency=concurrency or self.workers,
            queues=queues,
            lease=self._lease,
            heartbeat=self._heartbeat,
            grace=grace,
            result_ttl=self.result_ttl,
            url=self.store.capabilities.url,
        )


def _are_names(queues: object) -> bool:
    if isinstance(queues, str) or not isinstance(queues, Collection):
        return False
    return bool(queues) and all(map(NAME[1], queues))
