"""Jobs that wait for others: what the end of a parent does to them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from offload.core.job import Job, OnParentFailure, fed, orphaned
from offload.core.records import Family
from offload.core.states import State
from offload.store.base import Channel
from offload.store.memory.tables import Tables, given_up


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
    if parent.state is not State.COMPLETE and asked.on_parent_failure is OnParentFailure.CANCEL:
        return given_up(child, orphaned(parent), db.clock.now())
    if child.blockers:
        return child
    results = [db.jobs[each].result or b"null" for each in asked.depends_on]
    return replace(child, payload=fed(child.payload, asked.inputs, results))


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
