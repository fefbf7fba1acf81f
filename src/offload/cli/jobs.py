"""`offload jobs`: find jobs, look at one, cancel and replay them."""

from typing import Annotated

import typer

from offload.cli import documents
from offload.cli.apps import opened
from offload.cli.job import show_job
from offload.cli.options import AppOption, GroupAppOption, JsonOption, asked_of, group
from offload.cli.output import Column, Failed, ago, emit, say, table
from offload.core.errors import JobNotFound
from offload.core.states import State
from offload.queue import Queue
from offload.tasks.handle import JobHandle

AnyHandle = JobHandle[object]

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as `jobs` shows it.")]
StatusOption = Annotated[
    State | None,
    typer.Option(
        metavar="STATUS",
        help="Only pending, running, complete, failed, dead or cancelled ones: --status dead.",
    ),
]
TaskOption = Annotated[
    str | None, typer.Option(metavar="TASK", help="Only jobs of this task: --task app.resize.")
]
QueueOption = Annotated[
    str | None, typer.Option(metavar="QUEUE", help="Only jobs of this queue: --queue mails.")
]
TagOption = Annotated[
    str | None, typer.Option(metavar="TAG", help="Only jobs with this tag: --tag nightly.")
]
LimitOption = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="How many: --limit 100.")
]
BeforeOption = Annotated[
    str | None, typer.Option(metavar="ID", help="Only jobs older than this one: the next page.")
]
RunningOption = Annotated[bool, typer.Option("--running", help="Ask a running job to stop, too.")]

app = group()


@app.callback()
def jobs(
    context: typer.Context,
    *,
    app: GroupAppOption = None,
    status: StatusOption = None,
    task: TaskOption = None,
    queue: QueueOption = None,
    tag: TagOption = None,
    before: BeforeOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first; or show, cancel, replay one.

    Example: offload jobs --app app:queue --status dead --limit 100
    """
    if (target := asked_of(context, app, as_json=as_json)) is None:
        return
    with opened(target) as there:
        found: list[AnyHandle] = there.list_jobs(
            status=status, task=task, queue=queue, tag=tag, before=before, limit=limit
        )
    if as_json:
        emit({"jobs": [documents.job(handle.job) for handle in found]})
    elif not found:
        say("no such job")
    else:
        columns = [
            Column("job"),
            Column("status", is_state=True),
            Column("task", cut="left"),
            Column("queue", cut="right"),
            Column("enqueued"),
        ]
        table(columns, [_row(handle) for handle in found])


def _row(handle: AnyHandle) -> list[str]:
    job = handle.job
    return [job.id, str(job.state), job.task, job.queue, ago(job.created_at)]


@app.command()
def show(job_id: IdArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Show a job with all that is kept of it: errors, logs, parts, numbers, family.

    Example: offload jobs show 0198c5b2-… --app app:queue
    """
    with opened(app) as queue:
        show_job(_found(queue, job_id), as_json=as_json)


@app.command()
def cancel(
    job_id: IdArgument,
    app: AppOption,
    *,
    running: RunningOption = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel a pending job; with --running, ask one that is running to stop.

    Example: offload jobs cancel 0198c5b2-… --running --app app:queue
    """
    with opened(app) as queue:
        handle = _found(queue, job_id)
        is_cancelled = handle.cancel()
        is_asked = running and not is_cancelled and handle.cancel(running=True)
        status = handle.refresh().status
    if as_json:
        emit({"id": job_id, "cancelled": is_cancelled or is_asked, "status": status})
    elif is_cancelled:
        say(f"{job_id} is cancelled")
    elif is_asked:
        say(f"{job_id} is asked to stop")
    if not is_cancelled and not is_asked:
        hint = ": --running asks it to stop" if status == State.RUNNING else ""
        raise Failed(f"job {job_id} is {status}{hint}")


@app.command()
def replay(job_id: IdArgument, app: AppOption, *, as_json: JsonOption = False) -> None:
    """Enqueue a fresh job of the same call for a job that has ended.

    Example: offload jobs replay 0198c5b2-… --app app:queue
    """
    with opened(app) as queue:
        fresh = queue.replay(job_id)
    if as_json:
        emit({"id": job_id, "new_job_id": fresh.id})
    else:
        say(f"enqueued {fresh.id}")


def _found(queue: Queue, job_id: str) -> AnyHandle:
    if (handle := queue.get_job(job_id)) is None:
        raise JobNotFound(job_id, "", f"no job {job_id}: unknown, or purged")
    return handle
