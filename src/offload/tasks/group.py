"""Several jobs in the caller's hand."""

from collections import Counter
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, Generic, TypeVar, overload

from offload.core.options import PATIENCE, require
from offload.core.states import State
from offload.tasks.bridge import blocking
from offload.tasks.handle import JobHandle
from offload.tasks.ports import Jobs

R = TypeVar("R")
T = TypeVar("T")


class JobGroup(Sequence[JobHandle[R]], Generic[R]):
    """The handles of jobs that belong together, in the order of their calls."""

    def __init__(self, handles: Sequence[JobHandle[R]], jobs: Jobs, parent: Any = None) -> None:
        """Hold jobs that are reachable through `jobs`."""
        self.parent = parent
        """In a chain, the handle of what came before: of a job, or of a group."""
        self._handles = handles
        self._jobs = jobs

    @overload
    def __getitem__(self, place: int) -> JobHandle[R]: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[JobHandle[R]]: ...

    def __getitem__(self, place: int | slice) -> JobHandle[R] | Sequence[JobHandle[R]]:
        """Return one handle, or some."""
        return self._handles[place]

    def __len__(self) -> int:
        """Return how many jobs these are."""
        return len(self._handles)

    def __repr__(self) -> str:
        """Show what a log line needs."""
        counts = ", ".join(f"{count} {state}" for state, count in self.status.items() if count)
        return f"<JobGroup {counts}>"

    @property
    def status(self) -> dict[str, int]:
        """How many of the jobs have which status, as they were last read."""
        counts = Counter(handle.status for handle in self)
        return {str(state): counts[state] for state in State}

    async def arefresh(self) -> "JobGroup[R]":
        """Read all jobs again.

        Raises:
            JobPurged: one is gone.
        """
        jobs = await self._jobs.call(lambda store: store.get([handle.id for handle in self]))
        for handle, job in zip(self, jobs, strict=True):
            handle.updated(job)
        return self

    refresh = blocking(arefresh)

    async def aresult(self, timeout: float | None = None) -> list[R]:
        """Wait for all jobs and return what they returned, in the order of their calls.

        `timeout` is in seconds, for all of them together.

        Raises:
            TimeoutError: time was up; the jobs go on.
            JobError: the first job, in that order, that ended without a result; as for one job.
        """
        if timeout is None:
            return [await handle.aresult() for handle in self]
        require("timeout", timeout, PATIENCE)
        end = monotonic() + timeout
        return [await handle.aresult(max(end - monotonic(), 0)) for handle in self]

    result = blocking(aresult)

    async def acancel(self, *, running: bool = False) -> int:
        """Cancel those that are pending, with `running` also stop those that run; say how many."""
        return sum([await handle.acancel(running=running) for handle in self])

    cancel = blocking(acancel)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._jobs.run(coroutine)
