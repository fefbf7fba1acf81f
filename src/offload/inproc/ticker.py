"""Periodic request tasks: cron and intervals that live as long as the application."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from offload.core.errors import ConfigurationError, OffloadError, ScheduleNotFound, TaskRefused
from offload.core.instants import moment
from offload.core.request import Overlap
from offload.cron import Every, Trigger, describe, due
from offload.inproc.call import Call, Taker
from offload.inproc.leading import Leading, Locks
from offload.inproc.options import RequestOptions
from offload.inproc.task import RequestTask, now

EVERY = 5.0
"""Seconds after which it looks without a reason: clocks may be set."""
SCOPES = ("process", "cluster")

log = logging.getLogger("offload.inproc")


class Overlapping(TaskRefused):
    """A run of the schedule has not ended, and its overlap policy refuses another."""


@dataclass(slots=True, eq=False)
class LocalSchedule:
    """A periodic request task of this process. Instants are in Unix milliseconds."""

    name: str
    func: Callable[..., Any]
    trigger: Trigger
    options: RequestOptions
    overlap: Overlap
    scope: str
    leading: Leading | None
    paused: bool = False
    next_at: int | None = None
    """The next tick; None until the application has started."""
    last_at: int | None = None
    """The tick, or the moment, for which a run was started last."""
    skipped: int = 0
    """How many ticks found an earlier run unfinished."""
    runs: list[RequestTask[Any]] = field(default_factory=list)
    """Those that have not ended."""
    waits: int | None = None
    """The tick that runs next, with overlap="queue"."""

    @property
    def description(self) -> str:
        """When it fires, in words."""
        return describe(self.trigger)

    @property
    def next_run(self) -> datetime | None:
        """When it fires next, in the schedule's zone; None while it does not."""
        if self.next_at is None or self.paused:
            return None
        return moment(self.next_at, self._zone)

    @property
    def _zone(self) -> ZoneInfo | None:
        return None if self.trigger.tz in (None, "UTC") else ZoneInfo(self.trigger.tz)

    def arguments(self, tick: int) -> dict[str, datetime]:
        """Return what its function is called with: `scheduled_at`, if it asks for that."""
        try:
            asks = "scheduled_at" in inspect.signature(self.func).parameters
        except ValueError:  # a function of C may have none
            asks = False
        return {"scheduled_at": moment(tick, self._zone)} if asks else {}


class Ticker:
    """Fires schedules.

    A tick that comes late, because the loop was held up or the machine slept, fires once, however
    late it is; of several such ticks the newest.
    """

    def __init__(self, taker: Taker, clock: Callable[[], int] = now) -> None:
        """Run what fires with `taker`; `clock` gives Unix milliseconds."""
        self.locks: Locks | None = None
        self.schedules: dict[str, LocalSchedule] = {}
        self._taker = taker
        self._clock = clock
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def add(
        self,
        func: Callable[..., Any],
        trigger: Trigger,
        options: RequestOptions,
        overlap: str,
        scope: str,
    ) -> LocalSchedule:
        """Take in a schedule; its first tick is the next one after now, or after the start.

        Raises:
            ConfigurationError: its name is taken, or an option is wrong.
        """
        if overlap not in list(Overlap):
            raise ConfigurationError(f"overlap={overlap!r}: must be one of {', '.join(Overlap)}")
        name = options.name or func.__qualname__
        if name in self.schedules:
            raise ConfigurationError(f"schedule {name!r} is there already: give name=")
        leading = self._leading(name, scope)
        entry = LocalSchedule(name, func, trigger, options, Overlap(overlap), scope, leading)
        self.schedules[name] = entry
        if self._running is not None:
            self._begin(entry)
        return entry

    def get(self, name: str) -> LocalSchedule:
        """Return a schedule.

        Raises:
            ScheduleNotFound: naming those that there are.
        """
        if name not in self.schedules:
            there = ", ".join(sorted(self.schedules)) or "none"
            raise ScheduleNotFound(f"no schedule {name!r} in this process; there are: {there}")
        return self.schedules[name]

    def pause(self, name: str) -> None:
        """Let no tick of a schedule fire; those that pass are gone.

        Raises:
            ScheduleNotFound: there is none of that name.
        """
        self.get(name).paused = True

    def resume(self, name: str) -> None:
        """Let the ticks of a schedule fire again, from the next one on.

        Raises:
            ScheduleNotFound: there is none of that name.
        """
        entry = self.get(name)
        entry.paused = False
        if entry.next_at is not None:
            entry.next_at = entry.trigger.after(self._clock())
        self._changed.set()

    def trigger(self, name: str) -> RequestTask[Any]:
        """Run a schedule's function now, once; its ticks and its pause stay as they are.

        Raises:
            ScheduleNotFound: there is none of that name.
            Overlapping: a run has not ended, and the schedule allows only one.
            TaskRefused: there is no room, or the process is shutting down.
        """
        entry = self.get(name)
        if entry.overlap is not Overlap.ALLOW and entry.runs:
            raise Overlapping(
                f"schedule {name!r}: request task {entry.runs[0].id} has not ended, "
                f"and overlap={str(entry.overlap)!r} allows one at a time"
            )
        return self._run(entry, self._clock())

    # --- ticking -------------------------------------------------------------------------

    def start(self) -> None:
        """Fire ticks on the running loop until `stop`; intervals count from now."""
        for entry in self.schedules.values():
            self._begin(entry)
        self._running = asyncio.create_task(self._tick(), name="offload-ticker")

    async def stop(self) -> None:
        """Fire no more; what runs goes on."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.wait({self._running})
        self._running = None
        for entry in self.schedules.values():
            entry.next_at = entry.waits = None
            if entry.leading is not None:
                await entry.leading.stop()

    def look(self) -> float:
        """Fire what is due, and return the seconds until the next look, at most `EVERY`."""
        instant = self._clock()
        wakes = [instant + round(EVERY * 1000)]
        for entry in self.schedules.values():
            if entry.paused or entry.next_at is None:
                continue
            if instant >= entry.next_at:
                tick, entry.next_at = _newest(entry.trigger, entry.next_at, instant)
                if entry.leading is None or entry.leading.fires(tick):
                    self._fire(entry, tick)
            wakes.append(entry.next_at)
        return max(0.0, (min(wakes) - self._clock()) / 1000)

    async def _tick(self) -> None:
        while True:
            self._changed.clear()
            seconds = self.look()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _begin(self, entry: LocalSchedule) -> None:
        instant = self._clock()
        if isinstance(entry.trigger, Every):
            entry.trigger = replace(entry.trigger, start=instant)
        entry.next_at = entry.trigger.after(instant)
        if entry.leading is not None:
            entry.leading.start()
        self._changed.set()

    def _fire(self, entry: LocalSchedule, tick: int) -> None:
        if entry.runs and entry.overlap is Overlap.QUEUE:
            entry.waits = tick
        elif entry.runs and entry.overlap is Overlap.SKIP:
            entry.skipped += 1
            log.info("schedule %s: a run has not ended, this tick is skipped", entry.name)
        else:
            try:
                self._run(entry, tick)
            except OffloadError as error:
                log.warning("schedule %s: this tick does not run: %s", entry.name, error)
            except Exception:
                log.exception("schedule %s: this tick does not run", entry.name)

    def _run(self, entry: LocalSchedule, tick: int) -> RequestTask[Any]:
        task = self._taker.take(Call(entry.func, (), entry.arguments(tick), entry.options))
        entry.last_at = tick
        entry.runs.append(task)
        task.when_ended(lambda: self._ended(entry, task))
        return task

    def _ended(self, entry: LocalSchedule, task: RequestTask[Any]) -> None:
        entry.runs.remove(task)
        if entry.waits is not None and not entry.runs:
            tick, entry.waits = entry.waits, None
            self._fire(entry, tick)

    def _leading(self, name: str, scope: str) -> Leading | None:
        if scope not in SCOPES:
            raise ConfigurationError(f"scope={scope!r}: must be one of {', '.join(SCOPES)}")
        if scope == "process":
            return None
        if self.locks is None:
            raise ConfigurationError(
                f"schedule {name!r}: scope='cluster' needs a store that all processes share: "
                "add_tasks(app, queue=queue)"
            )
        return Leading(self.locks, name, self._clock)


def _newest(trigger: Trigger, tick: int, instant: int) -> tuple[int, int]:
    """Return the last tick up to now, and the first one after."""
    found = due(trigger, tick, instant, grace=0)
    return found.ticks[-1], found.next_at
