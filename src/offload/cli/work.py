"""`offload worker`."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from offload.cli.apps import load_queue
from offload.cli.options import AppOption, names, size
from offload.cli.reload import Reloader
from offload.worker import garbage, logs
from offload.worker.crew import CrewOptions
from offload.worker.members import Setup

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
        parser=size, metavar="SIZE",
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

    Functions run in processes of their own: one that dies is replaced,
    and costs the jobs that ran in it an attempt.

    Example: offload worker --app app:queue --concurrency 8
    """
    if reload:
        words = [word for word in sys.argv[1:] if word != "--reload"]
        Reloader([sys.executable, "-m", "offload", *words], Path.cwd()).run()
        return
    logs.configure(verbose=verbose)
    garbage.look_seldom()
    queue = load_queue(app)
    tasks = ", ".join(sorted(task.name for task in queue.tasks)) or "none yet"
    logging.getLogger("offload").info("serving %s with the tasks %s", queue.url, tasks)
    slots = concurrency or queue.workers
    setup = Setup(app, slots, verbose=verbose, max_jobs=max_jobs)
    queue.run_worker(
        concurrency=processes * slots,
        queues=names(queues),
        grace=grace,
        crew=CrewOptions(setup, processes, max_memory),
    )
    queue.close()
