"""`offload schedules`: periodic tasks."""

from typing import Annotated

import typer

from offload.cli import documents
from offload.cli.apps import opened
from offload.cli.options import AppOption, GroupAppOption, JsonOption, asked_of, group
from offload.cli.output import Column, Failed, ago, emit, say, table
from offload.queue.schedule_info import ScheduleInfo

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The schedule's name, by default its task's.")
]

app = group()


@app.callback()
def schedules(
    context: typer.Context, *, app: GroupAppOption = None, as_json: JsonOption = False
) -> None:
    """List periodic tasks by name; or pause, resume, trigger, delete one.

    Example: offload schedules --app app:queue
    """
    if (target := asked_of(context, app, as_json=as_json)) is None:
        return
    with opened(target) as queue:
        found = queue.list_periodic()
    if as_json:
        emit({"schedules": [documents.schedule(info) for info in found]})
    elif not found:
        say("no schedule is stored; a worker stores those of its code when it starts")
    else:
        columns = [
            Column("schedule", cut="left"),
            Column("due", cut="right"),
            Column("next"),
            Column("last"),
            Column("state", is_state=True),
        ]
        table(columns, [_row(info) for info in found])


def _row(info: ScheduleInfo) -> list[str]:
    upcoming = "-" if info.next_run is None else ago(documents.milliseconds(info.next_run))
    last = ago(documents.milliseconds(info.last_run))
    return [info.name, info.description, upcoming, last, _state(info)]


def _state(info: ScheduleInfo) -> str:
    if info.paused:
        return "paused"
    return "not in the code" if info.is_stale else "on"


@app.command()
def pause(name: NameArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Let nothing fire until it is resumed, also after restarts.

    Example: offload schedules pause app.send_report --app app:queue
    """
    with opened(app) as queue:
        _tell(queue.pause_periodic(name), f"{name} is paused", as_json=as_json)


@app.command()
def resume(name: NameArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Let it fire again, from now on.

    Example: offload schedules resume app.send_report --app app:queue
    """
    with opened(app) as queue:
        info = queue.resume_periodic(name)
    _tell(info, f"{name} is due {ago(documents.milliseconds(info.next_run))}", as_json=as_json)


@app.command()
def trigger(name: NameArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Enqueue a job of it now, paused or not.

    Example: offload schedules trigger app.send_report --app app:queue
    """
    with opened(app) as queue:
        job = queue.trigger_periodic(name)
    if as_json:
        emit({"name": name, "new_job_id": job.id})
    else:
        say(f"enqueued {job.id}")


@app.command()
def delete(name: NameArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Remove it; its jobs stay. One that code defines comes back with the next worker.

    Example: offload schedules delete hourly --app app:queue
    """
    with opened(app) as queue:
        if not queue.delete_periodic(name):
            raise Failed(f"no schedule is named {name!r}: offload schedules lists them")
    if as_json:
        emit({"name": name, "deleted": True})
    else:
        say(f"{name} is deleted")


def _tell(info: ScheduleInfo, words: str, *, as_json: bool) -> None:
    if as_json:
        emit(documents.schedule(info))
    else:
        say(words)
