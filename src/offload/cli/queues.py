"""`offload queues`: what waits where, and whether it may start."""

from typing import Annotated

import typer

from offload.cli import documents
from offload.cli.apps import opened
from offload.cli.options import AppOption, GroupAppOption, JsonOption, asked_of, group
from offload.cli.output import Column, emit, say, table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The queue's name: mails.")]

app = group()


@app.callback()
def queues(
    context: typer.Context, *, app: GroupAppOption = None, as_json: JsonOption = False
) -> None:
    """List queues that have jobs or are paused; or pause, resume one.

    Example: offload queues --app app:queue
    """
    if (target := asked_of(context, app, as_json=as_json)) is None:
        return
    with opened(target) as queue:
        rows = queue.queues()
    if as_json:
        emit({"queues": [documents.queue(row) for row in rows]})
    elif not rows:
        say("no queue has jobs, and none is paused")
    else:
        columns = [
            Column("queue", cut="right"),
            Column("pending", is_number=True),
            Column("running", is_number=True),
            Column("state", is_state=True),
        ]
        shown = ("paused" if row.paused else "open" for row in rows)
        table(
            columns,
            [
                [row.name, f"{row.pending:,}", f"{row.running:,}", state]
                for row, state in zip(rows, shown, strict=True)
            ],
        )


@app.command()
def pause(name: NameArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Let no worker take jobs of a queue; what runs goes on.

    Example: offload queues pause mails --app app:queue
    """
    with opened(app) as queue:
        changed = queue.pause(name)
    if as_json:
        emit({"name": name, "paused": True, "changed": changed})
    else:
        say(f"{name} is paused" if changed else f"{name} was paused already")


@app.command()
def resume(name: NameArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Let workers take jobs of a queue again.

    Example: offload queues resume mails --app app:queue
    """
    with opened(app) as queue:
        changed = queue.resume(name)
    if as_json:
        emit({"name": name, "paused": False, "changed": changed})
    else:
        say(f"{name} is open again" if changed else f"{name} was not paused")
