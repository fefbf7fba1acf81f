"""Tells of coroutines that hold up the event loop, and of those that never begin."""

from collections.abc import Coroutine, Generator
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Watcher(Protocol[T_contra]):
    """Who is told."""

    slow_step: float
    """From how many seconds on a step is told of."""

    def slow(self, whose: T_contra, seconds: float) -> None:
        """Hear of a slow step."""

    def unbegun(self, whose: T_contra) -> None:
        """Hear of work that was cancelled before its first step: it cannot notice."""


class Watched(Coroutine[Any, Any, None], Generic[T]):
    """What an asyncio task runs: the work, with each of its steps timed.

    A step is what runs from one real suspension to the next: the whole loop waits for it.
    """

    def __init__(self, work: Coroutine[Any, Any, None], whose: T, watcher: Watcher[T]) -> None:
        """Tell `watcher` of what the work of `whose` does."""
        self._work = work
        self._whose = whose
        self._watcher = watcher
        self._has_begun = False

    def send(self, value: Any) -> Any:
        """Take a step."""
        self._has_begun = True
        began = perf_counter()
        try:
            return self._work.send(value)
        finally:
            if perf_counter() - began > self._watcher.slow_step:
                self._watcher.slow(self._whose, perf_counter() - began)

    def throw(self, *error: Any) -> Any:
        """Take a step that begins with an error."""
        if not self._has_begun:
            self._watcher.unbegun(self._whose)
        began = perf_counter()
        try:
            return self._work.throw(*error)
        finally:
            if perf_counter() - began > self._watcher.slow_step:
                self._watcher.slow(self._whose, perf_counter() - began)

    def close(self) -> None:
        """End the work where it stands."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Do what awaiting the work itself would."""
        return self._work.__await__()
