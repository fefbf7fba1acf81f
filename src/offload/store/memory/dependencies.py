"""Jobs that wait for others: what the end of a parent does to them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from offload.core.job import Job, NewJob, OnParentFailure, fed, orphaned
from offload.core.records import Family
from offload.core.states import State
from offload.store.base import Channel
from offload.store.memory.tables import Tables, given_up


def begun(db: Tables, job: Job, asked: NewJob) -> Job:
    """Return a new job as its parents let it begin: blocked, ready, or cancelled."""
    parents = [db.jobs[parent] for parent in dict.fromkeys(asked.depends_on)]
    job = replace(job, blockers=sum(not parent.is_final for parent in parents))
    for parent in parents:
        if parent.is_final and _orphans(parent, asked):
            return given_up(job, orphaned(parent), job.created_at)
    return _with_inputs(db, job, asked)


def settle(db: Tables, ended: Iterable[Job]) -> None:
    """Tell the jobs that wait for these, then those that wait for whom that cancels, and so on."""
    told = deque(ended)
    while told:
        parent = told.popleft()
        for child in dependents(db, parent.id):
            if child.state is State.PENDING:
                after = db.put(_after(db, child, parent))
                if after.is_final:
                    told.append(after)
                elif not after.blockers:
                    db.signals.notify(Channel.READY)


def _after(db: Tables, child: Job, parent: Job) -> Job:
    child = replace(child, blockers=child.blockers - 1)
    asked = db.waiters[child.id]
    if _orphans(parent, asked):
        return given_up(child, orphaned(parent), db.clock.now())
    return _with_inputs(db, child, asked)


def _orphans(parent: Job, asked: NewJob) -> bool:
    return parent.state is not State.COMPLETE and asked.on_parent_failure is OnParentFailure.CANCEL


def _with_inputs(db: Tables, job: Job, asked: NewJob) -> Job:
    if job.blockers:
        return job
    results = [db.jobs[parent].result or b"null" for parent in asked.depends_on]
    return replace(job, payload=fed(job.payload, asked.inputs, results))


def dependents(db: Tables, job_id: str) -> list[Job]:
    """Return the jobs that wait or waited for this one, oldest first."""
    return [db.jobs[child] for child, asked in db.waiters.items() if job_id in asked.depends_on]


def family(db: Tables, job_id: str) -> Family:
    """Return the ids of a job's parents and dependents."""
    parents = list(db.waiters[job_id].depends_on) if job_id in db.waiters else []
    return Family(parents, [child.id for child in dependents(db, job_id)])


def awaited(db: Tables) -> set[str]:
    """Return the ids of the jobs whose results a blocked job may still need."""
    blocked = [
        asked
        for child, asked in db.waiters.items()
        if db.jobs[child].state is State.PENDING and db.jobs[child].blockers
    ]
    return {parent for asked in blocked for parent in asked.depends_on}


def cut(db: Tables, job_id: str) -> None:
    """Forget whom this job waited for, and who waited for it."""
    db.waiters.pop(job_id, None)
    for child in dependents(db, job_id):
        asked = db.waiters[child.id]
        rest = tuple(parent for parent in asked.depends_on if parent != job_id)
        db.waiters[child.id] = replace(asked, depends_on=rest)
