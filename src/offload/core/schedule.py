"""Periodic tasks: what is due is decided in `offload.cron`, what has fired by the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from offload.core.job import Job, NewJob


class CatchUp(StrEnum):
    """What becomes of ticks that nobody was there to fire."""

    SKIP = "skip"
    """They are dropped."""
    ONE = "one"
    """The newest of them fires, once."""
    ALL = "all"
    """Each fires, oldest first, at most 100."""


class Overlap(StrEnum):
    """What becomes of a tick while a job of an earlier one is pending or running."""

    ALLOW = "allow"
    """It fires."""
    SKIP = "skip"
    """It is dropped."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A periodic task as it is stored."""

    name: str
    task: str
    trigger: str
    """In the form of `offload.cron`, such as "cron:0 9 * * *" or "every:30"."""
    next_at: int
    """The next tick."""
    tz: str = "UTC"
    payload: bytes = b"[[],{}]"
    options: Mapping[str, object] | None = None
    """What a call would say of its job: queue, priority, timeout … in plain JSON."""
    overlap: Overlap = Overlap.ALLOW
    catch_up: CatchUp = CatchUp.ONE
    jitter: float = 0.0
    """Seconds over which the starts of one tick are spread."""
    paused: bool = False
    edited: bool = False
    """Whether it was added or changed at run time, and so no longer follows the code."""
    last_at: int | None = None
    """The tick that fired last, and its job."""
    last_job: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to a schedule; what is None stays as it is."""

    trigger: str | None = None
    next_at: int | None = None
    tz: str | None = None
    payload: bytes | None = None
    options: Mapping[str, object] | None = None
    overlap: Overlap | None = None
    catch_up: CatchUp | None = None
    jitter: float | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class Fire:
    """That a tick is due: to be applied only if the schedule still waits for `tick`."""

    name: str
    tick: int
    next_at: int
    jobs: tuple[NewJob, ...] = ()
    """For this tick and the missed ones that are caught up on; empty for ticks that are dropped."""


def redefined(there: Schedule, defined: Schedule) -> Schedule:
    """Return what is stored when a program defines a schedule that is there already."""
    if defined.edited:
        return defined
    if there.edited:
        return there
    same_ticks = (there.trigger, there.tz) == (defined.trigger, defined.tz)
    return replace(
        defined,
        next_at=there.next_at if same_ticks else defined.next_at,
        paused=there.paused,
        last_at=there.last_at,
        last_job=there.last_job,
    )


def edited(there: Schedule, edit: Edit) -> Schedule:
    """Return the schedule with the changes.

    A pause, and the next tick that comes with its end, are no change of what the code says.
    """
    changes = {name: getattr(edit, name) for name in (field.name for field in fields(edit))}
    changes = {name: value for name, value in changes.items() if value is not None}
    return replace(
        there, edited=there.edited or bool(changes.keys() - {"paused", "next_at"}), **changes
    )


def admitted(schedule: Schedule, fire: Fire, *, busy: bool) -> tuple[NewJob, ...]:
    """Return which jobs of a tick are enqueued; `busy`: one of the schedule has not ended yet."""
    if schedule.overlap is Overlap.ALLOW:
        return fire.jobs
    return () if busy else fire.jobs[-1:]


def fired(schedule: Schedule, fire: Fire, asked: Sequence[NewJob], jobs: Sequence[Job]) -> Schedule:
    """Return the schedule after a tick for which `asked` was enqueued, and answered with `jobs`."""
    if not jobs:
        return replace(schedule, next_at=fire.next_at)
    last_at = fire.tick if asked[-1].tick is None else asked[-1].tick
    return replace(schedule, next_at=fire.next_at, last_at=last_at, last_job=jobs[-1].id)
