"""A job on its way from one store to another."""

from collections.abc import Sequence
from dataclasses import dataclass

from offload.core.job import Job, NewJob, begun
from offload.core.records import AttemptError, JobLog, Metric, Part, Repeat


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
    return begun(parcel.job, parcel.asked, parents) if parcel.job.blockers else parcel.job
