"""Lets requests in only while there is room for what they may schedule."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable


class Gate:
    """Requests wait in the order in which they came; each that is inside keeps one place."""

    def __init__(self, room: Callable[[], int], lock: threading.RLock) -> None:
        """Let as many in as `room()` says, which is asked with `lock` held."""
        self._room = room
        self._lock = lock
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Return when there is room; `leave` must follow."""
        with self._lock:
            if not self._line and self._room() > self._inside:
                self._inside += 1
                return
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def leave(self) -> None:
        """Free the place of a request that schedules nothing more."""
        with self._lock:
            self._inside -= 1
            self.look()

    def look(self) -> None:
        """Let in whom there is room for now."""
        if not self._line:
            return
        with self._lock:
            while self._line and self._room() > self._inside:
                self._inside += 1
                settle(self._line.popleft())

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        with self._lock:
            if turn in self._line:
                self._line.remove(turn)
            else:  # it has its place already, whether it heard of that or not
                self.leave()


def settle(future: "asyncio.Future[None]") -> None:
    """Set a future's result, from any thread, unless it is done or its loop is gone."""
    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(_set, future)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
