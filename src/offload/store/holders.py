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

    def note(self, worker: str, jobs: Iterable[Job]) -> list[Job]:
        """Remember who was given these jobs; return those that were given here before.

        The oldest are forgotten when there are too many.
        """
        workers, before = self._workers, []
        for job in jobs:
            lease = job.id, job.lease
            if lease in workers:
                before.append(job)
            workers[lease] = worker
        while len(workers) > MOST:
            del workers[next(iter(workers))]
        return before

    def of(self, job_id: str, lease: int) -> str:
        """Return the worker's name, or nothing if it was given by another process."""
        return self._workers.get((job_id, lease), "")

    def forget(self, job_id: str, lease: int) -> None:
        """Nothing more will be said under this lease."""
        self._workers.pop((job_id, lease), None)
