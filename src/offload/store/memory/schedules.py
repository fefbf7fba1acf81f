"""Periodic tasks: each tick once."""

from collections.abc import Sequence

from offload.core.job import Job
from offload.core.schedule import Edit, Fire, Schedule, admitted, edited, fired, redefined
from offload.core.states import LIVE
from offload.store.memory.enqueueing import enqueue
from offload.store.memory.tables import Tables


def put(db: Tables, defined: Schedule) -> None:
    """Store a schedule, or its definition."""
    there = db.schedules.get(defined.name)
    db.schedules[defined.name] = defined if there is None else redefined(there, defined)


def edit(db: Tables, name: str, change: Edit) -> Schedule | None:
    """Change a schedule."""
    there = db.schedules.get(name)
    if there is None:
        return None
    changed = db.schedules[name] = edited(there, change)
    return changed


def fire(db: Tables, fires: Sequence[Fire]) -> list[list[Job] | None]:
    """Fire the ticks that still wait, all or none."""
    with db.whole():
        return [_fire(db, each) for each in fires]


def _fire(db: Tables, fire: Fire) -> list[Job] | None:
    schedule = db.schedules.get(fire.name)
    if schedule is None or schedule.paused or schedule.next_at != fire.tick:
        return None
    busy = any(job.schedule == fire.name and job.state in LIVE for job in db.jobs.values())
    asked = admitted(schedule, fire, busy=busy)
    jobs = enqueue(db, asked)
    db.schedules[fire.name] = fired(schedule, fire, asked, jobs)
    return jobs
