"""Schedules, which fire each tick once, and locks."""

from collections.abc import Sequence
from dataclasses import fields

from offload.core.job import Job
from offload.core.schedule import Edit, Fire, Overlap, Schedule
from offload.store.sqlite.enqueueing import enqueue, prepared
from offload.store.sqlite.rows import schedule_of, schedule_row, text
from offload.store.sqlite.statements import SQL
from offload.store.sqlite.writer import Transaction


def put_schedules(tx: Transaction, schedules: Sequence[Schedule]) -> None:
    """Store each, or let the one that is there follow its new definition."""
    for schedule in schedules:
        name = "replace_schedule" if schedule.edited else "define_schedule"
        tx.execute(SQL[name], schedule_row(schedule))


def edit_schedule(tx: Transaction, name: str, edit: Edit) -> Schedule | None:
    """Change what the edit names."""
    values = {each.name: getattr(edit, each.name) for each in fields(Edit)}
    edited = any(values[key] is not None for key in values.keys() - {"paused"})
    values |= {"name": name, "edited": edited, "options": text(edit.options)}
    rows = tx.execute(SQL["edit_schedule"], values)
    return schedule_of(rows[0]) if rows else None


def fire(tx: Transaction, fires: Sequence[Fire], now: int) -> list[list[Job] | None]:
    """Fire each tick that its schedule still waits for."""
    return [_fire_one(tx, each, now) for each in fires]


def _fire_one(tx: Transaction, fire: Fire, now: int) -> list[Job] | None:
    rows = tx.execute(SQL["due_schedule"], {"name": fire.name, "tick": fire.tick})
    if not rows:
        return None
    jobs = list(fire.jobs)
    if rows[0][0] == Overlap.SKIP:
        ((runs,),) = tx.execute(SQL["schedule_runs"], {"name": fire.name})
        jobs = [] if runs else jobs[-1:]
    fired = enqueue(tx, prepared(jobs, now), now)
    last = {"last_at": jobs[-1].tick, "last_job": fired[-1].id} if jobs else {}
    values = {"name": fire.name, "next_at": fire.next_at, "last_at": None, "last_job": None}
    tx.execute(SQL["move_schedule"], values | last)
    return fired


def acquire(
    tx: Transaction, name: str, owner: str, boot: str, ticks: float, ttl: float
) -> int | None:
    """Take a lock that is free, or extend it."""
    rows = tx.execute(SQL["lock"], {"name": name, "boot": boot, "ticks": ticks})
    holder, token, alive = rows[0] if rows else (None, 0, False)
    held = holder is not None and alive
    if held and holder != owner:
        return None
    token = token if held else token + 1
    values = {"name": name, "owner": owner, "token": token, "boot": boot, "until": ticks + ttl}
    tx.execute(SQL["put_lock"], values)
    return int(token)
