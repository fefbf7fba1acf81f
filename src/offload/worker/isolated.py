"""Single functions in processes that can be killed, for any coroutine."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, cast

from offload.core.decide import Outcome, Raised, Returned
from offload.core.errors import ConfigurationError, IsolatedError, LimitExceeded, ProcessDied
from offload.core.records import Report
from offload.tasks.context import Reporter, running
from offload.tasks.definition import executor_of
from offload.tasks.limits import Limits
from offload.worker.calls import order_of, signature_of
from offload.worker.confine import why_killed
from offload.worker.processes import Child, ChildDied, Relay, Warm
from offload.worker.templates import Template
from offload.worker.wire import row_of

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

MOST = max(4, os.cpu_count() or 1)
"""How many functions run at once for one event loop; others wait for their turn."""
PATIENCE = 0.05
"""Seconds to wait for a process that is at work: to start another takes several times as long."""
IDLE = 60.0
"""Seconds after which a process that nobody has used is ended."""


async def isolated(
    function: Callable[[*Ts], R],
    /,
    *args: *Ts,
    limits: Limits | None = None,
    timeout: float | None = None,
) -> R:
    """Run a plain function in a process of its own, which is killed if this is cancelled.

    The process imports the function, which stands at module level, and stays warm for others
    with the same limits. Without `limits` it has a bare environment and no other limit. Arguments
    and result travel as those of jobs do. In a task, `current_job` works in the function as well.
    `timeout` is in seconds, from when the function starts.

    Raises:
        IsolatedError: the function raised; `kind` and `traceback` tell what.
        ProcessDied: its process ended before it did.
        LimitExceeded: it used more than its limits allow.
        TimeoutError: it ran longer than `timeout`, and was killed.
        ArgumentError, PayloadTooLarge, PayloadError: the arguments or the result do not fit.
        TaskDefinitionError: it is not plain, or does not stand at module level.
        ConfigurationError: `timeout` is wrong, or this machine cannot keep such limits.
    """
    if timeout is not None and not timeout > 0:
        raise ConfigurationError(f"timeout={timeout!r}: must be a number of seconds above 0")
    executor_of(function, {"executor": "process"})
    limits = limits or Limits()
    signature = signature_of(function)
    job, relay = _surroundings()
    order = order_of(function, signature.encode_arguments(args, {}))
    order |= {"job": job, "limits": asdict(limits)}
    clock = Clock(timeout)
    try:
        async with clock.running:
            outcome = await _pool().execute(order, limits, relay, clock.start)
    except TimeoutError:
        name = function.__qualname__
        raise TimeoutError(f"{name} ran longer than its timeout of {timeout:g} s") from None
    except ChildDied as death:
        raise _why(death, limits) from None
    return cast("R", signature.decode_result(_result(outcome, has_begun=clock.is_started)))


class Clock:
    """The time of one call, which begins when its function does."""

    def __init__(self, timeout: float | None) -> None:
        """Allow so many seconds."""
        self.running = asyncio.timeout(None)
        self.is_started = False
        self._timeout = timeout

    def start(self) -> None:
        """Let it run from now."""
        self.is_started = True
        if self._timeout is not None:
            self.running.reschedule(asyncio.get_running_loop().time() + self._timeout)


class Pool:
    """The processes of one event loop."""

    def __init__(self) -> None:
        """Start processes when they are first needed."""
        self._slots = asyncio.Semaphore(MOST)
        self._warm = Warm()
        self._freed = asyncio.Event()
        self._at_work: Counter[Limits | None] = Counter()
        self._starting: Counter[Limits | None] = Counter()
        self._templates: dict[Limits, Template | None] = {}
        self._parting: list[Template] = []
        self._is_closed = False
        self._keeper = asyncio.create_task(self._keep(), name="offload-isolated", context=Context())

    async def execute(
        self,
        order: dict[str, Any],
        limits: Limits,
        relay: Relay,
        begin: Callable[[], None],
    ) -> Outcome:
        """Do it in a warm process, or in a new one, when it is its turn.

        Raises:
            ChildDied: the process ended first.
        """
        async with self._slots:
            while (child := await self._free(limits, order["qualname"])) is not None:
                try:
                    return await self._execute(child, order, relay, begin)
                except ChildDied as death:
                    if death.begun:  # else it died while it waited, which says nothing of this
                        raise
            child = await self._started(limits, order)
            return await self._execute(child, order, relay, begin)

    async def _free(self, limits: Limits, function: str) -> Child | None:
        """Return a warm process, if there is one or soon will be.

        One is started after the other: what is short is over before a second one is there.
        """
        now = asyncio.get_running_loop().time
        until = now() + PATIENCE
        while (child := self._warm.take(limits, function)) is None:
            self._freed.clear()
            if self._starting[limits]:
                await self._freed.wait()
                until = now() + PATIENCE
            elif self._at_work[limits] and now() < until:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._freed.wait()
            else:
                return None
        return child

    async def _started(self, limits: Limits, order: Mapping[str, Any]) -> Child:
        self._starting[limits] += 1
        try:
            await self._warm.make_room()
            return await self._forked(limits, order) or await Child.spawn(limits)
        finally:
            self._starting[limits] -= 1
            self._freed.set()

    async def _forked(self, limits: Limits, order: Mapping[str, Any]) -> Child | None:
        """Return a process that shares what it has imported with others; None if none can."""
        if self._is_closed:
            return None
        if limits not in self._templates:
            self._templates[limits] = await Template.start(limits, order["module"])
        template = self._templates[limits]
        if template is None:
            return None
        try:
            return await template.fork(limits, order["qualname"])
        except ChildDied:
            self._part(limits, template)
            return None

    async def _execute(
        self, child: Child, order: dict[str, Any], relay: Relay, begin: Callable[[], None]
    ) -> Outcome:
        self._at_work[child.limits] += 1
        try:
            outcome, _ = await child.execute(order, relay, begin)
        except BaseException:
            await child.close()
            raise
        finally:
            self._at_work[child.limits] -= 1
        if self._is_closed:
            await child.close()
        else:
            self._warm.keep(child)
            self._freed.set()
        return outcome

    async def _keep(self) -> None:
        """End what is idle until the end: a loop cancels what is left before it closes."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(IDLE / 4)
                await self._warm.end_idle(IDLE)
                self._parting = [template for template in self._parting if not template.is_gone]
                for limits, template in self._living():
                    if not template.is_used:
                        self._part(limits, template)
        self._is_closed = True
        del _POOLS[asyncio.get_running_loop()]
        await self._warm.close()
        for limits, template in self._living():
            self._part(limits, template)
        for template in self._parting:
            await template.close()

    def _living(self) -> list[tuple[Limits, Template]]:
        return [(limits, found) for limits, found in self._templates.items() if found is not None]

    def _part(self, limits: Limits, template: Template) -> None:
        """Have no more processes forked by it; it ends when those have that there are."""
        self._templates.pop(limits, None)
        template.hang_up()
        self._parting.append(template)


_POOLS: dict[asyncio.AbstractEventLoop, Pool] = {}


def _pool() -> Pool:
    loop = asyncio.get_running_loop()
    if loop not in _POOLS:
        _POOLS[loop] = Pool()
    return _POOLS[loop]


def _surroundings() -> tuple[tuple[Any, ...] | None, Relay]:
    """Return the row of the job that this runs for, and what passes its news on."""
    found = running()
    if found is None:
        return None, _nowhere
    job, reporter = found
    return row_of(job), partial(_tell, reporter)


async def _tell(reporter: Reporter, report: Report) -> None:
    reporter.report(report)


async def _nowhere(report: Report) -> None:
    raise AssertionError(f"{report} is of no job")


def _result(outcome: Outcome, *, has_begun: bool) -> bytes:
    match outcome:
        case Returned(result):
            return result
        case Raised(failure):
            if failure.type == LimitExceeded.__name__:
                raise (LimitExceeded if has_begun else ConfigurationError)(failure.message)
            raise IsolatedError(failure.type, failure.message, failure.traceback)
        case _:
            raise AssertionError(f"{outcome!r} is not how a function ends")


def _why(death: ChildDied, limits: Limits) -> Exception:
    if reason := why_killed(death.signal, limits):
        return LimitExceeded(reason)
    reason = f"it ended with {death} before its function did, under the limits: {limits}"
    return ProcessDied(ProcessDied.__name__, reason)
