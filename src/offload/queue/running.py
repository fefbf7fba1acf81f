"""A worker between two loops: the user's, where its coroutines run, and the store's."""

import asyncio
import contextlib
import logging
import random
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator

from offload.core.errors import ConfigurationError, StoreUnavailable
from offload.store.base import Store
from offload.tasks.registry import Registry
from offload.worker.worker import Worker, WorkerOptions

log = logging.getLogger("offload.worker")

REST = 1.0

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Running:
    """Carries the wish to stop to a worker, which lives on the store's loop."""

    def __init__(
        self, registry: Registry, options: WorkerOptions, user_loop: asyncio.AbstractEventLoop
    ) -> None:
        """Prepare a worker whose coroutines run on `user_loop`, unless it has a crew."""
        self._registry = registry
        self._options = options
        self._user_loop = user_loop
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._control: asyncio.AbstractEventLoop | None = None
        self._asks = 0

    async def work(self, store: Store) -> None:
        """Run the worker; this is called on the store's loop.

        Raises:
            ConfigurationError: its crew could not import the application, so it has stopped.
        """
        self._control = asyncio.get_running_loop()
        worker = Worker(store, self._registry, self._options, self._user_loop)
        await worker.run(self._stop, self._hurry)

    async def opened(self, opening: Callable[[], Awaitable[None]]) -> bool:
        """Open the store, however long it is away; False if the worker was asked to stop first."""
        while not self._asks:
            try:
                await opening()
            except StoreUnavailable as error:
                log.warning("the store is away (%s)", error)
                await asyncio.sleep(REST * (0.5 + random.random()))  # noqa: S311 - jitter
            else:
                return True
        return False

    def ask_to_stop(self) -> None:
        """Let the worker end, the second time without grace."""
        event = self._hurry if self._asks else self._stop
        self._asks += 1
        if self._control is None:
            event.set()  # nobody waits for it yet
        else:
            self._control.call_soon_threadsafe(event.set)

    async def watch(self, working: "asyncio.Task[None]", stop: asyncio.Event) -> None:
        """Wait for the worker's end, and ask it to stop when `stop` is set.

        Cancelling this stops the worker in a hurry and waits for it: a worker that is just
        dropped would leave its jobs to the next lease.
        """
        asked = asyncio.create_task(self._ask_after(stop))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            self.ask_to_stop()
            self.ask_to_stop()  # the second time without grace
            await working
            raise
        finally:
            asked.cancel()

    async def _ask_after(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.ask_to_stop()


@contextlib.contextmanager
def stop_signals(ask: Callable[[], None]) -> Iterator[None]:
    """Call `ask` on each SIGINT and SIGTERM while the running loop turns.

    Raises:
        ConfigurationError: this is not the main thread, where signals arrive.
    """
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            "signals arrive only in the main thread: here, await "
            "queue.arun_worker(stop, install_signals=False)"
        )
    # The loop's own way, which wakes it whatever thread the kernel gives the signal to.
    for number in SIGNALS:
        loop.add_signal_handler(number, ask)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
