"""The request tasks of one request: which wait for what, and what its outcome makes of them."""

import asyncio
import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

from offload.core.errors import ConfigurationError, OffloadError
from offload.core.request import Mode, Outcome, Overflow, RequestStatus, When, drop_reason
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

log = logging.getLogger("offload.inproc")


class Exchange:
    """A request and its response, or a websocket from its opening to its end.

    Whoever serves it says how far it has come, on its loop and in this order: `enter` if tasks
    may be scheduled, `raised` if something was, `route_ended`, `ended`.
    """

    def __init__(self, app: AppTasks) -> None:
        """Begin; tasks run on the running loop."""
        self.app = app
        self.outcome = Outcome()
        self._loop = asyncio.get_running_loop()
        self._passed = {Mode.NOW}
        """The modes that tasks need not wait for any more."""
        self._waiting: list[RequestTask[Any]] = []
        self._in_order: list[RequestTask[Any]] = []
        self._held_by: list[RequestTask[Any]] = []
        """What the response has to wait for."""
        self._alive: set[RequestTask[Any]] = set()
        """What has not ended, if nobody but the request will wait for it."""
        self._started = self._inside = False

    @cached_property
    def commits(self) -> Commits:
        """The tasks that wait for a commit."""
        return Commits(self.admit, self._start, self.app.runner.drop)

    # --- scheduling, in any thread -------------------------------------------------------

    def take(self, call: Call) -> RequestTask[Any]:
        """See `Taker.take`."""
        if call.options.wait and call.mode is not Mode.AFTER_ROUTE:
            raise ConfigurationError(
                "wait=True: only a task of after_route can hold the response: "
                "tasks.after_route.task(wait=True)"
            )
        return self.admit(call, self._place)

    def take_in_order(self, call: Call) -> RequestTask[Any]:
        """Take a task that runs after the response, and after those that came so before it."""
        place = self._start if Mode.AFTER_RESPONSE in self._passed else self._in_order.append
        return self.admit(call, place)

    def admit(self, call: Call, place: Callable[[RequestTask[Any]], None]) -> RequestTask[Any]:
        """Take in a task and `place` it; one that has its key already is returned as it is."""
        task = self.app.make(call, self._loop)
        taken = self.app.runner.admit(task, gated=self._inside)
        if taken is task:
            if not self.app.started:
                self._alive.add(task)
                task.when_ended(lambda: self._alive.discard(task))
            place(task)
        return taken

    def _place(self, task: RequestTask[Any]) -> None:
        if task.mode not in self._passed:
            self._waiting.append(task)
            return
        if task.mode is not Mode.NOW:
            late = "request task %s %s came too late for %s and starts now"
            log.warning(late, task.id, task.name, task.mode)
            if not self._passes(task):
                return
        self._start(task)

    # --- how far it has come -------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether it has to `enter` before anything is scheduled."""
        return self.app.runner.options.overflow is Overflow.WAIT and not self._inside

    async def enter(self) -> None:
        """Wait for room, if the application says that requests wait."""
        await self.app.runner.gate.enter()
        self._inside = True

    def raised(self, error: BaseException) -> None:
        """Note what the endpoint or a dependency raised; after the route it does not count."""
        if Mode.AFTER_ROUTE not in self._passed and self.outcome.raised is None:
            self.outcome.raised = type(error).__name__

    def route_ended(self, status: int | None) -> bool:
        """Start what waits for this, and say whether `begun` must be awaited."""
        self.outcome.status = status
        self._passed.add(Mode.AFTER_ROUTE)
        self._fire(Mode.AFTER_ROUTE)
        return self._started

    async def begun(self) -> None:
        """Return when all that could start has, and what holds the response has ended.

        Raises:
            Exception: what a task has raised without which the response must not go out.
        """
        await asyncio.sleep(0)  # one step of the loop: each new task takes its first
        while self._held_by:
            task = self._held_by.pop(0)
            if await task.wait() in FINE or not (task.options.wait or task.leaves):
                continue
            error = task.error or OffloadError(f"{task!r} has not succeeded: {task.reason}")
            # The client gets an error, as if the endpoint had raised it.
            self.outcome.raised = type(error).__name__
            raise error

    def ended(self, error: BaseException | None) -> bool:
        """Start what waits for the end, and say whether `done` must be awaited.

        What waits for a commit has waited in vain.
        """
        if error is not None:
            self.raised(error)
            if self.outcome.raised is None:
                self.outcome.failed = type(error).__name__
        self._passed.update(Mode)
        # What waits for the route still does so if there was no response.
        self._fire(Mode.AFTER_ROUTE)
        self._fire(Mode.AFTER_RESPONSE)
        if self._in_order:
            self.app.runner.follow([task for task in self._in_order if self._passes(task)])
        if "commits" in self.__dict__:
            self.commits.end()
        if self._inside:
            self.app.runner.gate.leave()
        return bool(self._alive)

    async def done(self) -> None:
        """Return when all tasks have ended: without a lifespan, nobody will wait for them later."""
        for task in list(self._alive):
            await task.wait()

    # --- inside --------------------------------------------------------------------------

    def _fire(self, mode: Mode) -> None:
        if not self._waiting:
            return
        fired = [task for task in self._waiting if task.mode is mode]
        self._waiting = [task for task in self._waiting if task.mode is not mode]
        for task in fired:
            if self._passes(task):
                self._start(task)

    def _start(self, task: RequestTask[Any]) -> None:
        self._started = True
        if Mode.AFTER_RESPONSE not in self._passed and _holds(task):
            self._held_by.append(task)
        self.app.runner.ready(task)

    def _passes(self, task: RequestTask[Any]) -> bool:
        """Return whether the outcome lets the task run; if not, it has ended now."""
        reason = drop_reason(When(task.options.when), self.outcome)
        if reason is not None:
            self.app.runner.drop(task, reason)
        return reason is None


def _holds(task: RequestTask[Any]) -> bool:
    """Whether the response waits for the end of a task that has started before it.

    No response acknowledges a job that is not stored. A shielded task of after_route is one that
    must complete first, though its failure is left to its handler.
    """
    if task.leaves:
        return True
    return task.mode is Mode.AFTER_ROUTE and bool(task.options.wait or task.options.shield)
