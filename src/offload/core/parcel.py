"""A job on its way from one store to another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offload.core.job import Job, NewJob, OnParentFailure, fed, orphaned
from offload.core.records import AttemptError, JobLog, Metric, Part, Repeat
from offload.core.states import State


@dataclass(frozen=True, slots=True)
class Parcel:
    """A job with all that is kept of it. Its records come without ids: each store has its own."""

    place: int
    """Where the job stands among those of the store that it comes from, oldest first."""
    job: Job
    asked: NewJob
    """What it still asks for: the key that it holds, its parents, its lane's limits."""
    lane_started_at: int | None = None
    """When a job of its lane started last."""
    errors: tuple[AttemptError, ...] = ()
    logs: tuple[JobLog, ...] = ()
    parts: tuple[Part, ...] = ()
    metrics: tuple[Metric, ...] = ()
    repeats: tuple[Repeat, ...] = ()


def arriving(parcel: Parcel, parents: Sequence[Job]) -> Job:
    """Return the job as it comes in where these of its parents are, in the order asked for."""
    job, asked = parcel.job, parcel.asked
    if not job.blockers:
        return job
    failed = [each for each in parents if each.is_final and each.state is not State.COMPLETE]
    job = replace(job, blockers=len({each.id for each in parents if not each.is_final}))
    if failed and asked.on_parent_failure is OnParentFailure.CANCEL:
        error = orphaned(failed[0])
        return replace(job, state=State.CANCELLED, error=error, finished_at=job.created_at)
    if job.blockers:
        return job
    results = [each.result or b"null" for each in parents]
    return replace(job, payload=fed(job.payload, asked.inputs, results))
