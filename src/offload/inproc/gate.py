"""Lets requests in only while there is room for what they may schedule."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable


class Gate:
    """Requests wait in the order in which they came; each that is inside keeps one place."""

    def __init__(self, room: Callable[[], int]) -> None:
        """Let as many in as `room()` says."""
        self._room = room
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Return when there is room; `leave` must follow."""
        if not self._line and self._room() > self._inside:
            self._inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Free the place of a request that schedules nothing more."""
        self._inside -= 1
        self.look()

    def look(self) -> None:
        """Let in whom there is room for now."""
        while self._line and self._room() > self._inside:
            turn = self._line.popleft()
            if not turn.done():
                self._inside += 1
                settle(turn)


def settle(future: "asyncio.Future[None]") -> None:
    """Set a future's result, from any thread, unless it is done or its loop is gone."""
    with contextlib.suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(_set, future)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
