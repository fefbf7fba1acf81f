"""An event loop whose time passes only when everybody waits, and then at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NoWaiting(selectors.SelectSelector):
    """Moves the clock of its loop to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return that no file is ready.

        Raises:
            RuntimeError: nobody waits for a time, so nothing would ever happen again.
        """
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs as fast as its callbacks do; an hour of waiting takes no time."""

    def __init__(self) -> None:
        """Begin at 0 seconds."""
        self._passing = _NoWaiting()
        super().__init__(self._passing)

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._passing.now


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
