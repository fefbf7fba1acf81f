"""What a function must be to become a task, and the name that it gets."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from offload.core.errors import TaskDefinitionError
from offload.core.lane import Lane, interval_of
from offload.core.options import Errors, TaskOptions
from offload.core.unique import Unique


def default_name(function: Callable[..., object]) -> str:
    """Return `module.qualname`; a script run as `__main__` counts by its file's name."""
    module = function.__module__
    if module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(path).stem if path else module
    return f"{module}.{function.__qualname__}"


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
    if wanted != "process" and "limits" in options:
        raise TaskDefinitionError(
            f"{function.__qualname__}: limits= holds for a process only: add executor='process'"
        )
    return wanted


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
