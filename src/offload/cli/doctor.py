"""`offload doctor`: what is wrong, and the way out."""

import time
from collections.abc import Iterator

import typer

from offload.cli import documents
from offload.cli.apps import opened
from offload.cli.options import AppOption, JsonOption
from offload.cli.output import Column, ago, block, emit, span, table
from offload.core.errors import OffloadError
from offload.core.states import State
from offload.queue import Queue
from offload.store.health import Finding, Level, note, ok, wrong
from offload.store.open import examine

NOT_THERE = {"file", "server"}
"""Checks of which a finding says that there is no store to look into."""
AHEAD = 1.0
"""Seconds by which a stored moment may be ahead of the clock."""
PAGE, MOST_PAGES = 500, 10
"""How many pending jobs are looked through for tasks that nobody knows."""


def doctor(app: AppOption, *, as_json: JsonOption = False) -> None:
    """Look for what is wrong with the queue, its file and this machine; exit with 1 if anything is.

    Example: offload doctor --app app:queue
    """
    with opened(app) as queue:
        findings = examine(queue.store)
        if not any(finding.check in NOT_THERE for finding in findings):
            findings += _opened(queue)
    is_wrong = any(finding.level is Level.WRONG for finding in findings)
    if as_json:
        emit({"ok": not is_wrong, "findings": [documents.finding(each) for each in findings]})
    else:
        columns = [Column("check"), Column("is", is_state=True), Column("found", cut="right")]
        table(columns, [[each.check, each.level, each.found] for each in findings])
        _show_remedies(findings)
    if is_wrong:
        raise typer.Exit(1)


def _show_remedies(findings: list[Finding]) -> None:
    for finding in findings:
        if finding.level is not Level.OK:
            block(f"\n{finding.level}: {finding.check}: {finding.found}\n  {finding.remedy}")


def _opened(queue: Queue) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(_of_queue(queue))
    except OffloadError as error:
        findings.append(wrong("store", str(error), "first put right what else is wrong"))
    return findings


def _of_queue(queue: Queue) -> Iterator[Finding]:
    yield _clock(queue)
    yield _workers(queue)
    yield _paused(queue)
    yield _tasks(queue)
    yield _schedules(queue)
    yield _dead_letters(queue)


def _clock(queue: Queue) -> Finding:
    newest = queue.list_jobs(limit=1)
    ahead = newest[0].created_at / 1000 - time.time() if newest else 0.0
    if ahead <= AHEAD:
        return ok("clock", f"newest job {ago(newest[0].created_at)}" if newest else "no jobs yet")
    return wrong(
        "clock",
        f"the newest job was enqueued {span(ahead)} from now",
        "the machine's clock was set back: set it right (timedatectl)",
    )


def _workers(queue: Queue) -> Finding:
    workers = queue.list_workers()
    alive = sum(worker.alive for worker in workers)
    if alive:
        return ok("workers", f"{alive} alive")
    start = "start one: offload worker --app …"
    waiting = queue.stats()["pending"]
    if waiting:
        return wrong("workers", f"none alive, {waiting:,} pending", start)
    return note("workers", "none alive, and nothing to do", start)


def _paused(queue: Queue) -> Finding:
    paused = [row for row in queue.queues() if row.paused]
    if not paused:
        return ok("paused", "no queue")
    names = ", ".join(f"{row.name} ({row.pending:,} pending)" for row in paused)
    return note("paused", names, "offload queues resume NAME")


def _tasks(queue: Queue) -> Finding:
    unknown: set[str] = set()
    before = None
    for _ in range(MOST_PAGES):
        page = queue.list_jobs(status=State.PENDING, before=before, limit=PAGE)
        unknown |= {job.task_name for job in page if queue.tasks.find(job.task_name) is None}
        if len(page) < PAGE:
            break
        before = page[-1].id
    if not unknown:
        return ok("tasks", "those of the pending jobs are known here")
    return wrong(
        "tasks",
        f"jobs wait for what is unknown here: {', '.join(sorted(unknown))}",
        "import the modules that define them in the one that --app names",
    )


def _schedules(queue: Queue) -> Finding:
    stored = queue.list_periodic()
    stale = [info.name for info in stored if info.is_stale]
    if not stale:
        return ok("schedules", f"{len(stored)} stored")
    return note(
        "schedules", f"not in the code: {', '.join(stale)}", "offload schedules delete NAME"
    )


def _dead_letters(queue: Queue) -> Finding:
    if letters := queue.dead_letters(1):
        newest = ago(letters[0].failed_at)
        return note("dead letters", f"newest {newest}", "offload dead lists them, dead retry …")
    return ok("dead letters", "none")
