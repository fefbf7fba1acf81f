"""`add_tasks`, and what endpoints, dependencies and programs schedule request tasks with."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, ParamSpec, Unpack

from fastapi import Depends
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from offload.core.errors import ConfigurationError, OffloadError
from offload.core.request import Mode, RequestStatus
from offload.fastapi.middleware import KEY, LEFT, HttpExchange, TasksMiddleware
from offload.inproc.app import AppTasks
from offload.inproc.call import Call
from offload.inproc.options import RunnerLimits, RunnerOptions, check_known
from offload.inproc.scheduler import Scheduler
from offload.inproc.task import RequestTask
from offload.queue import Queue

P = ParamSpec("P")

# Looked up in its class, a member costs as much as a call of a function.
_AFTER_RESPONSE = Mode.AFTER_RESPONSE


def add_tasks(
    app: Starlette, *, queue: Queue | None = None, **limits: Unpack[RunnerLimits]
) -> AppTasks:
    """Let the endpoints and dependencies of `app` take a `Tasks`; return what `get_tasks` does.

    Call it before the application starts. All other middleware is outside: a response is sent
    when the innermost one has it.

    Args:
        app: the application that the server starts; mounted ones share its tasks.
        queue: whose store processes share, for schedules with scope="cluster".
        limits: see `RunnerOptions`: max_concurrency, max_threads, max_pending, overflow,
            retry_after, drain_timeout, shield_timeout, result_ttl, max_records, slow_step,
            log_args.

    Raises:
        ConfigurationError: a limit is wrong, or the application has its tasks already.
    """
    if _tasks_of(app) is not None:
        raise ConfigurationError("add_tasks: this application has its tasks: use get_tasks(app)")
    if app.middleware_stack is not None:
        raise ConfigurationError("add_tasks: the application has started: call it before that")
    check_known(limits, RunnerOptions)
    tasks = AppTasks(RunnerOptions(**limits))
    tasks.ticker.locks = queue
    app.state.offload_tasks = tasks
    # `add_middleware` puts the newest outside of all. Innermost, an exception is seen before
    # another middleware makes a plain response of it.
    app.user_middleware.append(Middleware(TasksMiddleware, tasks=tasks))
    return tasks


def get_tasks(app: Starlette) -> AppTasks:
    """Return the request tasks of an application, for use outside its requests.

    Raises:
        ConfigurationError: it has none: call `add_tasks(app)` first.
    """
    tasks = _tasks_of(app)
    if tasks is None:
        raise ConfigurationError("this application has no request tasks: call add_tasks(app)")
    return tasks


class RequestTasks(Scheduler):
    """Schedules tasks that belong to one request or websocket.

    `schedule` starts one now, `after_route.schedule` when the endpoint has returned and nothing
    is sent yet, and `after_response.schedule` when all is sent and all dependencies are closed.
    """

    _taker: HttpExchange

    @property
    def after_route(self) -> Scheduler:
        """Starts tasks after the route, before the response."""
        return Scheduler(self._taker, Mode.AFTER_ROUTE)

    @property
    def after_response(self) -> Scheduler:
        """Starts tasks after the response, side by side."""
        return Scheduler(self._taker, _AFTER_RESPONSE)

    def on_commit(self, session: Any) -> Scheduler:
        """Return a scheduler whose tasks start when `session` has committed.

        They never run if it is rolled back, nor if it has not committed when the request ends.

        Args:
            session: a `Session` or `AsyncSession` of SQLAlchemy.

        Raises:
            ConfigurationError: it is something else.
        """
        return self._taker.commits.scheduler(session)

    def add_task(
        self, func: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> RequestTask[Any]:
        """Run `func` after the response, and after those that this request added before it.

        As of FastAPI's BackgroundTasks, but one that fails does not stop the next.

        Raises:
            TaskRefused: there is no room, or the process is shutting down.
        """
        return self._taker.take_in_order(Call(func, args, kwargs, mode=Mode.AFTER_RESPONSE))

    def get(self, task_id: str) -> RequestTask[Any] | None:
        """Return a task of this process, of whichever request; see `AppTasks.get`."""
        return self._taker.app.get(task_id)

    def cancel(self, task_id: str, *, force: bool = False) -> bool:
        """Stop a task, and say whether it stops; see `AppTasks.cancel`."""
        return self._taker.app.cancel(task_id, force=force)

    async def wait(self, task_id: str, timeout: float | None = None) -> RequestStatus | None:
        """Return how a task has ended, once it has; see `AppTasks.wait`."""
        return await self._taker.app.wait(task_id, timeout)


def _exchange(connection: HTTPConnection) -> HttpExchange:
    exchange: HttpExchange | None = connection.scope.get(KEY)
    if exchange is None:
        raise OffloadError("request tasks need add_tasks(app), on this application or around it")
    return exchange


async def tasks_around(connection: HTTPConnection) -> AppTasks:
    """Return the tasks of the application that a request came to.

    Raises:
        OffloadError: it has none.
    """
    return _exchange(connection).app


async def _request_tasks(connection: HTTPConnection) -> RequestTasks:
    exchange = _exchange(connection)
    if exchange.use():
        await exchange.enter()
    return RequestTasks(exchange)


Tasks = Annotated[RequestTasks, Depends(_request_tasks)]
"""Schedules tasks of this request: `async def endpoint(tasks: Tasks)`; for dependencies, too."""


async def _background_tasks(connection: HTTPConnection) -> AsyncIterator[RequestTasks]:
    exchange: HttpExchange | None = connection.scope.get(KEY)
    if exchange is not None:
        yield await _request_tasks(connection)
        return
    # Without add_tasks: this dependency is closed when the response is sent, so it can run them
    # itself, as FastAPI would.
    state = connection.app.state
    state.offload_background = tasks = getattr(state, "offload_background", None) or AppTasks()
    exchange = HttpExchange(tasks)
    exchange.use()
    error: BaseException | None = None
    try:
        yield RequestTasks(exchange)
    except BaseException as raised:
        error = None if isinstance(raised, LEFT) else raised
        raise
    finally:
        if exchange.ended(error):
            await exchange.done()


BackgroundTasks = Annotated[RequestTasks, Depends(_background_tasks)]
"""In place of FastAPI's own, with the import line changed: `background.add_task(…)`.

It needs no `add_tasks(app)`; with it, tasks are drained at a shutdown, and limits hold.
"""


def _tasks_of(app: Starlette) -> AppTasks | None:
    return getattr(app.state, "offload_tasks", None)
