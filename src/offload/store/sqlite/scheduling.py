"""Schedules, which fire each tick once, and locks."""

from collections.abc import Sequence
from typing import Any

from offload.core.job import Job
from offload.core.schedule import Edit, Fire, Schedule, admitted, edited, fired, redefined
from offload.store.base import Channel
from offload.store.records import schedule_of
from offload.store.sqlite.enqueueing import enqueue, prepared
from offload.store.sqlite.rows import schedule_row
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


def put_schedules(tx: Transaction, schedules: Sequence[Schedule]) -> None:
    """Store each, or let the one that is there follow its new definition."""
    for schedule in schedules:
        there = _schedule(tx, schedule.name)
        _put(tx, schedule if there is None else redefined(there, schedule))
    tx.channels.add(Channel.SCHEDULES)


def edit_schedule(tx: Transaction, name: str, edit: Edit) -> Schedule | None:
    """Change what the edit names."""
    there = _schedule(tx, name)
    tx.channels.add(Channel.SCHEDULES)
    return None if there is None else _put(tx, edited(there, edit))


def delete_schedule(tx: Transaction, name: str) -> bool:
    """Remove the row, and say whether there was one."""
    return bool(tx.changed(SQL["delete_schedule"], {"name": name}, Channel.SCHEDULES))


def _schedule(tx: Transaction, name: str) -> Schedule | None:
    rows = tx.execute(SQL["schedule"], (name,))
    return schedule_of(rows[0]) if rows else None


def _put(tx: Transaction, schedule: Schedule) -> Schedule:
    tx.execute(SQL["put_schedule"], schedule_row(schedule))
    return schedule


def fire(tx: Transaction, fires: Sequence[Fire], now: int) -> list[list[Job] | None]:
    """Fire each tick that its schedule still waits for."""
    return [_fire_one(tx, each, now) for each in fires]


def _fire_one(tx: Transaction, fire: Fire, now: int) -> list[Job] | None:
    schedule = _schedule(tx, fire.name)
    if schedule is None or schedule.paused or schedule.next_at != fire.tick:
        return None
    ((busy,),) = tx.execute(SQL["schedule_runs"], {"name": fire.name})
    asked = admitted(schedule, fire, busy=bool(busy))
    jobs = enqueue(tx, prepared(asked, now), now)
    _put(tx, fired(schedule, fire, asked, jobs))
    return jobs


def acquire(tx: Transaction, wanted: dict[str, Any], ttl: float) -> int | None:
    """Take a lock that is free, or extend it; `wanted` has its name, owner, boot and ticks."""
    rows = tx.execute(SQL["lock"], wanted)
    holder, token, alive = rows[0] if rows else (None, 0, False)
    held = holder is not None and alive
    if held and holder != wanted["owner"]:
        return None
    token = int(token) if held else int(token) + 1
    tx.execute(SQL["put_lock"], wanted | {"token": token, "until": wanted["ticks"] + ttl})
    return token


def release(tx: Transaction, wanted: dict[str, Any]) -> bool:
    """Clear the owner of a lock that is still held, and keep its token."""
    return bool(tx.changed(SQL["drop_lock"], wanted, Channel.LOCKS))
