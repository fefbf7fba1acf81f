"""To whom this process knows jobs to have been given, under which lease."""

from collections.abc import Iterable

from offload.core.job import Job

MOST = 100_000


class Holders:
    """The second half of the fence.

    After a crash that took the newest claims, or a failover to a replica that lacked them, a lease
    can be given a second time. So what is said under a lease counts only if it is still held by
    whom it was given to.
    """

    def __init__(self) -> None:
        """Know nobody."""
        self._workers: dict[tuple[str, int], str] = {}

    def note(self, worker: str, jobs: Iterable[Job]) -> None:
        """Remember who was given these jobs; the oldest are forgotten when there are too many."""
        for job in jobs:
            self._workers[job.id, job.lease] = worker
        while len(self._workers) > MOST:
            del self._workers[next(iter(self._workers))]

    def of(self, job_id: str, lease: int) -> str:
        """Return the worker's name, or nothing if it was given by another process."""
        return self._workers.get((job_id, lease), "")

    def forget(self, job_id: str, lease: int) -> None:
        """Nothing more will be said under this lease."""
        self._workers.pop((job_id, lease), None)
