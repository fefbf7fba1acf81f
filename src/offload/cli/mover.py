"""Moves all that one store holds to another one, while programs go on.

Each step can be repeated: a job is durable there before it is removed here, and comes in once
however often it is sent. So whoever is killed in the middle is started again, and goes on.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from offload.core.parcel import Parcel
from offload.core.records import DeadLetter
from offload.core.schedule import Edit, Schedule
from offload.core.states import State
from offload.store.base import Channel, Moving, Store
from offload.worker.janitor import take_over

BEGUN = "offload move"
"""The queue that is paused, and has no jobs, once the pauses of the store are known to be ours."""
PAGE = 500
LEASE = 30.0
"""Seconds for which nobody is judged dead: this process may itself have been suspended."""
REST = 1.0
"""Seconds between two looks at what still runs, if nothing tells of a change before."""


class Movable(Moving, Store, Protocol):
    """A store that can be moved from, or to."""


@dataclass(slots=True)
class Moved:
    """What was moved so far, and the jobs that are left."""

    jobs: int = 0
    letters: int = 0
    schedules: int = 0
    waiting: int = 0
    running: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return not self.waiting and not self.running


class Mover:
    """One move, from its first step to its last."""

    def __init__(
        self,
        source: Movable,
        target: Movable,
        tell: Callable[[Moved], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Move between two open stores, and `tell` how far it is."""
        self._source = source
        self._target = target
        self._tell = tell
        self._clock = clock
        self._began = clock()
        self.moved = Moved()

    async def run(self, *, follow: bool = False) -> Moved:
        """Move until nothing is left; with `follow`, go on for what still comes in."""
        await self.begin()
        while True:
            cursor = self._source.cursor(Channel.CHANGED)
            await self.sweep()
            if self.moved.over and not follow:
                return self.moved
            await self._source.wait(Channel.CHANGED, cursor, REST)

    async def begin(self) -> None:
        """Have nothing start here any more, and remember there what did not start here before."""
        paused = {queue.name for queue in await self._source.queues() if queue.paused}
        if BEGUN not in paused:
            for name in paused:
                await self._target.set_paused(name, paused=True)
            await self._source.set_paused(BEGUN, paused=True)
        for schedule in await self._source.schedules():
            await self._hand_over(schedule, paused)

    async def sweep(self) -> None:
        """Move all that can be moved now."""
        for queue in await self._source.queues():
            if not queue.paused:
                await self._source.set_paused(queue.name, paused=True)
        await take_over(self._source, may_judge=self._may_judge)
        await self._jobs()
        await self._letters()
        stats = await self._source.stats()
        self.moved.running = stats[State.RUNNING]
        self.moved.waiting = sum(stats.values()) - stats[State.RUNNING]
        self._tell(self.moved)

    def _may_judge(self) -> bool:
        return self._clock() - self._began > LEASE

    # --- schedules -----------------------------------------------------------------------

    async def _hand_over(self, schedule: Schedule, paused: set[str]) -> None:
        """Let a schedule fire there and not here: each tick is fired on one side."""
        ours = f"{BEGUN}: {schedule.name}"
        was_paused = schedule.paused and ours not in paused
        if not schedule.paused:
            # Before it is paused: that this was our doing must be known if we are killed.
            await self._source.set_paused(ours, paused=True)
            schedule = (
                await self._source.edit_schedule(schedule.name, Edit(paused=True)) or schedule
            )
        await self._put(replace(schedule, paused=was_paused))
        self.moved.schedules += 1

    async def _put(self, schedule: Schedule) -> None:
        there = {each.name: each for each in await self._target.schedules()}.get(schedule.name)
        if there is None or (schedule.edited and not there.edited):
            await self._target.put_schedules([schedule])
        elif schedule.paused:
            # The code that runs there has defined it already, and knows better what it is.
            await self._target.edit_schedule(schedule.name, Edit(paused=True))

    # --- jobs ----------------------------------------------------------------------------

    async def _jobs(self) -> None:
        """Move every job that does not run, in the order in which they came."""
        parents: list[Parcel] = []
        after = 0
        while parcels := await self._source.pack(after, PAGE):
            after = parcels[-1].place
            ready = await self._ready(parcels)
            await self._unpack(ready)
            parents += await self._forget(ready)
            self._tell(self.moved)
        # The youngest first: a job goes after those that depend on it.
        parents.reverse()
        for first in range(0, len(parents), PAGE):
            await self._forget(parents[first : first + PAGE])

    async def _ready(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Leave out the jobs that wait for one that is still to be moved itself."""
        blocked = [parcel for parcel in parcels if parcel.job.blockers]
        parents = {parent for parcel in blocked for parent in parcel.asked.depends_on}
        here, there = (
            await self._known(self._source, parents),
            await self._known(self._target, parents),
        )
        missing = here - there - {parcel.job.id for parcel in parcels}
        ready = []
        for parcel in parcels:
            if parcel.job.blockers and not missing.isdisjoint(parcel.asked.depends_on):
                missing.add(parcel.job.id)
            else:
                ready.append(parcel)
        return ready

    async def _known(self, store: Store, ids: set[str]) -> set[str]:
        return {job.id for job in await store.get(sorted(ids)) if job is not None}

    async def _unpack(self, parcels: Sequence[Parcel]) -> None:
        stored = await self._target.unpack(parcels)
        self.moved.jobs += sum(stored)
        for parcel, is_new in zip(parcels, stored, strict=True):
            # Cancelled here after it was sent: it must not run there.
            if not is_new and parcel.job.state is State.CANCELLED:
                await self._target.cancel(parcel.job.id)

    async def _forget(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Remove jobs that have arrived; return those that have to stay."""
        gone = await self._source.forget({each.job.id: each.job.version for each in parcels})
        return [parcel for parcel, is_gone in zip(parcels, gone, strict=True) if not is_gone]

    # --- dead letters --------------------------------------------------------------------

    async def _letters(self) -> None:
        """Move the dead letters, oldest first, so that they stay in their order."""
        count = 0
        while page := await self._source.dead_letters(PAGE, count):
            count += len(page)
        while count > 0:
            count = max(0, count - PAGE)
            letters: list[DeadLetter] = (await self._source.dead_letters(PAGE, count))[::-1]
            await self._target.put_letters(letters)
            await self._source.drop_letters([letter.id for letter in letters])
            self.moved.letters += len(letters)


async def outlook(source: Store) -> Moved:
    """Return what there is to move."""
    stats = await source.stats()
    letters = 0
    while page := await source.dead_letters(PAGE, letters):
        letters += len(page)
    jobs, running = sum(stats.values()), stats[State.RUNNING]
    return Moved(jobs, letters, len(await source.schedules()), jobs - running, running)
