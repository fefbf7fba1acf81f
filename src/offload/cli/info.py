"""`offload info`."""

from offload.cli import documents
from offload.cli.apps import opened
from offload.cli.options import AppOption, JsonOption
from offload.cli.output import Column, emit, facts, heading, say, span, table
from offload.store.base import WorkerRow


def info(app: AppOption, *, as_json: JsonOption = False) -> None:
    """Show how many jobs are in each state, the queues, and the workers.

    Example: offload info --app app:queue
    """
    with opened(app) as queue:
        stats, queues, workers = queue.stats(), queue.queues(), queue.list_workers()
        if as_json:
            emit(
                {
                    "store": queue.url,
                    "jobs": stats,
                    "queues": [documents.queue(row) for row in queues],
                    "workers": [documents.worker(row) for row in workers],
                }
            )
            return
        say(queue.url)
    heading("Jobs")
    facts({state: f"{count:,}" for state, count in stats.items()})
    heading("Workers")
    show_workers(workers)


def show_workers(workers: list[WorkerRow]) -> None:
    """Print the workers, or how to start one."""
    if not workers:
        say("none; start one: offload worker --app …")
        return
    columns = [
        Column("worker", cut="right"),
        Column("host", cut="right"),
        Column("pid", is_number=True),
        Column("slots", is_number=True),
        Column("queues", cut="right"),
        Column("last beat"),
        Column("state", is_state=True),
    ]
    table(columns, [_row(worker) for worker in workers])


def _row(row: WorkerRow) -> list[str]:
    queues = "all" if row.queues is None else ", ".join(row.queues)
    state = "alive" if row.alive else "silent"
    seen = f"{span(row.age)} ago"
    return [row.id, row.host, str(row.pid), str(row.concurrency), queues, seen, state]
