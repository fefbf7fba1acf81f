"""Threads for plain functions: `def` endpoints have their own, and none holds up an exit."""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

IDLE = 10.0
"""Seconds after which a thread without work goes."""

_Call = tuple[contextvars.Context, Callable[[], Any], "asyncio.Future[Any]"]


class Threads:
    """Daemon threads, as many as there are calls; whoever calls keeps that in bounds.

    They are ours, not `concurrent.futures`' or anyio's, because the interpreter waits for those
    when it ends, and a function that hangs must not hold that up.
    """

    def __init__(self) -> None:
        """Have none yet."""
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def call(
        self, context: contextvars.Context, function: Callable[[], Any]
    ) -> "asyncio.Future[Any]":
        """Call a function in a thread, in `context`; return its future, of the running loop."""
        future = asyncio.get_running_loop().create_future()
        self._calls.put((context, function, future))
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                threading.Thread(target=self._work, name="offload-request", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            try:
                context, function, future = self._calls.get(timeout=IDLE)
            except queue.Empty:
                with self._lock:
                    # A call that came meanwhile has counted on this thread.
                    if self._idle:
                        self._idle -= 1
                        return
                continue
            try:
                value, error = context.run(function), None
            except BaseException as raised:  # noqa: BLE001 - SystemExit must not end the thread
                value, error = None, raised
            with self._lock:
                self._idle += 1
            _settle(future, value, error)
            del context, function, future, value, error  # what a thread holds while it waits


def _settle(future: "asyncio.Future[Any]", value: object, error: BaseException | None) -> None:
    def settle() -> None:
        if future.done():  # nobody waits for it any more
            return
        if isinstance(error, StopIteration):  # a future refuses it, it would end a generator
            future.set_exception(RuntimeError(f"the function raised {error!r}"))
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    with contextlib.suppress(RuntimeError):  # the loop has been closed, so nobody waits
        future.get_loop().call_soon_threadsafe(settle)
