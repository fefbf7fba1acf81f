"""The one way in which synchronous methods are made: each is the twin of an async one."""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Bridged(Protocol):
    """An object whose async methods can be run for a synchronous caller."""

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T: ...


S = TypeVar("S", bound=Bridged)


def blocking(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], T]:
    """Return the twin of an async method, which blocks its thread until the other is done."""

    def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(method(self, *args, **kwargs))

    return _named(twin, method)


def iterating(
    method: Callable[Concatenate[S, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[S, P], Generator[T, None, None]]:
    """Return the twin of an async generator method, which blocks until the next value is there."""

    def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        values = method(self, *args, **kwargs)

        async def following() -> list[T]:
            # A list, for a value may be None, and an end is no error.
            async for value in values:
                return [value]
            return []

        try:
            while found := self._run(following()):
                yield found[0]
        finally:
            self._run(values.aclose())

    return _named(twin, method)


F = TypeVar("F", bound=Callable[..., object])


def _named(twin: F, method: Callable[..., object]) -> F:
    update_wrapper(twin, method)
    twin.__name__ = method.__name__.removeprefix("a")
    twin.__qualname__ = method.__qualname__.removesuffix(method.__name__) + twin.__name__
    twin.__doc__ = f"Blocking twin of `{method.__name__}`.\n\n{inspect.getdoc(method)}"
    return twin
