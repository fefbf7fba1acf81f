"""One server with a few workers, as it is measured, and many servers with a thousand."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.scaling.model import Cores, Costs, Shard, Thread, working
from bench.scaling.virtual import simulate
from offload import Queue
from offload.tasks.registry import Registry

SLOTS = 4
TICK = 0.002
"""Seconds between two arrivals of jobs at a shard."""


@dataclass(frozen=True)
class Engine:
    """How a kind of server works."""

    name: str
    is_single: bool
    """One thread serves everything."""

    def shard(self, costs: Costs, cores: Cores) -> Shard:
        """Return an empty server on these cores."""
        return Shard(costs, Thread(cores) if self.is_single else cores)


ENGINES = {
    "postgres": Engine("PostgreSQL", is_single=False),
    "redis": Engine("Valkey", is_single=True),
}


def registry() -> Registry:
    """Return what every worker knows: one empty task."""
    queue = Queue("memory://")

    @queue.task(name="noop")
    def noop() -> None: ...

    return queue.tasks


def drained(
    engine: Engine, costs: Costs, workers: int, jobs: int, *, cores: int, duration: float = 0.0
) -> float:
    """Return the jobs a second of so many workers that share a machine with their server."""

    async def main() -> float:
        machine = Cores(cores)
        shard = engine.shard(costs, machine)
        tasks = [
            asyncio.ensure_future(
                working(shard, registry(), machine, slots=SLOTS, duration=duration)
            )
            for _ in range(workers)
        ]
        # They learn to claim ahead before the clock starts, as the measured ones do.
        shard.put(2000 * workers)
        await shard.until(2000 * workers)
        began = asyncio.get_running_loop().time()
        shard.put(jobs)
        await shard.until(2000 * workers + jobs)
        rate = jobs / (asyncio.get_running_loop().time() - began)
        await _stop(tasks)
        return rate

    return simulate(main())


@dataclass(frozen=True)
class Plan:
    """A fleet: servers of so many cores, each with its share of the workers, and the load."""

    shards: int
    server_cores: int
    workers: int
    worker_cores: int
    rate: float
    """Jobs a second, all shards together."""
    seconds: float
    """For how long it is measured, in virtual time."""
    batch: int
    """Jobs that a producer enqueues at a time."""
    duration: float = 0.0
    """Seconds for which a function waits for something, beside its time on the processor."""
    slots: int = SLOTS


@dataclass(frozen=True)
class Seen:
    """What a fleet did: jobs a second, seconds from enqueue to start, shares of processors."""

    rate: float
    p50: float
    p99: float
    server_busy: float
    worker_busy: float
    left: int
    """Jobs that waited at the end."""


def fleet(engine: Engine, costs: Costs, plan: Plan, told: Callable[[float], None]) -> Seen:
    """Return what a fleet does; `told` hears of the share of the time that has passed."""
    return simulate(_fleet(engine, costs, plan, told))


async def _fleet(engine: Engine, costs: Costs, plan: Plan, told: Callable[[float], None]) -> Seen:
    known = registry()
    servers = [Cores(plan.server_cores) for _ in range(plan.shards)]
    shards = [engine.shard(costs, cores) for cores in servers]
    machines = [Cores(plan.worker_cores) for _ in range(plan.workers)]
    tasks = [
        asyncio.ensure_future(
            working(
                shards[number % plan.shards],
                known,
                cores,
                slots=plan.slots,
                duration=plan.duration,
            )
        )
        for number, cores in enumerate(machines)
    ]
    tasks += [
        asyncio.ensure_future(_arrivals(shard, plan.rate / plan.shards, plan.batch))
        for shard in shards
    ]
    await asyncio.sleep(plan.seconds / 2)  # until all have found their pace
    before = sum(shard.done for shard in shards)
    used = [sum(cores.used for cores in kind) for kind in (servers, machines)]
    for shard in shards:
        shard.waited.clear()
    for part in range(10):
        told(part / 10)
        await asyncio.sleep(plan.seconds / 10)
    done = sum(shard.done for shard in shards) - before
    server_busy, worker_busy = (
        (sum(cores.used for cores in kind) - at_first) / plan.seconds / len(kind) / each
        for kind, at_first, each in zip(
            (servers, machines), used, (plan.server_cores, plan.worker_cores), strict=True
        )
    )
    waits = sorted(wait for shard in shards for wait in shard.waited)
    left = sum(count for shard in shards for _, count in shard.pending)
    p50, p99 = (_percentile(waits, share) for share in (0.5, 0.99))
    seen = Seen(done / plan.seconds, p50, p99, server_busy, worker_busy, left)
    await _stop(tasks)
    return seen


async def _arrivals(shard: Shard, rate: float, batch: int) -> None:
    """Let producers enqueue, none of which waits for another."""
    loop, made = asyncio.get_running_loop(), 0
    under_way: set[asyncio.Task[None]] = set()
    began = loop.time()
    while True:
        while made < rate * (loop.time() - began):
            made += batch
            task = loop.create_task(shard.enqueue(batch))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(TICK)


def _percentile(waits: list[tuple[float, int]], share: float) -> float:
    left = share * sum(count for _, count in waits)
    for wait, count in waits:
        left -= count
        if left <= 0:
            return wait
    return 0.0


async def _stop(tasks: Sequence[asyncio.Future[None]]) -> None:
    logging.disable()  # that they are stopped in the middle is no news
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    logging.disable(logging.NOTSET)
