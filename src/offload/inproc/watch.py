"""Tells of coroutines that hold up the event loop, and of those that never begin."""

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Watched(Coroutine[Any, Any, None]):
    """What an asyncio task runs: the work, with each of its steps timed.

    A step is what runs from one real suspension to the next: the whole loop waits for it.
    """

    def __init__(
        self,
        work: Coroutine[Any, Any, None],
        limit: float,
        slow: Callable[[float], None],
        unbegun: Callable[[], None],
    ) -> None:
        """Call `slow` with the seconds of a step that takes longer than `limit`.

        `unbegun` is called if the work is cancelled before its first step: it cannot notice.
        """
        self._work = work
        self._limit = limit
        self._slow = slow
        self._unbegun: Callable[[], None] | None = unbegun

    def send(self, value: Any) -> Any:
        """Take a step."""
        self._unbegun = None
        began = time.perf_counter()
        try:
            return self._work.send(value)
        finally:
            self._tell(time.perf_counter() - began)

    def throw(self, *error: Any) -> Any:
        """Take a step that begins with an error."""
        if self._unbegun is not None:
            self._unbegun()
        began = time.perf_counter()
        try:
            return self._work.throw(*error)
        finally:
            self._tell(time.perf_counter() - began)

    def close(self) -> None:
        """End the work where it stands."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Do what awaiting the work itself would."""
        return self._work.__await__()

    def _tell(self, seconds: float) -> None:
        if seconds > self._limit:
            self._slow(seconds)
