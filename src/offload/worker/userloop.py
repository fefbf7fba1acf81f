"""The event loop of async tasks, where it has a thread of its own."""

import asyncio
import contextlib
import threading
from types import TracebackType

FAREWELL = 0.5
"""Seconds that coroutines have to end when their loop is closed."""


class UserLoop:
    """An event loop for async tasks, in a thread that nobody has to wait for."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="offload-user", daemon=True
        )

    def __enter__(self) -> asyncio.AbstractEventLoop:
        """Start the loop."""
        self._thread.start()
        return self._loop

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Cancel what is left and stop the loop, unless a coroutine blocks it."""
        ending = asyncio.run_coroutine_threadsafe(_end_tasks(), self._loop)
        with contextlib.suppress(TimeoutError):
            ending.result(2 * FAREWELL)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _end_tasks() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=FAREWELL)
    await asyncio.get_running_loop().shutdown_asyncgens()
