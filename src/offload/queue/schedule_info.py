"""A periodic task as programs see it."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from offload.core.errors import ConfigurationError
from offload.core.instants import moment
from offload.core.schedule import Schedule
from offload.cron import Trigger, describe
from offload.tasks.periodic import trigger_in


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """A periodic task as it was last read. Times are in the zone of the schedule."""

    name: str
    task: str
    trigger: str
    """Such as "cron:0 9 * * *" or "every:30"."""
    description: str
    """The same in words; if it cannot be used here, why."""
    tz: str
    overlap: str
    catch_up: str
    jitter: float
    paused: bool
    edited: bool
    """Whether it was added or changed at run time, and so no longer follows the code."""
    is_stale: bool
    """Whether this program does not fire it: its task, or its definition, is not in the code."""
    next_run: datetime | None
    """None while it is paused."""
    last_run: datetime | None
    """The tick for which a job was enqueued last."""
    last_job_id: str | None


def info_of(schedule: Schedule, *, is_stale: bool) -> ScheduleInfo:
    """Return what a program is told of a stored schedule."""
    try:
        trigger = trigger_in(schedule)
        words, place = describe(trigger), _zone(trigger)
    except ConfigurationError as error:
        words, place = str(error), None
    last_at = schedule.last_at
    return ScheduleInfo(
        name=schedule.name,
        task=schedule.task,
        trigger=schedule.trigger,
        description=words,
        tz=schedule.tz,
        overlap=str(schedule.overlap),
        catch_up=str(schedule.catch_up),
        jitter=schedule.jitter,
        paused=schedule.paused,
        edited=schedule.edited,
        is_stale=is_stale,
        next_run=None if schedule.paused else moment(schedule.next_at, place),
        last_run=None if last_at is None else moment(last_at, place),
        last_job_id=schedule.last_job,
    )


def _zone(trigger: Trigger) -> ZoneInfo | None:
    return ZoneInfo(trigger.tz) if trigger.tz not in (None, "UTC") else None
