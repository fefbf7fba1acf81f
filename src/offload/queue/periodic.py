"""`@queue.periodic(...)`: what stands between the schedule and the function."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, overload

from offload.core.options import checked
from offload.cron import Trigger
from offload.queue.decorator import kept
from offload.tasks.definition import TaskOptions
from offload.tasks.periodic import Periodic, Policy, schedule_name
from offload.tasks.ports import Jobs
from offload.tasks.registry import AnyTask, Registry
from offload.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Times:
    """When, and with what: all that is said of a schedule before its task is known."""

    trigger: Trigger
    policy: Policy
    name: str | None
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] | None


class PeriodicDecorator:
    """Gives a schedule to a task, which it makes if there is none yet."""

    def __init__(self, registry: Registry, jobs: Jobs, times: Times, options: TaskOptions) -> None:
        """Check the task's options where they are written.

        Raises:
            ConfigurationError: one is unknown or wrong.
        """
        self._registry = registry
        self._jobs = jobs
        self._times = times
        self._options = checked(options, TaskOptions)

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Task[P, Coroutine[Any, Any, R], R]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R, R]: ...

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Return the task, with its schedule.

        Raises:
            TaskDefinitionError: the task has options already, belongs to another queue, or
                another schedule has the name.
            ArgumentError, PayloadError: the arguments do not fit.
        """
        task = self._task(function)
        times = self._times
        defined = Periodic(
            name=schedule_name(times.name, task),
            task=task,
            trigger=times.trigger,
            policy=times.policy,
            args=times.args,
            kwargs=times.kwargs,
        )
        self._registry.add_periodic(defined)
        return task

    def _task(self, function: Callable[..., Any]) -> AnyTask:
        if not isinstance(function, Task):
            return Task(function, self._jobs, **self._options)
        named = ", ".join(self._options)
        way_out = f"give {named} to its @queue.task(…)" if named else None
        return kept(function, self._jobs, way_out)
