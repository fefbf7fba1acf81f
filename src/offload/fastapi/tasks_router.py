"""`TasksRouter`: the request tasks and schedules of an application, over HTTP."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.params import Depends as Dependency

from offload.core.errors import (
    ConfigurationError,
    OffloadError,
    ScheduleNotFound,
    TaskLimitReached,
    TasksClosed,
)
from offload.core.request import RequestStatus
from offload.fastapi.cross_site import refuse_cross_site
from offload.fastapi.middleware import ShuttingDown, TooManyTasks
from offload.fastapi.paging import PageSize
from offload.fastapi.schemas import CancelResponse, ErrorResponse
from offload.fastapi.task_schemas import (
    LocalScheduleResponse,
    TaskDetailResponse,
    TaskResponse,
    TaskStatsResponse,
)
from offload.fastapi.tasks import tasks_around
from offload.inproc.app import AppTasks
from offload.inproc.task import RequestTask

AroundIt = Annotated[AppTasks, Depends(tasks_around)]
Before = Annotated[str | None, Query(description="The id of the last task of the page before.")]

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse}}
_UNFIT: dict[int | str, dict[str, Any]] = {**_UNKNOWN, 409: {"model": ErrorResponse}}


class TasksRouter(APIRouter):
    """Request tasks and schedules of the process that answers: look, cancel, trigger, pause.

    `app.include_router(TasksRouter(dependencies=[Depends(check)]), prefix="/background")`, in
    an application with `add_tasks`. Every process of a server answers for itself. What changes
    something is refused to pages of other sites, unless `cross_site` says that they may. Every
    other option is APIRouter's.
    """

    def __init__(
        self,
        *,
        dependencies: Sequence[Dependency] | None = None,
        tags: list[str | Enum] | None = None,
        operator: bool = False,
        cross_site: bool = False,
        default_page_size: int = 20,
        max_page_size: int = 100,
        **options: Any,
    ) -> None:
        if not dependencies and not operator:
            raise ConfigurationError(
                "TasksRouter: whoever reaches it can see and cancel all tasks: give "
                "dependencies=[…] that check who asks, or say operator=True"
            )
        guards = [] if cross_site else [Depends(refuse_cross_site)]
        tags = ["request tasks"] if tags is None else tags
        super().__init__(dependencies=[*guards, *(dependencies or ())], tags=tags, **options)
        page = PageSize(default_page_size, max_page_size)
        self.get("/stats", name="task_stats")(_stats)
        self.get("/tasks", name="request_tasks")(_listing(page))
        self.get("/tasks/{task_id}", name="request_task", responses=_UNKNOWN)(_task)
        cancel = "/tasks/{task_id}/cancel"
        self.post(cancel, name="cancel_request_task", responses=_UNKNOWN)(_cancel)
        self._add_schedules()

    def _add_schedules(self) -> None:
        self.get("/schedules", name="local_schedules")(_schedules)
        schedule = "/schedules/{name:path}"  # a name may have slashes
        self.post(f"{schedule}/trigger", name="trigger_local", responses=_UNFIT)(_trigger)
        self.post(f"{schedule}/pause", name="pause_local", responses=_UNKNOWN)(_pause)
        self.post(f"{schedule}/resume", name="resume_local", responses=_UNKNOWN)(_resume)


async def _stats(tasks: AroundIt) -> TaskStatsResponse:
    """Count the request tasks of this process."""
    return TaskStatsResponse.of(tasks.stats())


def _listing(page: PageSize) -> Callable[..., Awaitable[list[TaskResponse]]]:
    async def listing(
        tasks: AroundIt,
        *,
        status: RequestStatus | None = None,
        name: str | None = None,
        before: Before = None,
        limit: Annotated[int, page.query] = page.default,
    ) -> list[TaskResponse]:
        """List the request tasks of this process, newest first."""
        found = [
            task
            for task in tasks.all()
            if (status is None or task.status is status)
            and (name is None or task.name == name)
            and (before is None or task.id < before)
        ]
        found.sort(key=lambda task: task.id, reverse=True)  # ids begin with the time
        return [TaskResponse.of(task) for task in found[:limit]]

    return listing


async def _task(task_id: str, tasks: AroundIt) -> TaskDetailResponse:
    """Show a request task and its result."""
    return TaskDetailResponse.of(_found(tasks, task_id))


async def _cancel(task_id: str, tasks: AroundIt, *, force: bool = False) -> CancelResponse:
    """Stop a request task; one that runs in a thread does not stop, a shielded one by force."""
    _found(tasks, task_id)
    return CancelResponse(cancelled=tasks.cancel(task_id, force=force))


async def _schedules(tasks: AroundIt) -> list[LocalScheduleResponse]:
    """List the schedules of this process by name."""
    found = sorted(tasks.schedules(), key=lambda schedule: schedule.name)
    return [LocalScheduleResponse.of(schedule) for schedule in found]


async def _trigger(name: str, tasks: AroundIt) -> TaskResponse:
    """Run a schedule's function now, once, paused or not; its ticks stay as they are."""
    with _answered():
        return TaskResponse.of(tasks.trigger(name))


async def _pause(name: str, tasks: AroundIt) -> LocalScheduleResponse:
    """Let no tick of a schedule fire in this process."""
    with _answered():
        tasks.pause(name)
        return LocalScheduleResponse.of(tasks.ticker.get(name))


async def _resume(name: str, tasks: AroundIt) -> LocalScheduleResponse:
    """Let ticks fire again, from the next one on."""
    with _answered():
        tasks.resume(name)
        return LocalScheduleResponse.of(tasks.ticker.get(name))


def _found(tasks: AppTasks, task_id: str) -> RequestTask[Any]:
    task = tasks.get(task_id)
    if task is None:
        raise HTTPException(
            404,
            "Request task not found in this process: it is unknown, has been forgotten since "
            "it ended, or belongs to another process of this server",
        )
    return task


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except ScheduleNotFound as error:
        raise HTTPException(404, str(error)) from None
    except TaskLimitReached as error:
        raise TooManyTasks(error) from None
    except TasksClosed as error:
        raise ShuttingDown(error) from None
    except OffloadError as error:
        raise HTTPException(409, str(error)) from None
