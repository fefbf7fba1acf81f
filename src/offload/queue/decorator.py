"""`@queue.task(...)` with options: what stands between the options and the function."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from offload.core.errors import ConfigurationError
from offload.core.options import Options
from offload.tasks.ports import Jobs
from offload.tasks.registry import AnyTask, Registry
from offload.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")

OWN = ("limits", "no_retry_on", "retry_on")


class TaskDecorator:
    """Makes tasks of functions; a class only because a typed overload needs a `__call__`."""

    def __init__(
        self,
        registry: Registry,
        jobs: Jobs,
        name: str | None,
        executor: str | None,
        options: Mapping[str, Any],
    ) -> None:
        """Check the options where they are written.

        Raises:
            ConfigurationError: an option is unknown or wrong.
        """
        own = {name: options[name] for name in OWN if name in options}
        options = {name: options[name] for name in options if name not in OWN}
        unknown = sorted(set(options) - set(Options.__dataclass_fields__))
        if unknown:
            valid = ", ".join(["executor", "name", *Options.__dataclass_fields__])
            raise ConfigurationError(f"unknown task option {unknown[0]!r}; there are: {valid}")
        self._registry = registry
        self._jobs = jobs
        self._name = name
        self._executor = executor
        self._options = Options(**options)
        self._own = own

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Task[P, Coroutine[Any, Any, R], R]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R, R]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Make a task of `function` and register it."""
        task: AnyTask = Task(
            function,
            self._jobs,
            name=self._name,
            options=self._options,
            executor=self._executor,
            **self._own,
        )
        self._registry.add(task)
        return task
