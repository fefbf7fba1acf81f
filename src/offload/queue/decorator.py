"""`@queue.task(...)` with options: what stands between the options and the function."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

from offload.core.errors import TaskDefinitionError
from offload.core.options import checked
from offload.tasks.definition import TaskOptions
from offload.tasks.ports import Jobs
from offload.tasks.registry import AnyTask, Registry
from offload.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")


ABOVE = "put @queue.periodic above @queue.task(…), or give these options to @queue.periodic"


class TaskDecorator:
    """Makes tasks of functions; a class only because a typed overload needs a `__call__`."""

    def __init__(
        self,
        registry: Registry,
        jobs: Jobs,
        name: str | None,
        options: TaskOptions,
    ) -> None:
        """Check the options where they are written.

        Raises:
            ConfigurationError: an option is unknown or wrong.
        """
        self._registry = registry
        self._jobs = jobs
        self._name = name
        self._options = checked(options, TaskOptions)

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Task[P, Coroutine[Any, Any, R], R]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R, R]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Make a task of `function` and register it; a task of this queue stays what it is.

        Raises:
            TaskDefinitionError: a task cannot get other options, or another queue.
        """
        if isinstance(function, Task):
            changed = bool(self._options) or self._name is not None
            return kept(function, self._jobs, ABOVE if changed else None)
        task: AnyTask = Task(function, self._jobs, name=self._name, **self._options)
        self._registry.add(task)
        return task


def kept(task: AnyTask, jobs: Jobs, way_out: str | None) -> AnyTask:
    """Return a task of this queue as it is; `way_out` says what to do if it was to be changed.

    Raises:
        TaskDefinitionError: it belongs to another queue, or was to be changed.
    """
    if task.jobs is not jobs:
        raise TaskDefinitionError(f"{task.name} is a task of another queue")
    if way_out is not None:
        raise TaskDefinitionError(f"{task.name} is a task already: {way_out}")
    return task
