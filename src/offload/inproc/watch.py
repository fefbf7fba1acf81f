"""Tells of coroutines that hold up the event loop."""

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Watched(Generic[T]):
    """An awaitable that does what a coroutine does, and times each of its steps.

    A step is what runs from one real suspension to the next: the whole loop waits for it.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], limit: float, tell: Callable[[float], None]
    ) -> None:
        """Tell of each step that takes longer than `limit` seconds."""
        self._coroutine = coroutine
        self._limit = limit
        self._tell = tell

    def __await__(self) -> Generator[Any, Any, T]:
        """Pass on what the coroutine yields, and what is thrown into it."""
        thrown: BaseException | None = None
        while True:
            began = time.perf_counter()
            try:
                if thrown is None:
                    yielded = self._coroutine.send(None)
                else:
                    yielded = self._coroutine.throw(thrown)
            except StopIteration as end:
                return cast("T", end.value)
            finally:
                took = time.perf_counter() - began
                if took > self._limit:
                    self._tell(took)
            try:
                yield yielded
                thrown = None
            except BaseException as error:  # noqa: BLE001 - the loop's, for the coroutine
                thrown = error
