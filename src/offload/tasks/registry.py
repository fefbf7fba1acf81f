"""Which tasks a queue knows, by name."""

from collections.abc import Iterator
from typing import Any

from offload.core.errors import TaskDefinitionError, TaskNotRegistered
from offload.core.schedule import Schedule
from offload.tasks.hooks import Hooks
from offload.tasks.periodic import Periodic
from offload.tasks.task import Task

AnyTask = Task[Any, Any, Any]


class Registry:
    """Names to tasks; only what is in here can be run, whatever a store holds."""

    def __init__(self) -> None:
        """Start empty."""
        self._tasks: dict[str, AnyTask] = {}
        self.periodic: dict[str, Periodic] = {}
        """The schedules that this program's code defines, by name."""
        self.hooks = Hooks()

    def __iter__(self) -> Iterator[AnyTask]:
        """Go through the tasks in the order of their definition."""
        return iter(self._tasks.values())

    def add(self, task: AnyTask) -> None:
        """Register a task.

        Raises:
            TaskDefinitionError: another function has that name.
        """
        known = self._tasks.get(task.name)
        if known is not None and not _same_definition(known, task):
            raise TaskDefinitionError(
                f"two tasks are named {task.name!r}: give one of them name=…, or rename it"
            )
        self._tasks[task.name] = task
        task.hooks = self.hooks

    def add_periodic(self, defined: Periodic) -> None:
        """Note a schedule, and its task.

        Raises:
            TaskDefinitionError: another schedule has that name, or another task.
        """
        known = self.periodic.get(defined.name)
        # A module that is imported again makes its tasks anew: only then both may be right.
        if known is not None and (
            known.task is defined.task or known.task.name != defined.task.name
        ):
            raise TaskDefinitionError(
                f"two schedules are named {defined.name!r}: give one of them name=…"
            )
        self.add(defined.task)
        self.periodic[defined.name] = defined

    def fires(self, schedule: Schedule) -> bool:
        """Whether ticks of a stored schedule fire here.

        Its task must be known and, unless it was added or edited at run time, the code must
        still define it: what was taken out of the code stops.
        """
        return schedule.task in self._tasks and (schedule.edited or schedule.name in self.periodic)

    def find(self, name: str) -> AnyTask | None:
        """Return the task of that name, None if there is none."""
        return self._tasks.get(name)

    def get(self, name: str) -> AnyTask:
        """Return the task of that name.

        Raises:
            TaskNotRegistered: there is none.
        """
        task = self._tasks.get(name)
        if task is None:
            known = ", ".join(sorted(self._tasks)) or "none"
            raise TaskNotRegistered(
                f"no task named {name!r} is known here (known: {known}): "
                "import the module that defines it"
            )
        return task


def name_of(task: str | AnyTask) -> str:
    """Return the name of a task, which may be given in its place."""
    return task.name if isinstance(task, Task) else task


def _same_definition(one: AnyTask, other: AnyTask) -> bool:
    # A module that is imported again (reload, __main__) defines the same function once more.
    first, second = one.function.__code__, other.function.__code__
    return (first.co_filename, first.co_firstlineno) == (
        second.co_filename,
        second.co_firstlineno,
    )
