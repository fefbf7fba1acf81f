"""`offload dead` and `offload purge`: what is kept of the past, and for how long."""

from typing import Annotated

import typer

from offload.cli import documents
from offload.cli.apps import opened
from offload.cli.options import (
    AgeOption,
    AppOption,
    GroupAppOption,
    JsonOption,
    YesOption,
    asked_of,
    group,
)
from offload.cli.output import Column, Failed, ago, ask, emit, say, span, table
from offload.queue.operating import PURGE_AGE

LimitOption = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="How many: --limit 100.")
]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID…", help="The letters, as `dead` shows them.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every letter there is now.")]
CompletedOption = Annotated[bool, typer.Option("--completed", help="Jobs that have ended.")]
DeadOption = Annotated[bool, typer.Option("--dead", help="Dead letters.")]

app = group()


@app.callback()
def dead(
    context: typer.Context,
    *,
    app: GroupAppOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, newest first; or retry, purge them.

    A dead letter is what is kept of a job whose attempts were used up.

    Example: offload dead --app app:queue --limit 100
    """
    if (target := asked_of(context, app, as_json=as_json)) is None:
        return
    with opened(target) as queue:
        letters = queue.dead_letters(limit)
    if as_json:
        emit({"dead_letters": [documents.letter(letter) for letter in letters]})
    elif not letters:
        say("no dead letters")
    else:
        columns = [
            Column("letter"),
            Column("task", cut="left"),
            Column("error", cut="right"),
            Column("died"),
        ]
        rows = [
            [letter.id, letter.job.task, letter.job.error or "", ago(letter.failed_at)]
            for letter in letters
        ]
        table(columns, rows)


@app.command()
def retry(
    app: AppOption,
    ids: IdsArgument = None,
    *,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Enqueue a fresh job for each letter, which is then gone.

    Example: offload dead retry --all --app app:queue
    """
    if bool(ids) == everything:
        raise typer.BadParameter("name the letters, or say --all")
    with opened(app) as queue:
        fresh = queue.retry_all_dead() if everything else queue.retry_dead_many(ids or ())
    missing = [dead_id for dead_id in ids or () if dead_id not in fresh]
    if as_json:
        emit({"new_job_ids": fresh, "not_found": missing})
    elif fresh:
        table([Column("letter"), Column("new job")], [list(pair) for pair in fresh.items()])
    elif everything:
        say("no dead letters")
    if missing:
        raise Failed(f"no dead letter {', '.join(missing)}: unknown, retried or purged")


@app.command("purge")
def purge_letters(
    app: AppOption,
    *,
    older_than: AgeOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove dead letters for good.

    Example: offload dead purge --older-than 7d --app app:queue
    """
    _purge(app, older_than, completed=False, letters=True, yes=yes, as_json=as_json)


def purge(
    app: AppOption,
    *,
    completed: CompletedOption = False,
    dead: DeadOption = False,
    older_than: AgeOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove ended jobs, with all that is kept of them, or dead letters, for good.

    Example: offload purge --completed --older-than 7d --app app:queue
    """
    if not completed and not dead:
        raise typer.BadParameter("say what: --completed, --dead, or both")
    _purge(app, older_than, completed=completed, letters=dead, yes=yes, as_json=as_json)


def _purge(
    app: str, age: float | None, *, completed: bool, letters: bool, yes: bool, as_json: bool
) -> None:
    age = PURGE_AGE if age is None else age
    kinds = {"ended jobs": completed, "dead letters": letters}
    words = " and ".join(kind for kind, is_meant in kinds.items() if is_meant)
    with opened(app) as queue:
        ask(f"Remove {words} older than {span(age)} from {queue.url}?", yes=yes)
        jobs = queue.purge_completed(age) if completed else None
        dead = queue.purge_dead(age) if letters else None
    if as_json:
        emit({"completed": jobs, "dead": dead})
        return
    for count, kind in ((jobs, "ended jobs"), (dead, "dead letters")):
        if count is not None:
            say(f"removed {count:,} {kind}")
