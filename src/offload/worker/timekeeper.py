"""Fires the ticks of periodic tasks when they are due."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from offload.core.errors import DuplicateJob, OffloadError
from offload.core.schedule import Fire, Schedule
from offload.cron import due
from offload.store.base import Channel, Store
from offload.tasks.periodic import job_of, trigger_in
from offload.tasks.registry import Registry
from offload.worker.service import Service

log = logging.getLogger("offload.worker")

EVERY = 5.0
"""Seconds after which it looks without a reason: news may get lost, and clocks may be set."""
MOST_FIRES = 50
"""How many schedules fire in one transaction, so that none holds up other writers for long."""


class Timekeeper(Service):
    """Puts the schedules of this program's code, and sleeps until the next tick.

    Every worker has one. They need not agree: the store moves a schedule on for whoever comes
    first, and the job of a tick has the same id whoever makes it.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        """Fire ticks whose tasks are in `registry`."""
        super().__init__()
        self._store = store
        self._registry = registry
        self._put: set[str] = set()
        self._told: dict[str, str] = {}

    async def step(self) -> None:
        """Fire what is due, then wait for the next tick, or for a change of the schedules."""
        cursor = self._store.cursor(Channel.SCHEDULES)
        seconds = await self.look()
        await self.unless_stopping(self._store.wait(Channel.SCHEDULES, cursor, seconds))

    async def look(self) -> float:
        """Fire what is due, and return the seconds until the next tick, at most `EVERY`."""
        await self._put_schedules()
        now = await self._store.now()
        wakes, fires = [now + round(EVERY * 1000)], []
        for schedule in await self._store.schedules():
            if schedule.paused or not self._registry.fires(schedule):
                continue
            if now < schedule.next_at:
                wakes.append(schedule.next_at)
            elif (fire := self._fire_of(schedule, now)) is not None:
                wakes.append(fire.next_at)
                fires.append(fire)
        for start in range(0, len(fires), MOST_FIRES):
            await self._fire(fires[start : start + MOST_FIRES])
        return max(0.0, (min(wakes) - await self._store.now()) / 1000)

    async def _put_schedules(self) -> None:
        """Store what the code defines, once: what is removed at run time stays away till then."""
        fresh = [
            defined for name, defined in self._registry.periodic.items() if name not in self._put
        ]
        if not fresh:
            return
        now = await self._store.now()
        schedules = []
        for defined in fresh:
            try:
                schedules.append(defined.schedule(now))
            except OffloadError as error:
                self._tell(defined.name, f"cannot be stored: {error}")
        await self._store.put_schedules(schedules)
        self._put |= {defined.name for defined in fresh}

    def _fire_of(self, schedule: Schedule, now: int) -> Fire | None:
        """Return what to ask of the store for a schedule whose tick has come.

        None if this worker cannot make its jobs; one with the right code, or zones, may.
        """
        try:
            task = self._registry.get(schedule.task)
            found = due(trigger_in(schedule), schedule.next_at, now, schedule.catch_up)
            jobs = tuple(job_of(task, schedule, tick) for tick in found.ticks)
        except OffloadError as error:
            self._tell(schedule.name, f"cannot fire here: {error}")
            return None
        if found.dropped:
            log.warning("schedule %s: %d missed ticks are dropped", schedule.name, found.dropped)
        return Fire(schedule.name, schedule.next_at, found.next_at, jobs)

    async def _fire(self, fires: Sequence[Fire]) -> None:
        try:
            await self._store.fire(fires)
        except DuplicateJob as error:
            if len(fires) > 1:
                for fire in fires:
                    await self._fire([fire])
            else:
                log.warning("schedule %s: no job for this tick: %s", fires[0].name, error)
                await self._store.fire([replace(fires[0], jobs=())])

    def _tell(self, name: str, what: str) -> None:
        """Log an error that comes again with each look, once."""
        if self._told.get(name) != what:
            log.error("schedule %s %s", name, what)
            self._told[name] = what
