"""The jobs that a worker has claimed and not yet finished for good."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import pairwise

from offload.core.decide import Released
from offload.core.job import Job
from offload.worker.run import Run

Key = tuple[str, int]
"""A job's id and lease: after a pause, a worker may hold a job that it has lost before."""


class Line:
    """Runs that share a slot, one after the other, because tasks have proved short."""

    def __init__(self, runs: list[Run], began: float) -> None:
        """Begin at `began`, in seconds of any clock."""
        self.runs = runs
        self.began = began
        self.left = len(runs)
        for run, follower in pairwise(runs):
            run.follower = follower

    def cut(self) -> None:
        """Give back what has not begun: it could be running elsewhere, or in another slot."""
        if self.left:
            for run in self.runs:
                run.end_unbegun(Released())


def in_lines(
    runs: list[Run], slots: int, spare: int = 0, most: int | None = None
) -> tuple[list[list[Run]], list[Run]]:
    """Spread runs over free slots, and return those that must be given back for want of one.

    What may not wait gets a slot of its own; the others share what is left, and `spare` lines
    that wait for a slot; but `most` lines at most, if there are more places than were asked for.
    """
    alone: list[Run] = []
    others: list[Run] = []
    for run in runs:
        (others if run.job.may_wait else alone).append(run)
    lines = [[run] for run in alone[:slots]]
    rest = slots + spare - len(lines)
    if most is not None:
        rest = min(rest, max(1, most - len(lines)))
    lines += [others[place::rest] for place in range(min(rest, len(others)))]
    return lines, alone[slots:] + (others if rest == 0 else [])


class Runs:
    """Which runs there are, and how many more may start. Belongs to the control loop.

    A slot is free again when the functions of its line have ended. A run leaves when its end is
    stored: until then the store rightly says that this worker holds the job.
    """

    def __init__(self) -> None:
        """Allow nothing yet: there must be somebody to run it."""
        self._free = 0
        self.ahead = 0
        """How many lines may wait for a slot."""
        self._runs: dict[Key, Run] = {}
        self._lines: dict[Key, Line] = {}
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Run]:
        """Go through a copy, for ends come in meanwhile."""
        return iter(list(self._runs.values()))

    def __contains__(self, key: Key) -> bool:
        """Whether this job is here under this lease."""
        return key in self._runs

    @property
    def free(self) -> int:
        """How many more lines may start at once."""
        return max(0, self._free)

    @property
    def spare(self) -> int:
        """How many more lines may wait for a slot."""
        return max(0, self.ahead + min(0, self._free))

    def resize(self, by: int) -> None:
        """Allow so many functions more at a time, or less."""
        self._free += by
        self._changed.set()

    def add(self, line: Line) -> None:
        """Take a line in as its first function starts."""
        self._free -= 1
        for run in line.runs:
            key = (run.job.id, run.job.lease)
            self._runs[key] = run
            self._lines[key] = line

    def returned(self, job: Job) -> Line | None:
        """Note that a function has ended; return its line if that was the last of it."""
        line = self._lines.pop((job.id, job.lease), None)
        if line is None:
            return None
        line.left -= 1
        if line.left:
            return None
        self._free += 1
        self._changed.set()
        return line

    def remove(self, jobs: Iterable[Job]) -> None:
        """Let the runs go whose ends are stored, or were refused."""
        for job in jobs:
            run = self._runs.pop((job.id, job.lease), None)
            if run is not None and run.timers:
                for timer in run.timers:
                    timer.cancel()
        self._changed.set()

    async def room(self) -> None:
        """Wait until another line may start, or wait for a slot."""
        while not self.free + self.spare:
            await self._change()

    async def empty(self) -> None:
        """Wait until every run has left."""
        while self._runs:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
