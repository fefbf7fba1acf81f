"""Jobs in the arguments of a call: themselves, or their ids."""

from collections.abc import Iterable
from typing import Protocol

from offload.core.errors import ConfigurationError


class HasId(Protocol):
    """A job, a handle of one, or its dead letter."""

    @property
    def id(self) -> str:
        """Its id."""


AnyJob = str | HasId


def id_of(job: object, name: str = "job_id") -> str:
    """Return the id of a job, which may be given in its place.

    Raises:
        ConfigurationError: it is neither; `name` is the argument that it was given for.
    """
    job_id = getattr(job, "id", job)
    if not isinstance(job_id, str):
        raise ConfigurationError(f"{name}={job!r}: must be a job, a handle, or an id")
    return job_id


def ids_of(jobs: object, name: str) -> list[str]:
    """Return the ids of several jobs.

    Raises:
        ConfigurationError: these are no jobs.
    """
    several = list(jobs) if isinstance(jobs, Iterable) and not isinstance(jobs, str) else None
    if several is None or not all(isinstance(getattr(job, "id", job), str) for job in several):
        raise ConfigurationError(f"{name}={jobs!r}: must be a list of jobs, handles or ids")
    return [id_of(job) for job in several]
