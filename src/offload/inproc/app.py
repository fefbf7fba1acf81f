"""The request tasks of an application, also outside its requests."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from offload.core.errors import ConfigurationError, OffloadError
from offload.core.request import Mode, RequestStatus, When
from offload.cron import Cron, Every, Trigger
from offload.inproc.call import Call
from offload.inproc.draining import drain
from offload.inproc.handover import new_job
from offload.inproc.options import PLAIN, RequestOptions, RunnerOptions, TaskOptions
from offload.inproc.runner import Runner, RunnerStats
from offload.inproc.scheduler import Scheduler
from offload.inproc.task import RequestTask
from offload.inproc.ticker import LocalSchedule, Ticker

F = TypeVar("F", bound=Callable[..., Any])


class AppTasks(Scheduler):
    """Schedules, finds and stops the request tasks of one process.

    `schedule` needs a running event loop, or the application's lifespan: in a thread, tasks run
    on the loop on which the application was started.
    """

    def __init__(self, options: RunnerOptions | None = None) -> None:
        """Run nothing yet."""
        super().__init__(self)
        self.runner = Runner(options)
        self.ticker = Ticker(self)
        self.started = False
        """Whether a lifespan was started: then its end waits for the tasks."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self, call: Call) -> RequestTask[Any]:
        """See `Taker.take`."""
        task = self.make(call, self._find_loop())
        taken = self.runner.admit(task)
        if taken is task:
            self.runner.ready(task)
        return taken

    def make(self, call: Call, loop: asyncio.AbstractEventLoop) -> RequestTask[Any]:
        """Return a task that nobody knows yet.

        Raises:
            ConfigurationError, ArgumentError: it is one of a queue, which would refuse it, or
                waits where there is no response to hold.
        """
        if call.options is not PLAIN:
            _check(call.options, call.mode)
        return RequestTask(call, self.runner, loop, new_job(call))

    # --- looking -------------------------------------------------------------------------

    def get(self, task_id: str) -> RequestTask[Any] | None:
        """Return a task of this process; None if it is unknown, or forgotten since it ended."""
        return self.runner.get(task_id)

    def all(self) -> list[RequestTask[Any]]:
        """Return all tasks that are known, unfinished ones first, the newest first."""
        return self.runner.all()

    def stats(self) -> RunnerStats:
        """Count the tasks of this process."""
        return self.runner.stats()

    async def wait(self, task_id: str, timeout: float | None = None) -> RequestStatus | None:
        """Return how a task has ended, once it has; None if it is unknown.

        Raises:
            TimeoutError: it has not ended within `timeout` seconds.
        """
        task = self.get(task_id)
        return None if task is None else await task.wait(timeout)

    def cancel(self, task_id: str, *, force: bool = False) -> bool:
        """Stop a task, and say whether it stops.

        False: it is unknown, has ended, runs in a thread, or is shielded and runs (except with
        `force`).
        """
        task = self.get(task_id)
        return task is not None and self.runner.cancel(task, force=force)

    # --- schedules -----------------------------------------------------------------------

    def cron(
        self,
        expression: str,
        *,
        tz: str = "UTC",
        overlap: str = "skip",
        scope: str = "process",
        **options: Unpack[TaskOptions],
    ) -> Callable[[F], F]:
        """Run the decorated function when `expression` says, from start to end of the application.

        A function with a parameter `scheduled_at` is told its tick, a datetime. A tick that is
        late runs once, however late; one that passes while no process runs is gone:
        `@queue.periodic` catches up.

        Args:
            expression: five fields, or an alias such as "@daily".
            tz: the time zone in which the fields hold; where its clocks change, a daily run
                comes once.
            overlap: what a tick does while an earlier run goes on: "skip", "queue" or "allow".
            scope: "process": every process of a server runs it. "cluster": one of all that share
                the store of `add_tasks(app, queue=…)`, another one within 10 s of its death.
            options: those of each run, as for `task`; `name` names the schedule.

        Raises:
            ConfigurationError: an option is wrong, or the name is taken.
        """
        return self._periodic(Cron(expression, tz), overlap, scope, options)

    def every(
        self,
        *,
        seconds: float,
        overlap: str = "skip",
        scope: str = "process",
        **options: Unpack[TaskOptions],
    ) -> Callable[[F], F]:
        """Run the decorated function every so many seconds, 1 or more, from the start; see `cron`.

        The times are start + n * seconds: how long a run takes moves none.
        """
        return self._periodic(Every(seconds), overlap, scope, options)

    def schedules(self) -> list[LocalSchedule]:
        """Return the schedules of this process."""
        return list(self.ticker.schedules.values())

    def trigger(self, name: str) -> RequestTask[Any]:
        """Run a schedule's function now, once; see `Ticker.trigger`."""
        return self.ticker.trigger(name)

    def pause(self, name: str) -> None:
        """Let no tick of a schedule fire; see `Ticker.pause`."""
        self.ticker.pause(name)

    def resume(self, name: str) -> None:
        """Let the ticks of a schedule fire again; see `Ticker.resume`."""
        self.ticker.resume(name)

    def _periodic(
        self, trigger: Trigger, overlap: str, scope: str, options: TaskOptions
    ) -> Callable[[F], F]:
        said = PLAIN.changed(options)

        def add(func: F) -> F:
            self.ticker.add(func, trigger, said, overlap, scope)
            return func

        return add

    # --- the application's life ----------------------------------------------------------

    def open(self) -> None:
        """Take tasks on the running loop, until `stop`."""
        self._loop = asyncio.get_running_loop()
        self.started, self.runner.closed = True, False

    async def stop(self) -> None:
        """Take no more tasks; return when all have ended, or their time is over: see `drain`."""
        await self.ticker.stop()
        await drain(self.runner)

    def _find_loop(self) -> asyncio.AbstractEventLoop:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is None:
                raise OffloadError(
                    "no event loop runs here, and the application has not been started: "
                    "schedule from its lifespan, a request, or a task"
                ) from None
            return self._loop


def _check(options: RequestOptions, mode: Mode) -> None:
    if options.wait and mode is not Mode.AFTER_ROUTE:
        raise ConfigurationError(
            "wait=True: only a task of after_route can hold the response: "
            "tasks.after_route.task(wait=True)"
        )
    if options.when is not When.RETURNED and mode is Mode.NOW:
        raise ConfigurationError(
            f"when={str(options.when)!r}: what starts now does not know how the request "
            "will end: use after_route or after_response"
        )
