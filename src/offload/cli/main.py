"""The commands, and how their errors look."""

import json
import logging
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offload.cli.apps import load_queue
from offload.cli.reload import Reloader
from offload.core.errors import OffloadError
from offload.worker import logs
from offload.worker.crew import CrewOptions
from offload.worker.members import Setup

app = typer.Typer(
    name="offload",
    help="Background work for FastAPI: run workers and look at queues.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AppOption = Annotated[
    str, typer.Option("--app", "-A", help="Where the queue is: module:queue, as in app:queue.")
]


@app.callback()
def _main() -> None:
    """Keep `worker` a command of its own even while it stands alone."""


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]?)I?B?", text.strip().upper())
    if found is None or not int(found[1]):
        raise typer.BadParameter(f"{text!r}: write a size, as in 512MB or 2GB")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


ProcessesOption = Annotated[
    int, typer.Option("--processes", "-p", min=1, help="Processes that run functions: -p 4.")
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--concurrency", "-c", min=1,
        help="Functions at a time in each process, instead of workers=: -c 8.",
    ),
]  # fmt: skip
QueuesOption = Annotated[
    str | None, typer.Option("--queues", "-Q", help="Serve only these: -Q mails,images.")
]
MaxJobsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Replace a process after so many jobs: --max-jobs 10000."),
]
MaxMemoryOption = Annotated[
    int | None,
    typer.Option(
        parser=_bytes, metavar="SIZE",
        help="Replace a process that occupies more: --max-memory 512MB.",
    ),
]  # fmt: skip
GraceOption = Annotated[
    float,
    typer.Option(min=0, help="Seconds for running jobs to end after Ctrl-C or SIGTERM: --grace 5."),
]
ReloadOption = Annotated[
    bool, typer.Option("--reload", help="Start anew when a *.py below this folder changes.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log every job.")]


@app.command()
def worker(
    app: AppOption,
    *,
    processes: ProcessesOption = 1,
    concurrency: ConcurrencyOption = None,
    queues: QueuesOption = None,
    max_jobs: MaxJobsOption = None,
    max_memory: MaxMemoryOption = None,
    grace: GraceOption = 30.0,
    reload: ReloadOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run jobs until Ctrl-C or SIGTERM; a second one does not wait for them.

    Functions run in processes of their own: one that dies costs the jobs that ran in it an
    attempt, and is replaced.

    Example: offload worker --app app:queue --concurrency 8
    """
    if reload:
        words = [word for word in sys.argv[1:] if word != "--reload"]
        Reloader([sys.executable, "-m", "offload", *words], Path.cwd()).run()
        return
    logs.configure(verbose=verbose)
    queue = load_queue(app)
    tasks = ", ".join(sorted(task.name for task in queue.tasks)) or "none yet"
    logging.getLogger("offload").info("serving %s with the tasks %s", queue.url, tasks)
    slots = concurrency or queue.workers
    setup = Setup(app, slots, verbose=verbose, max_jobs=max_jobs)
    queue.run_worker(
        concurrency=processes * slots,
        queues=_names(queues),
        grace=grace,
        crew=CrewOptions(setup, processes, max_memory),
    )
    queue.close()


@app.command()
def info(
    app: AppOption,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show how many jobs are in each state, and which workers are alive."""
    queue = load_queue(app)
    stats, workers = queue.stats(), queue.list_workers()
    queue.close()
    if as_json:
        rows = [{"id": row.id, "pid": row.pid, "alive": row.alive} for row in workers]
        typer.echo(json.dumps({"jobs": stats, "workers": rows}))
        return
    jobs = Table("jobs", "count", title=queue.url)
    for state, count in stats.items():
        jobs.add_row(state, str(count))
    people = Table("worker", "pid", "slots", "last beat")
    for row in workers:
        seen = f"{row.age:.0f} s ago" if row.alive else f"[red]{row.age:.0f} s ago[/]"
        people.add_row(row.id, str(row.pid), str(row.concurrency), seen)
    Console().print(jobs, people)


def main() -> None:
    """Run the command; an error of ours is one readable line, not a traceback."""
    try:
        app()
    except OffloadError as error:
        # One line for people and for `grep`, so neither wrapped nor read as markup.
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"[bold red]offload:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)
