"""Schedules, which fire each tick once; one process at a time changes them."""

from collections.abc import Sequence

from offload.core.job import Job
from offload.core.schedule import Edit, Fire, Schedule, admitted, edited, fired, redefined
from offload.store.base import Channel
from offload.store.postgres.connection import Session
from offload.store.postgres.enqueueing import enqueue
from offload.store.postgres.locks import SCHEDULES
from offload.store.postgres.rows import schedule_row
from offload.store.records import schedule_of


async def put_schedules(tx: Session, schedules: Sequence[Schedule]) -> None:
    """Store each, or let the one that is there follow its new definition."""
    await tx.lock([SCHEDULES])
    for schedule in schedules:
        there = await _schedule(tx, schedule.name)
        await _put(tx, schedule if there is None else redefined(there, schedule))
    tx.channels.add(Channel.SCHEDULES)


async def edit_schedule(tx: Session, name: str, edit: Edit) -> Schedule | None:
    """Change what the edit names."""
    await tx.lock([SCHEDULES])
    there = await _schedule(tx, name)
    tx.channels.add(Channel.SCHEDULES)
    return None if there is None else await _put(tx, edited(there, edit))


async def delete_schedule(tx: Session, name: str) -> bool:
    """Remove the row, and say whether there was one."""
    await tx.lock([SCHEDULES])
    deleted = await tx.fetch("delete_schedule", name=name)
    if deleted:
        tx.channels.add(Channel.SCHEDULES)
    return bool(deleted)


async def fire(tx: Session, fires: Sequence[Fire]) -> list[list[Job] | None]:
    """Fire each tick that its schedule still waits for."""
    await tx.lock([SCHEDULES])
    return [await _fire_one(tx, each) for each in fires]


async def _fire_one(tx: Session, fire: Fire) -> list[Job] | None:
    schedule = await _schedule(tx, fire.name)
    if schedule is None or schedule.paused or schedule.next_at != fire.tick:
        return None
    ((busy,),) = await tx.fetch("schedule_runs", name=fire.name)
    asked = admitted(schedule, fire, busy=busy)
    jobs = await enqueue(tx, asked)
    await _put(tx, fired(schedule, fire, asked, jobs))
    return jobs


async def _schedule(tx: Session, name: str) -> Schedule | None:
    rows = await tx.fetch("schedule", name=name)
    return schedule_of(rows[0]) if rows else None


async def _put(tx: Session, schedule: Schedule) -> Schedule:
    await tx.fetch("put_schedule", **schedule_row(schedule))
    return schedule
