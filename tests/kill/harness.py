"""Workers and producers as real processes, and the faults that are done to them.

A worker is whatever descends from its command: nothing here knows how many processes that is.
"""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rich.progress import Progress

from offload.core.decide import POISON_CRASHES
from tests.kill.final import Final
from tests.kill.history import Began, Exited, Fault, Over, Pen, now
from tests.kill.links import CUTS, PRODUCERS, Links
from tests.kill.places import PLACES
from tests.kill.processes import family, inhabitants, send
from tests.kill.tail import Tail

ROOT = Path(__file__).parents[2]
LOOK = 0.05
"""Seconds between two looks at what has been written."""
STARTING = 10.0
"""Seconds after which a worker that has run nothing yet is hurt all the same."""
PATIENCE = 120.0
"""Seconds without another job that has become final, after which the harness gives up."""
LEAD = 20
"""Jobs for each worker to begin with; more come with each fault, so that both last as long."""
ENOUGH = 0.8
"""Of the jobs asked for, those that run at least once: others are cancelled, or find their key."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run consists of; `lease`, `rest` and `calm` in seconds."""

    jobs: int
    workers: int
    producers: int
    kills: int
    stops: int
    producer_kills: int
    seed: int
    lease: float
    rest: float
    store: str = "sqlite"
    cuts: int = 0
    """Faults of what leads to the server."""
    outages: int = 0
    calm: float = 3.0
    """How long the server is left alone, on average."""

    @property
    def faults(self) -> int:
        """How many faults the workers and the server get."""
        return self.kills + self.stops + self.cuts + self.outages


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault to come of "all" processes of a worker, of "one", or of its "link"."""

    how: str
    whom: str


class Harness:
    """One run."""

    def __init__(self, load: Load, folder: Path) -> None:
        """Work in `folder`, where the history is made, and a database that is a file."""
        self._load = load
        self._folder = folder
        self._rng = random.Random(load.seed)
        self.place = PLACES[load.store](folder)
        self._links = Links(self.place, self._rng)
        self._blows = deque(self._plan())
        self._dealt = 0
        self._all_dealt = asyncio.Event()
        self._producer_deaths = 0
        self._workers: dict[int, Process] = {}
        self._ending = False
        self._pen = Pen(folder / "history")
        self._tail = Tail(folder / "history", load.producers)

    def _plan(self) -> list[Blow]:
        rng, load = self._rng, self._load
        blows = [Blow("kill", rng.choice(["all", "one"])) for _ in range(load.kills)]
        blows += [Blow("stop", rng.choice(["all", "all", "one"])) for _ in range(load.stops)]
        blows += [Blow(CUTS[number % len(CUTS)], "link") for number in range(load.cuts)]
        rng.shuffle(blows)
        return blows

    async def run(self, progress: Progress) -> float:
        """Run to the end, and return how many seconds that took."""
        began, load = now(), self._load
        self._pen.write(Began(seed=load.seed, lease=load.lease, poison=POISON_CRASHES))
        try:
            await self._links.open(load.workers)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(progress))
                group.create_task(self._hurt_server())
                workers = [group.create_task(self._keep_worker(n)) for n in range(load.workers)]
                await asyncio.gather(*map(self._keep_producer, range(load.producers)))
                await self._finish(workers)
                watching.cancel()
        finally:
            send(inhabitants(self._mark), signal.SIGKILL)
            self._pen.close()
            self._tail.close()
            await self._links.close()
        return now() - began

    def close(self) -> None:
        """Let go of the place where the queue was."""
        self.place.close()

    @property
    def _mark(self) -> bytes:
        return os.fsencode(self._folder)

    async def _watch(self, progress: Progress) -> None:
        faults = progress.add_task("faults", total=self._load.faults)
        jobs = progress.add_task("functions run", total=self._load.jobs)
        while True:
            self._tail.look()
            progress.update(faults, completed=self._dealt)
            progress.update(jobs, completed=self._tail.left)
            await asyncio.sleep(LOOK)

    async def _finish(self, workers: list[asyncio.Task[None]]) -> None:
        """Wait until all faults are dealt and all jobs final, end the workers, write it down."""
        if self._load.faults:
            await self._all_dealt.wait()
        since = now()
        final = Final(self.place)
        await final.drained(PATIENCE)
        drained = round(now() - since, 3)
        self._ending = True
        for process in self._workers.values():
            with suppress(ProcessLookupError):
                process.terminate()
        await asyncio.gather(*workers)
        orphans = await self._orphans()
        if self.place.server is not None:
            await self._links.outage("kill", 0)  # what is read next is what it has really kept
        stats, integrity = await final.keep(self._pen)
        self._pen.write(Over(stats=stats, integrity=integrity, orphans=orphans, drained=drained))

    async def _orphans(self) -> int:
        """Count the processes that are left, after those that end by themselves had the time."""
        deadline = now() + 3 * self._load.lease
        while (left := inhabitants(self._mark)) and now() < deadline:  # noqa: ASYNC110 - see below
            await asyncio.sleep(LOOK)  # they are not our children: nobody tells of their end
        return len(left)

    async def _start(self, name: str, link: int, *words: object, stdin: int = DEVNULL) -> Process:
        env = {
            **os.environ,
            "OFFLOAD_KILL_FOLDER": str(self._folder),
            "OFFLOAD_KILL_URL": self._links.url(link),
            "OFFLOAD_KILL_LEASE": str(self._load.lease),
            "OFFLOAD_KILL_WORKER": name,
            # Most of what a kill costs is a start, and a quarter of a start is compiling.
            "PYTHONPYCACHEPREFIX": str(self._folder / "compiled"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        with (self._folder / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", *map(str, words),
                cwd=ROOT, env=env, stdin=stdin, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    # --- workers -------------------------------------------------------------------------

    async def _keep_worker(self, slot: int) -> None:
        """Keep one worker alive, and hurt it again and again."""
        for life in count():
            name = f"w{slot}.{life}"
            command = ("offload", "worker", "--app", "tests.kill.app:queue")
            process = await self._start(name, slot, *command)
            self._workers[slot] = process
            if self._ending:
                process.terminate()
            while await self._lives_on(name, process):
                blow = self._blows.popleft()
                deal = self._cut if blow.whom == "link" else self._deal
                self._written(await deal(blow, name, process))
            code = await process.wait()
            self._pen.write(Exited(worker=name, pid=process.pid, code=code))
            if code > 0 or (code == 0 and not self._ending):
                raise RuntimeError(f"worker {name} ended with exit code {code}")
            if self._ending:
                return

    async def _lives_on(self, name: str, process: Process) -> bool:
        """Wait until the worker is at work, and a little more; False if it has ended."""
        deadline = now() + STARTING
        while name not in self._tail.workers and now() < deadline:
            if await _ended(process, LOOK):
                return False
        await _ended(process, self._rng.expovariate(1 / self._load.rest))
        while not self._is_time():
            if await _ended(process, LOOK):
                return False
        if not self._blows:
            await process.wait()
        return process.returncode is None

    def _is_time(self) -> bool:
        """Whether enough has been run for the next fault: else most would run after the last."""
        share = self._dealt / self._load.faults if self._load.faults else 0.0
        return self._tail.left >= ENOUGH * self._load.jobs * share - LEAD * self._load.workers

    async def _deal(self, blow: Blow, worker: str, process: Process) -> Fault:
        pids = family(process.pid)
        if blow.whom == "one":
            pids = [self._rng.choice(pids)] if pids else []
        at = now()
        hit = send(pids, signal.SIGKILL if blow.how == "kill" else signal.SIGSTOP)
        if blow.how == "stop":
            await asyncio.sleep(self._past_a_lease())
            send(hit, signal.SIGCONT)
        return Fault(at=at, how=blow.how, whom=blow.whom, worker=worker, pids=hit, until=now())

    async def _cut(self, blow: Blow, worker: str, process: Process) -> Fault:
        at, slot = now(), int(worker[1:].partition(".")[0])
        # A cut that is over at once is mended before a lease is lost: it explains nothing.
        pids = tuple(family(process.pid)) if blow.how == "freeze" else ()
        await self._links.cut(blow.how, slot, self._past_a_lease())
        return Fault(at=at, how=blow.how, whom="link", worker=worker, pids=pids, until=now())

    def _past_a_lease(self) -> float:
        return self._rng.uniform(1.2, 2.5) * self._load.lease

    def _written(self, fault: Fault) -> None:
        self._pen.write(fault)
        self._dealt += 1
        if self._dealt == self._load.faults:
            self._all_dealt.set()

    # --- the server ----------------------------------------------------------------------

    async def _hurt_server(self) -> None:
        """Kill it again and again, or stop it; and cut what the producers say."""
        for number in range(self._load.outages):
            await asyncio.sleep(self._rng.expovariate(1 / self._load.calm))
            while not self._is_time():  # noqa: ASYNC110 - what has been run stands in a file
                await asyncio.sleep(LOOK)
            at, how = now(), CUTS[1 + number % 3]
            await self._links.cut(how, PRODUCERS, 0)
            fault = Fault(at=at, how=how, whom="producer", worker="", pids=(), until=now())
            self._pen.write(fault)
            at, how = now(), "stop" if number % 3 == 2 else "kill"
            await self._links.outage(how, self._past_a_lease())
            self._written(Fault(at=at, how=how, whom="server", worker="", pids=(), until=now()))

    # --- producers -----------------------------------------------------------------------

    async def _keep_producer(self, shard: int) -> None:
        """Keep one producer alive until all jobs of its shard are acknowledged."""
        load = self._load
        for life in count():
            first = self._tail.first_missing(shard)
            if first >= load.jobs:
                return
            name = f"p{shard}.{life}"
            numbers = (load.seed, first, shard, load.producers)
            words = ("tests.kill.producer", *numbers)
            process = await self._start(name, PRODUCERS, *words, stdin=PIPE)
            await self._feed(name, process, shard)
            code = await process.wait()
            if code > 0:
                raise RuntimeError(f"producer {name} ended with exit code {code}")

    async def _feed(self, name: str, process: Process, shard: int) -> None:
        """Tell a producer how far to go, and now and then kill it while it does."""
        told = 0
        while self._tail.first_missing(shard) < self._load.jobs:
            if await _ended(process, LOOK):
                return
            if (upto := self._upto()) > told:
                told = upto
                _tell(process, f"{upto}\n")
                if self._producer_deaths < self._load.producer_kills * upto // self._load.jobs:
                    self._producer_deaths += 1
                    await self._kill_producer(name, process)
        _tell(process, "")

    async def _kill_producer(self, name: str, process: Process) -> None:
        # One that has just started takes a while until it asks; one that runs is done soon.
        await _ended(process, self._rng.uniform(0, self._rng.choice([0.05, 1.5])))
        at = now()
        pids = send([process.pid], signal.SIGKILL)
        fault = Fault(at=at, how="kill", whom="producer", worker=name, pids=pids, until=now())
        self._pen.write(fault)

    def _upto(self) -> int:
        load = self._load
        share = self._dealt / load.faults if load.faults else 1.0
        return min(load.jobs, LEAD * load.workers + int(load.jobs * share))


async def _ended(process: Process, seconds: float) -> bool:
    """Give a process so much time to end, and return whether it has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await process.wait()
    return process.returncode is not None


def _tell(process: Process, line: str) -> None:
    """Write a line to a process, or close its input if there is nothing to say any more."""
    assert process.stdin is not None
    if line:
        process.stdin.write(line.encode())
    else:
        process.stdin.close()
