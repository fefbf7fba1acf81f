"""Named coroutines that run in this process: start one, ask how it goes, cancel it."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from offload.core.request import RequestStatus
from offload.inproc.app import AppTasks
from offload.inproc.call import Call
from offload.inproc.options import RequestOptions
from offload.inproc.task import RequestTask

SPELLED = {
    RequestStatus.PENDING: "running",
    RequestStatus.RETRYING: "running",
    RequestStatus.SUCCEEDED: "completed",
}


class TaskManager:
    """Starts coroutines under ids of the program's own, one at a time for each id.

    `TaskManager(get_tasks(app))` shares the application's limits, and its shutdown waits for the
    tasks; one of its own needs an `aclose` in your lifespan. What has ended can be looked up for
    `result_ttl` seconds.
    """

    def __init__(self, tasks: AppTasks | None = None) -> None:
        """Use the tasks of an application, or have one's own."""
        self._tasks = tasks or AppTasks()
        self._newest: dict[str, RequestTask[Any]] = {}

    async def start(
        self, task_id: str, work: Awaitable[Any] | Callable[..., Any], *args: Any, **kwargs: Any
    ) -> str:
        """Start a coroutine, or a call of a function, and return its id.

        Raises:
            DuplicateTask: that id is running; it is a ValueError. The coroutine is closed.
            TaskRefused: there is no room, or the process is shutting down.
        """
        func = work if callable(work) else _Given(work)
        options = RequestOptions(name=task_id, key=task_id)
        try:
            task = self._tasks.take(Call(func, args, kwargs, options))
        except BaseException:
            _close(func)
            raise
        self._forget()
        self._newest[task_id] = task
        task.when_ended(lambda: _close(func))
        return task_id

    def get_status(self, task_id: str) -> dict[str, Any]:
        """Return `{"status": …}`, with the `result` or the `error` if there is one.

        It is running, completed, failed, cancelled, or not_found.
        """
        task = self._newest.get(task_id)
        if task is None or self._tasks.get(task.id) is None:
            return {"status": "not_found"}
        said: dict[str, Any] = {"status": SPELLED.get(task.status, str(task.status))}
        if task.status is RequestStatus.SUCCEEDED:
            said["result"] = task.result
        if task.error is not None:
            said["error"] = str(task.error)
        return said

    async def cancel(self, task_id: str) -> bool:
        """Stop a task, and say whether it stops; one that runs in a thread does not."""
        task = self._newest.get(task_id)
        return task is not None and self._tasks.cancel(task.id)

    async def wait(self, task_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Return the status once the task has ended.

        Raises:
            TimeoutError: it has not ended within `timeout` seconds.
        """
        if (task := self._newest.get(task_id)) is not None:
            await task.wait(timeout)
        return self.get_status(task_id)

    async def aclose(self) -> None:
        """Take no more tasks, and wait for those that run: see `drain`."""
        await self._tasks.stop()

    def _forget(self) -> None:
        """Let go of what cannot be looked up any more, when that may be most of it."""
        if len(self._newest) > 2 * self._tasks.runner.options.max_records:
            there = {task.id for task in self._tasks.all()}
            self._newest = {id_: task for id_, task in self._newest.items() if task.id in there}


class _Given:
    """Awaits something that was made already, so it can be called once."""

    def __init__(self, work: Awaitable[Any]) -> None:
        self.work = work

    async def __call__(self) -> Any:
        return await self.work


def _close(func: object) -> None:
    """Close a coroutine that was never awaited, or Python would complain of it."""
    if isinstance(func, _Given) and isinstance(func.work, Coroutine):
        func.work.close()
