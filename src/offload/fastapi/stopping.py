"""Tells open responses that the server has been asked to stop.

A server first waits for its open responses and only then ends the application's lifespan, so
a response that lasts as long as its job would hold Ctrl-C for ever, and the lifespan would
learn of it too late. The news travels by signal, so this listens there: it puts a handler in
front of the one that the server has installed, and calls that one next.

A server that is stopped without a signal (a request limit, a thread that sets a flag) tells
nobody; there only its own limit for a graceful shutdown ends a stream.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any]
_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Whether this process has been asked to stop, and a way to wait no longer than that."""

    def __init__(self) -> None:
        self.asked = False
        self._holders = 0
        self._previous: dict[int, _Handler] = {}
        self._waiters: set[_Waiter] = set()
        # `self._note` makes a new object each time; what was installed must be recognised.
        self._handler: _Handler = self._note

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Listen while the block runs; blocks may nest and overlap.

        Only the main thread is given signals: anywhere else this does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._hold()
        try:
            yield
        finally:
            self._release()

    async def wait(self, work: "asyncio.Future[Any]", limit: float | None = None) -> None:
        """Return when `work` is done, after `limit` seconds, or when asked to stop.

        `work` is neither cancelled nor asked for its result.
        """
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[None] = loop.create_future()
        waiter = (loop, asked)
        self._waiters.add(waiter)
        try:
            # After it is in the set, so that a signal between the two is not missed.
            if not self.asked:
                first = asyncio.FIRST_COMPLETED
                await asyncio.wait({work, asked}, timeout=limit, return_when=first)
        finally:
            self._waiters.discard(waiter)
            asked.cancel()

    def _hold(self) -> None:
        self._holders += 1
        if self._holders > 1:
            return
        for number in SIGNALS:
            # The system's default and "ignore" are no functions: nobody there to call next.
            if callable(previous := signal.getsignal(number)):
                self._previous[number] = previous
                signal.signal(number, self._handler)

    def _release(self) -> None:
        self._holders -= 1
        if self._holders:
            return
        for number, previous in self._previous.items():
            # Whoever came after us keeps the place, and may go on calling us.
            if signal.getsignal(number) == self._handler:
                signal.signal(number, previous)
        self._previous.clear()
        self.asked = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: it may arrive between any two steps, so it takes no lock."""
        self.asked = True
        for loop, asked in tuple(self._waiters):
            with contextlib.suppress(RuntimeError):  # a loop that is closed by now
                loop.call_soon_threadsafe(_settle, asked)
        if previous := self._previous.get(number):
            previous(number, frame)


def _settle(asked: "asyncio.Future[None]") -> None:
    if not asked.done():
        asked.set_result(None)


STOPPING = Stopping()
"""The one of this process, for signals belong to the process."""
