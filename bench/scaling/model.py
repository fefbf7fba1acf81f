"""Machines, servers and workers in virtual time.

A worker is the library's own (`offload.worker.worker.Worker`: what it claims, how far ahead, when
it gives back, how ends are decided and stored together). What is modelled is what it waits for:
the processor, the network, the server behind its store, and the processes that run functions.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from offload.core.decide import Returned
from offload.core.job import Job
from offload.core.records import Finish, Held
from offload.core.retry import RetryPolicy
from offload.core.states import State
from offload.store.base import Beat, Channel, Claim, Lapse, Pruned
from offload.store.memory import MemoryStore
from offload.store.signals import Signals
from offload.tasks.registry import Registry
from offload.worker.executors import Executor
from offload.worker.run import Run, begin_all
from offload.worker.worker import Worker, WorkerOptions

RETRY = RetryPolicy()
LOOK = 0.004
"""Seconds for which a member keeps ends together before it tells of them."""


@dataclass(frozen=True)
class Cost:
    """Seconds of a processor: of each call, and of each job in it."""

    call: float
    job: float

    def of(self, jobs: int) -> float:
        """Return what a call for so many jobs takes."""
        return self.call + self.job * jobs

    def times(self, factor: float) -> "Cost":
        """Return a cost that is so many times as high."""
        return Cost(self.call * factor, self.job * factor)


@dataclass(frozen=True)
class Costs:
    """What a store's calls take of the server and of the worker, as `measure` found it."""

    enqueue: Cost
    claim: Cost
    finish: Cost
    claim_here: Cost
    """Of the worker's own supervisor, as the rest of what it does with a job is."""
    finish_here: Cost
    member: float
    """Seconds of a processor that a member takes for an empty job."""
    wait: float
    """Seconds of a call beside all processors: the network, the disk."""

    def times(self, factor: float) -> "Costs":
        """Return costs of which all that processors do takes so many times as long."""
        return Costs(
            enqueue=self.enqueue.times(factor),
            claim=self.claim.times(factor),
            finish=self.finish.times(factor),
            claim_here=self.claim_here.times(factor),
            finish_here=self.finish_here.times(factor),
            member=self.member * factor,
            wait=self.wait,
        )


class Cores:
    """Processor cores that serve whoever comes first."""

    def __init__(self, count: int) -> None:
        """Be idle."""
        self._free_at = [0.0] * count
        self.used = 0.0

    async def use(self, seconds: float) -> None:
        """Occupy a core for so long, once one is free."""
        now = asyncio.get_running_loop().time()
        end = max(now, heapq.heappop(self._free_at)) + seconds
        heapq.heappush(self._free_at, end)
        self.used += seconds
        await asyncio.sleep(end - now)


class Thread:
    """What does one thing after the other: a server of one thread, a Python process."""

    def __init__(self, cores: Cores) -> None:
        """Run on these cores."""
        self._cores = cores
        self._turn = asyncio.Lock()

    async def use(self, seconds: float) -> None:
        """Compute for so long."""
        async with self._turn:
            await self._cores.use(seconds)


@dataclass
class Shard:
    """A server, and the jobs in it."""

    costs: Costs
    server: Thread | Cores
    pending: deque[tuple[float, int]] = field(default_factory=deque)
    """When jobs came, and how many."""
    waited: list[tuple[float, int]] = field(default_factory=list)
    """Seconds for which jobs have waited, and how many."""
    done: int = 0
    signals: Signals = field(default_factory=Signals)
    made: int = 0
    goal: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, done: int) -> None:
        """Wait until so many jobs have ended, all in all."""
        self.goal = done
        self.reached.clear()
        await self.reached.wait()

    def end(self, jobs: int) -> None:
        """Count jobs that have ended."""
        self.done += jobs
        if self.done >= self.goal:
            self.reached.set()

    def put(self, jobs: int) -> None:
        """Take jobs in now."""
        self.pending.append((asyncio.get_running_loop().time(), jobs))
        self.signals.notify(Channel.READY)

    async def enqueue(self, jobs: int) -> None:
        """Take jobs in, for which the server needs its time."""
        await self.server.use(self.costs.enqueue.of(jobs))
        self.put(jobs)

    def take(self, limit: int) -> int:
        """Hand out up to so many of the oldest jobs; return how many."""
        now, taken = asyncio.get_running_loop().time(), 0
        while self.pending and taken < limit:
            came, count = self.pending[0]
            part = min(count, limit - taken)
            taken += part
            self.waited.append((now - came, part))
            if part == count:
                self.pending.popleft()
            else:
                self.pending[0] = (came, count - part)
        return taken


class ModelStore(MemoryStore):
    """What a worker sees of a shard. All that is not about jobs is answered by an empty memory."""

    def __init__(self, shard: Shard, supervisor: Thread) -> None:
        """Reach the shard from a worker's supervisor."""
        super().__init__()
        self._shard = shard
        self._supervisor = supervisor

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:  # noqa: ARG002
        """Take what is there, as soon as server and supervisor have had their time."""
        shard = self._shard
        await shard.server.use(shard.costs.claim.of(min(limit, sum(n for _, n in shard.pending))))
        count = shard.take(limit)
        await asyncio.sleep(shard.costs.wait)
        await self._supervisor.use(shard.costs.claim_here.of(count))
        shard.made += count
        return Claim([_job(number, worker) for number in range(shard.made - count, shard.made)])

    async def finish(self, finishes: Sequence[Finish]) -> list[bool]:
        """Count the ends."""
        shard = self._shard
        await self._supervisor.use(shard.costs.finish_here.of(len(finishes)))
        await shard.server.use(shard.costs.finish.of(len(finishes)))
        await asyncio.sleep(shard.costs.wait)
        shard.end(len(finishes))
        return [True] * len(finishes)

    async def heartbeat(self, beat: Beat) -> list[Held]:  # noqa: ARG002 - nobody is ever late
        """Take a call's time."""
        await self._shard.server.use(self._shard.costs.finish.call)
        return []

    async def lapsed(self, limit: int) -> list[Lapse]:  # noqa: ARG002 - as above
        """Take a call's time."""
        await self._shard.server.use(self._shard.costs.finish.call)
        return []

    async def prune(self, **_: Any) -> Pruned:
        """Take a call's time."""
        await self._shard.server.use(self._shard.costs.finish.call)
        return Pruned()

    def cursor(self, channel: Channel) -> int:
        """Return the shard's count."""
        return self._shard.signals.cursor(channel)

    async def wait(self, channel: Channel, cursor: int, limit: float) -> None:
        """Wait for news of the shard."""
        await self._shard.signals.wait(channel, cursor, limit)


def _job(number: int, worker: str) -> Job:
    return Job(
        str(number), "noop", "default", State.RUNNING, b"[[],{}]", 0, 0, 0, RETRY,
        attempt=1, lease=1, worker=worker,
    )  # fmt: skip


class ModelMember:
    """A process that runs functions, in lines as the library's own members do."""

    def __init__(self, thread: Thread, cost: float, duration: float) -> None:
        """Run functions that take `cost` of the processor and then wait for `duration` seconds."""
        self._thread = thread
        self._cost = cost
        self._duration = duration
        self._lines: set[asyncio.Task[None]] = set()

    def start(self, run: Run) -> None:
        """Begin a line."""
        line = asyncio.get_running_loop().create_task(self._run(_line_of(run)))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)

    async def _run(self, runs: list[Run]) -> None:
        most = 1 if self._duration else max(1, int(LOOK / self._cost))
        for start in range(0, len(runs), most):
            begun = begin_all(runs[start : start + most])
            await self._thread.use(self._cost * len(begun))
            await asyncio.sleep(self._duration if begun else 0)
            for run in begun:
                run.end(Returned(b"null"))

    def stop(self, run: Run) -> None:
        """Nobody asks for that here."""

    def abandon(self, run: Run) -> None:
        """Nobody asks for that here."""

    def kin(self) -> Iterable[int]:
        """There are none."""
        return ()

    async def close(self) -> None:
        """Let go of the lines."""
        for line in self._lines:
            line.cancel()


def _line_of(run: Run | None) -> list[Run]:
    runs = []
    while run is not None:
        runs.append(run)
        run = run.follower
    return runs


class ModelWorker(Worker):
    """The library's worker, whose functions run in modelled processes."""

    def __init__(
        self, store: ModelStore, registry: Registry, member: ModelMember, slots: int
    ) -> None:
        """Work on `store` with the slots of one member."""
        self._member = member
        self._slots = slots
        options = WorkerOptions(concurrency=slots)
        super().__init__(store, registry, options, asyncio.get_running_loop())

    def _hands(self, user_loop: asyncio.AbstractEventLoop) -> dict[str, Executor]:  # noqa: ARG002
        self._runs.resize(self._slots)
        return {"async": self._member, "thread": self._member, "process": self._member}

    @property
    def _reserve(self) -> int:
        return self._slots


def working(
    shard: Shard, registry: Registry, cores: Cores, *, slots: int, duration: float
) -> Coroutine[Any, Any, None]:
    """Return one worker with one member, on these cores."""
    member = ModelMember(Thread(cores), shard.costs.member, duration)
    store = ModelStore(shard, Thread(cores))
    return ModelWorker(store, registry, member, slots).run(asyncio.Event(), asyncio.Event())
