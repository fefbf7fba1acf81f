"""What a function must be to become a task, and the name that it gets."""

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from offload.core.errors import ConfigurationError, TaskDefinitionError
from offload.core.lane import Lane, interval_of
from offload.core.options import NAME, Options, require
from offload.core.unique import Unique
from offload.tasks.limits import Limits

Errors = type[BaseException] | Sequence[type[BaseException]]


class TaskOptions(Options, total=False):
    """What can be said on the task, some of it only there."""

    executor: str | None
    """async, thread or process; by default async for `async def`, else thread."""
    retry_on: Errors | None
    """Only these errors are retried; any other ends the job as `failed`."""
    no_retry_on: Errors | None
    """These are not retried; it comes before `retry_on`."""
    rate_limit: str | None
    """How often a job of the task may start, over all workers: "10/s", "100/m", "5/h"."""
    max_concurrency: int | None
    """How many may run at once, over all workers."""
    limit_key: Callable[..., object] | str | None
    """Splits both limits by the value of an argument, or by what a function of all of them says."""
    limits: Limits | None
    """What its process may take; for executor="process"."""


def default_name(function: Callable[..., object]) -> str:
    """Return `module.qualname`; a script run as `__main__` counts by its file's name."""
    module = function.__module__
    if module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(path).stem if path else module
    return f"{module}.{function.__qualname__}"


def require_function(function: object, name: object) -> None:
    """Return if a task can be made of this, under that name.

    Raises:
        TaskDefinitionError: it is no function, or one without a name.
        ConfigurationError: the name is no text.
    """
    if not callable(function):
        raise TaskDefinitionError(
            f"{function!r} is no function: write @queue.task, or @queue.task(name=…)"
        )
    if name:
        require("name", name, NAME)
    elif not hasattr(function, "__qualname__"):
        raise TaskDefinitionError(f"{function!r} has no name of its own: give name=…")


def executor_of(function: Callable[..., object], options: TaskOptions) -> str:
    """Return where `function` runs: as asked, else by what it is.

    Raises:
        TaskDefinitionError: it cannot run there.
    """
    asynchronous = inspect.iscoroutinefunction(function)
    wanted = options.get("executor") or ("async" if asynchronous else "thread")
    if asynchronous != (wanted == "async"):
        kind = "an async function" if asynchronous else "a plain function"
        raise TaskDefinitionError(
            f"executor={wanted!r} cannot run {kind} ({function.__qualname__})"
        )
    if wanted == "process" and "<locals>" in function.__qualname__:
        raise TaskDefinitionError(
            f"{function.__qualname__}: a process task must stand at module level, "
            "where its process can import it"
        )
    return wanted


def limits_of(executor: str, options: TaskOptions) -> Limits | None:
    """Return the limits of the task's process.

    Raises:
        ConfigurationError: they are none, or there is no process of its own to limit.
    """
    limits = options.get("limits")
    if limits is not None and not isinstance(limits, Limits):
        raise ConfigurationError(f"limits={limits!r}: must be Limits(memory=…, cpu=…, network=…)")
    if limits is not None and executor != "process":
        raise TaskDefinitionError(
            "only a process can be limited: add executor='process' to limits="
        )
    return limits


def error_types(said: Errors | None) -> tuple[type[BaseException], ...] | None:
    """Return one exception type or several as a tuple, None for None."""
    if isinstance(said, type):
        return (said,)
    return None if said is None else tuple(said)


def lane_of(name: str, options: TaskOptions) -> Lane | None:
    """Return the lane that all jobs of a task share, if it has limits.

    Raises:
        TaskDefinitionError: there is a key, but nothing to limit by it.
    """
    rate, most = options.get("rate_limit"), options.get("max_concurrency")
    if rate is None and most is None:
        if "limit_key" in options:
            raise TaskDefinitionError(
                f"{name}: limit_key= splits limits: add rate_limit= or max_concurrency="
            )
        return None
    return Lane(name, None if rate is None else interval_of(rate), most)


def check_keys(function: Callable[..., object], options: TaskOptions) -> None:
    """Return if the keys that are made of arguments can be made of this function's.

    Raises:
        TaskDefinitionError: naming the arguments that there are.
    """
    unique, limit = options.get("unique"), options.get("limit_key")
    if isinstance(unique, Unique):
        _check_key("unique: key", unique.key, unique.names(), function)
    _check_key("limit_key", limit, (limit,) if isinstance(limit, str) else (), function)


def _check_key(
    what: str, key: object, names: tuple[str, ...], function: Callable[..., object]
) -> None:
    parameters = inspect.signature(function).parameters
    there = ", ".join(parameters) or "none"
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise TaskDefinitionError(f"{what}={name!r}: no such argument; there are: {there}")
    if callable(key):
        try:
            inspect.signature(key).bind(**dict.fromkeys(parameters))
        except TypeError as error:
            raise TaskDefinitionError(
                f"{what}= is called with all arguments by name ({there}), but: {error}; "
                "let it take **_ for those that it does not need"
            ) from None
        except ValueError:
            return  # a function of an extension does not tell what it takes
