"""The part of `Queue` that has to do with periodic tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Unpack

from offload.core.errors import ConfigurationError, ScheduleNotFound
from offload.core.options import NAME, require
from offload.core.schedule import Edit, Schedule
from offload.queue.base import Base
from offload.queue.changes import Changes, edit_of, edit_to
from offload.queue.periodic import PeriodicDecorator, Times
from offload.queue.schedule_info import ScheduleInfo, info_of
from offload.tasks.bridge import blocking
from offload.tasks.definition import TaskOptions
from offload.tasks.handle import JobHandle
from offload.tasks.periodic import (
    JobOptions,
    Periodic,
    job_of,
    plain_options,
    policy_of,
    positional,
    schedule_name,
    trigger_in,
    trigger_of,
)
from offload.tasks.registry import AnyTask, name_of


class Scheduling(Base):
    """See `Queue`."""

    def periodic(
        self,
        cron: str | None = None,
        *,
        every: float | timedelta | None = None,
        tz: str | None = None,
        seconds: bool = False,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        overlap: str = "allow",
        catch_up: str = "one",
        jitter: float = 0.0,
        **options: Unpack[TaskOptions],
    ) -> PeriodicDecorator:
        """Make a periodic task of a function, or give a schedule to a task.

        Workers enqueue a job at each due time, one in all for each, however many they are.

        Args:
            cron: five fields, minute hour day-of-month month day-of-week, or such as @daily.
            every: instead: seconds, or a timedelta, from 1 second on.
            tz: the time zone of `cron`, UTC if it is not given.
            seconds: `cron` has a sixth field, seconds, which comes first.
            name: of the schedule, by default that of its task; a second schedule needs one.
            args: positional arguments of each call.
            kwargs: named arguments of each call.
            overlap: allow, or skip due times while a job of the schedule is not over.
            catch_up: what becomes of due times at which no worker was there: one runs the
                newest, skip none, all each of them, 100 at most.
            jitter: seconds over which the starts are spread.
            options: of the task, as for `task`; not for a function that is a task already.

        Raises:
            ConfigurationError: a value is wrong; the message names the valid ones.
        """
        trigger = trigger_of(cron, every, tz, seconds=seconds)
        policy = policy_of(overlap, catch_up, jitter)
        times = Times(trigger, policy, name, positional(args), kwargs)
        return PeriodicDecorator(self.tasks, self._client, times, options)

    # --- at run time ---------------------------------------------------------------------

    async def aadd_periodic(
        self,
        task: AnyTask | str,
        *,
        cron: str | None = None,
        every: float | timedelta | None = None,
        tz: str | None = None,
        seconds: bool = False,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        overlap: str = "allow",
        catch_up: str = "one",
        jitter: float = 0.0,
        **options: Unpack[JobOptions],
    ) -> ScheduleInfo:
        """Store a schedule that no code defines; it stays until it is deleted.

        A schedule of that name and task that is there already gets these values, and stays
        paused if it was.

        Args:
            task: a task of this queue, or its name.
            cron: five fields, as for `periodic`; so are the others.
            every: instead: seconds, or a timedelta.
            tz: the time zone of `cron`.
            seconds: `cron` has a sixth field.
            name: of the schedule, by default that of the task.
            args: positional arguments of each call.
            kwargs: named arguments of each call.
            overlap: allow or skip.
            catch_up: one, skip or all.
            jitter: seconds over which the starts are spread.
            options: of the jobs, before those of the task: queue, priority, timeout, expires,
                max_retries, retry_backoff, max_retry_delay, retry_delays, result_ttl,
                metadata, tags.

        Raises:
            TaskNotRegistered: no task of that name is known here.
            ConfigurationError: a value is wrong, or a schedule of another task has the name.
            ArgumentError, PayloadError: the arguments do not fit.
        """
        known = self.tasks.get(name_of(task))
        trigger = trigger_of(cron, every, tz, seconds=seconds)
        policy = policy_of(overlap, catch_up, jitter)
        name = schedule_name(name, known)
        added = Periodic(name, known, trigger, policy, positional(args), kwargs)
        stored = added.schedule(await self._now())
        stored = replace(stored, options=plain_options(known, options), edited=True)
        return self._info(await self._add(stored))

    add_periodic = blocking(aadd_periodic)

    async def alist_periodic(self) -> list[ScheduleInfo]:
        """Return the stored schedules, by name; those of the code are stored by its workers."""
        return [self._info(schedule) for schedule in await self._schedules()]

    list_periodic = blocking(alist_periodic)

    async def apause_periodic(self, name: str) -> ScheduleInfo:
        """Let no tick of a schedule fire, also after restarts, until it is resumed.

        Raises:
            ScheduleNotFound: there is none of that name.
        """
        await self._known(name)
        return self._info(await self._edit(name, Edit(paused=True)))

    pause_periodic = blocking(apause_periodic)

    async def aresume_periodic(self, name: str) -> ScheduleInfo:
        """Let ticks fire again, from now on: what was due meanwhile is not caught up on.

        Raises:
            ScheduleNotFound: there is none of that name.
        """
        there = await self._known(name)
        if not there.paused:
            return self._info(there)
        next_at = trigger_in(there).after(await self._now())
        return self._info(await self._edit(name, Edit(paused=False, next_at=next_at)))

    resume_periodic = blocking(aresume_periodic)

    async def aedit_periodic(self, name: str, **changes: Unpack[Changes]) -> ScheduleInfo:
        """Change a schedule, which no longer follows the code then.

        It goes on from now: what was due before is not caught up on.

        Args:
            name: of the schedule.
            changes: cron, every, tz, seconds, args, kwargs, overlap, catch_up, jitter as for
                `periodic`; `options` as for `add_periodic`, all at once, in a dict.

        Raises:
            ScheduleNotFound: there is none of that name.
            TaskNotRegistered: arguments or options can only be checked where the task is known.
            ConfigurationError, ArgumentError, PayloadError: a value is wrong.
        """
        there = await self._known(name)
        edit = edit_of(there, changes, self.tasks, await self._now())
        return self._info(await self._edit(name, edit))

    edit_periodic = blocking(aedit_periodic)

    async def atrigger_periodic(self, name: str) -> JobHandle[Any]:
        """Enqueue a job of a schedule now, paused or not; when it fires next stays the same.

        The job has no tick.

        Raises:
            ScheduleNotFound: there is none of that name.
            TaskNotRegistered: its task is not known here.
        """
        there = await self._known(name)
        job = job_of(self.tasks.get(there.task), there, tick=None)
        [stored] = await self._client.enqueue([job])
        return JobHandle(stored, self._client)

    trigger_periodic = blocking(atrigger_periodic)

    async def adelete_periodic(self, name: str) -> bool:
        """Remove a schedule; its jobs stay. False if there is none of that name.

        One that code defines comes back, as the code has it, when a worker starts: pause it, or
        take it out of the code.
        """
        require("name", name, NAME)
        return await self._client.call(lambda store: store.delete_schedule(name))

    delete_periodic = blocking(adelete_periodic)

    # --- the store -----------------------------------------------------------------------

    async def _schedules(self) -> list[Schedule]:
        return await self._client.call(lambda store: store.schedules())

    async def _find(self, name: str) -> Schedule | None:
        return next((each for each in await self._schedules() if each.name == name), None)

    async def _known(self, name: str) -> Schedule:
        """Return a schedule; one that code defines here is there before a worker starts."""
        there = await self._find(name)
        if there is None and (defined := self.tasks.periodic.get(name)) is not None:
            fresh = defined.schedule(await self._now())
            await self._client.call(lambda store: store.put_schedules([fresh]))
            there = await self._find(name)
        if there is None:
            raise _not_found(name)
        return there

    async def _add(self, added: Schedule) -> Schedule:
        there = await self._find(added.name)
        if there is None:
            await self._client.call(lambda store: store.put_schedules([added]))
            return added
        if there.task != added.task:
            raise ConfigurationError(
                f"schedule {added.name!r} is one of the task {there.task!r}: give this one "
                "another name=, or delete that one"
            )
        return await self._edit(added.name, edit_to(added))

    async def _edit(self, name: str, edit: Edit) -> Schedule:
        changed = await self._client.call(lambda store: store.edit_schedule(name, edit))
        if changed is None:
            raise _not_found(name)
        return changed

    async def _now(self) -> int:
        return await self._client.call(lambda store: store.now())

    def _info(self, schedule: Schedule) -> ScheduleInfo:
        return info_of(schedule, is_stale=not self.tasks.fires(schedule))


def _not_found(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(
        f"no schedule is named {name!r}; a worker stores those of its code when it starts"
    )
