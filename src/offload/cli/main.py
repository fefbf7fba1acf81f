"""The commands, and how their errors look."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from offload.cli import dead, doctor, info, jobs, move, queues, schedules, work
from offload.core.errors import OffloadError

app = typer.Typer(
    name="offload",
    help="Background work for FastAPI: run workers, look at queues, put things right.",
    epilog="Instead of --app, OFFLOAD_APP=app:queue in the environment does as well.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        typer.echo(f"offload {version('offload')}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which this is."),
]


@app.callback()
def offload(*, version: VersionOption = False) -> None:
    """Take what comes before the command."""


app.command()(work.worker)
app.command()(info.info)
app.add_typer(jobs.app, name="jobs")
app.add_typer(dead.app, name="dead")
app.add_typer(schedules.app, name="schedules")
app.add_typer(queues.app, name="queues")
app.command()(dead.purge)
app.command()(move.move)
app.command()(doctor.doctor)


def main() -> None:
    """Run the command; an error of ours is one readable line, not a traceback."""
    try:
        app()
    except OffloadError as error:
        # One line for people and for `grep`, so neither wrapped nor read as markup.
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"[bold red]offload:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)
