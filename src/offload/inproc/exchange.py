"""The request tasks of one request: which wait for what, and what its outcome makes of them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NoReturn

from offload.core.errors import OffloadError, TaskRefused
from offload.core.request import Mode, Outcome, RequestStatus, When, drop_reason
from offload.inproc.app import AppTasks
from offload.inproc.call import Call
from offload.inproc.committing import Commits
from offload.inproc.task import RequestTask

FINE = frozenset(
    {
        RequestStatus.SUCCEEDED,
        RequestStatus.ENQUEUED,
        RequestStatus.SPILLED,
        RequestStatus.DROPPED,
    }
)
"""The ends with which a response that waits for a task goes out as it is."""

# Looked up in its class, a member costs as much as a call of a function.
_NOW, _AFTER_ROUTE = Mode.NOW, Mode.AFTER_ROUTE
_RETURNED = When.RETURNED

log = logging.getLogger("offload.inproc")


class Exchange:
    """A request and its response, or a websocket from its opening to its end.

    Whoever serves it says how far it has come, on its loop and in this order: `use` when tasks
    may be scheduled from now on (and until then nothing else), `raised` if something was,
    `route_ended`, `ended`. There is one for each request, so what most never need is made late.
    """

    used = False
    """Whether anything may have been scheduled."""
    status: int | None = None
    """The response's."""
    _loop: asyncio.AbstractEventLoop
    _raised: str | None = None
    _failed: str | None = None
    _route_is_over = False
    _is_over = False
    _has_begun = False
    """Whether a task has started."""
    _is_inside = False
    """Whether it has a place behind the gate."""
    # A thread adds to these while the loop takes from them: each step of both is atomic, and
    # who adds looks afterwards whether somebody still comes to take.
    _after_route: deque[RequestTask[Any]]
    _after_response: deque[RequestTask[Any]]
    _in_order: deque[RequestTask[Any]]
    _held_by: deque[RequestTask[Any]]
    """What the response has to wait for."""
    _alive: dict[RequestTask[Any], None]
    """What has not ended, if nobody but the request will wait for it."""

    def __init__(self, app: AppTasks) -> None:
        """Begin."""
        self.app = app

    @cached_property
    def commits(self) -> Commits:
        """The tasks that wait for a commit."""
        return Commits(self.admit, self._start, self.app.runner.drop)

    @property
    def outcome(self) -> Outcome:
        """How it went, as far as it has come."""
        return Outcome(self._raised, self.status, self._failed)

    # --- scheduling, in any thread -------------------------------------------------------

    def take(self, call: Call) -> RequestTask[Any]:
        """See `Taker.take`."""
        return self.admit(call, self._place)

    def take_in_order(self, call: Call) -> RequestTask[Any]:
        """Take a task that runs after the response, and after those that came so before it."""
        return self.admit(call, self._append)

    def admit(self, call: Call, place: Callable[[RequestTask[Any]], None]) -> RequestTask[Any]:
        """Take in a task and `place` it; one that has its key already is returned as it is."""
        task = self.app.make(call, self._loop)
        try:
            taken = self.app.runner.admit(task, gated=self._is_inside)
        except TaskRefused as error:
            self.refuse(error)
        if taken is task:
            if not self.app.started:
                self._keep(task)
            place(task)
        return taken

    def refuse(self, error: TaskRefused) -> NoReturn:
        """Say that a task was refused, in a way that whoever serves the request understands.

        Raises:
            TaskRefused: always.
        """
        raise error

    def _place(self, task: RequestTask[Any]) -> None:
        if task.mode is _NOW:
            self._start(task)
            return
        of_route = task.mode is _AFTER_ROUTE
        line = self._after_route if of_route else self._after_response
        line.append(task)
        if self._route_is_over if of_route else self._is_over:
            late = "request task %s %s came too late for %s and starts now"
            log.warning(late, task.id, task.name, task.mode)
            self._fire(line)

    def _append(self, task: RequestTask[Any]) -> None:
        self._in_order.append(task)
        if self._is_over:
            self._fire(self._in_order)

    def _keep(self, task: RequestTask[Any]) -> None:
        self._alive[task] = None
        task.when_ended(lambda: self._alive.pop(task, None))

    # --- how far it has come -------------------------------------------------------------

    def use(self) -> bool:
        """Let tasks be scheduled from now on, and say whether `enter` must be awaited first."""
        if self.used:
            return False
        self.used, self._loop = True, asyncio.get_running_loop()
        self._after_route, self._after_response, self._in_order = deque(), deque(), deque()
        self._held_by, self._alive = deque(), {}
        return self.app.runner.has_gate

    async def enter(self) -> None:
        """Wait until there is room for what the request may schedule."""
        await self.app.runner.gate.enter()
        self._is_inside = True

    def raised(self, error: BaseException) -> None:
        """Note what the endpoint or a dependency raised; after the route it does not count."""
        if not self._route_is_over and self._raised is None:
            self._raised = type(error).__name__

    def route_ended(self, status: int | None) -> bool:
        """Start what waits for this, and say whether `begun` must be awaited."""
        self.status = status
        self._route_is_over = True
        self._fire(self._after_route)
        return self._has_begun

    async def begun(self) -> None:
        """Return when all that could start has, and what holds the response has ended.

        Raises:
            Exception: what a task has raised without which the response must not go out.
        """
        await asyncio.sleep(0)  # one step of the loop: each new task takes its first
        while self._held_by:
            task = self._held_by.popleft()
            if await task.wait() in FINE or not (task.options.wait or task.leaves):
                continue
            error = task.error
            if not isinstance(error, Exception):  # a SystemExit, say, is none of the request's
                error = OffloadError(f"{task!r} has not succeeded: {error!r} {task.reason or ''}")
            # The client gets an error, as if the endpoint had raised it.
            self._raised = type(error).__name__
            raise error

    def ended(self, error: BaseException | None) -> bool:
        """Start what waits for the end, and say whether `done` must be awaited.

        What waits for a commit has waited in vain.
        """
        if error is not None:
            self.raised(error)
            if self._raised is None:
                self._failed = type(error).__name__
        self._route_is_over = self._is_over = True
        # What waits for the route still does so if there was no response.
        self._fire(self._after_route)
        self._fire(self._after_response)
        if self._in_order:
            line = [task for task in _taken(self._in_order) if self._passes(task)]
            self.app.runner.follow(iter(line))
        if "commits" in self.__dict__:
            self.commits.end()
        if self._is_inside:
            self.app.runner.gate.leave()
        return bool(self._alive)

    async def done(self) -> None:
        """Return when all tasks have ended: without a lifespan, nobody will wait for them later."""
        while alive := list(self._alive):  # one may schedule another
            await alive[0].wait()

    # --- inside --------------------------------------------------------------------------

    def _fire(self, line: deque[RequestTask[Any]]) -> None:
        if line:
            for task in _taken(line):
                if self._passes(task):
                    self._start(task)

    def _start(self, task: RequestTask[Any]) -> None:
        if task.status.final:  # cancelled by who scheduled it: no response fails for that
            return
        self._has_begun = True
        if not self._is_over and _holds(task):
            self._held_by.append(task)
        self.app.runner.ready(task)

    def _passes(self, task: RequestTask[Any]) -> bool:
        """Return whether the outcome lets the task run; if not, it has ended now."""
        when = task.options.when
        if when is _RETURNED and self._raised is None:  # as nearly always
            return True
        reason = drop_reason(When(when), self.outcome)
        if reason is not None:
            self.app.runner.drop(task, reason)
        return reason is None


def _taken(line: deque[RequestTask[Any]]) -> Iterator[RequestTask[Any]]:
    """Take all from a line; another thread may do so at the same time."""
    while line:
        try:
            task = line.popleft()
        except IndexError:
            return
        yield task


def _holds(task: RequestTask[Any]) -> bool:
    """Whether the response waits for the end of a task that has started before it.

    No response acknowledges a job that is not stored. A shielded task of after_route is one that
    must complete first, though its failure is left to its handler.
    """
    if task.leaves:
        return True
    return task.mode is _AFTER_ROUTE and bool(task.options.wait or task.options.shield)
