"""The commands, and how their errors look."""

import sys

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
