"""The event loop that a queue keeps for its store, and the one bridge from synchronous code.

User code never runs on this loop. So `delay()` may block the thread it is called on, whatever
that thread is (a request handler's event loop, a task, a plain script), and cannot deadlock.

The bridge is `drive`: it runs a coroutine on the calling thread, in one go. Whatever the
coroutine awaits blocks that thread instead (see `is_driven`): the store's own threads answer it
directly, and what needs an event loop runs on this one meanwhile.
"""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from offload.core.errors import OffloadError, StoreUnavailable

T = TypeVar("T")

CLOSED = "the queue was closed meanwhile"

_here = threading.local()


def is_driven() -> bool:
    """Say whether the code that asks is driven, and so has to block where it would await."""
    return getattr(_here, "driven", False)


@contextlib.contextmanager
def undriven() -> Iterator[None]:
    """Run code of others in the block, which may let an event loop of this thread go on."""
    outer, _here.driven = is_driven(), False
    try:
        yield
    finally:
        _here.driven = outer


async def settled(value: Any) -> Any:
    """Return a value, or what it gives when it has to be awaited."""
    return await value if inspect.isawaitable(value) else value


class IOLoop:
    """An event loop in a daemon thread, started when it is first needed."""

    def __init__(self) -> None:
        """Start nothing yet: a queue at module level costs no thread until it is used."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on this thread and block it until the end.

        Raises:
            OffloadError: called on the loop itself, which would wait for itself for ever.
        """
        if self._loop is not None and running_loop() is self._loop:
            coroutine.close()
            raise OffloadError("a synchronous call on the queue's own event loop: await its a-twin")
        outer, _here.driven = is_driven(), True
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            _here.driven = outer
            coroutine.close()
        raise OffloadError("a driven coroutine awaited what only an event loop can give")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and block this thread until it is done."""
        loop = self._started()
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        except CancelledError:
            raise StoreUnavailable(CLOSED) from None
        except BaseException:
            future.cancel()
            raise

    async def arun(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and await it from whatever loop this is, or driven."""
        if is_driven():
            return self.run(coroutine)
        loop = self._started()
        if asyncio.get_running_loop() is loop:
            return await coroutine
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise StoreUnavailable(CLOSED) from None

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call `function` on the loop soon, if there still is one."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """End the loop and its thread, and with it whoever waits; the next call starts anew."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                asyncio.run_coroutine_threadsafe(_cancel_the_rest(), loop).result()
                loop.call_soon_threadsafe(loop.stop)
                self._thread.join()
                loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="offload-io", daemon=True
                )
                self._thread.start()
            return self._loop


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of this thread; None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
