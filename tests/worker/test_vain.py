"""Idle workers do not all ask for each job that comes."""

import asyncio
from collections.abc import Sequence

from bench.scaling.virtual import simulate
from offload.core.job import Job, NewJob
from offload.store.base import Claim
from offload.store.memory import MemoryStore
from offload.worker.fetcher import LONGEST_VAIN, Fetcher
from offload.worker.pace import Pace
from offload.worker.runs import Runs

WORKERS = 20
JOBS = 200
APART = 0.002


class Counted(MemoryStore):
    """A store that counts what it is asked for."""

    claims = 0

    async def claim(self, worker: str, queues: Sequence[str] | None, limit: int) -> Claim:
        self.claims += 1
        return await super().claim(worker, queues, limit)


def fetcher(store: Counted, name: str, started: list[float]) -> Fetcher:
    def launch(jobs: list[Job], most: int | None) -> None:
        del most
        started.extend(asyncio.get_running_loop().time() for _ in jobs)

    runs = Runs()
    runs.resize(JOBS)  # its slots are never full: nothing here ever ends
    return Fetcher(store, name, None, launch, runs=runs, pace=Pace(), reserve=0)


async def _enqueue_for(workers: int) -> tuple[float, list[float]]:
    """Return the claims for each job that comes, and how long each job waited."""
    store, started = Counted(), list[float]()
    fetchers = [fetcher(store, str(number), started) for number in range(workers)]
    tasks = [asyncio.create_task(each.run()) for each in fetchers]
    loop, came = asyncio.get_running_loop(), list[float]()
    await asyncio.sleep(1)
    store.claims = 0
    for number in range(JOBS):
        came.append(loop.time())
        await store.enqueue([NewJob(str(number), "t")])
        await asyncio.sleep(APART)
    for each in fetchers:
        each.stopping.set()
    await asyncio.gather(*tasks)
    return store.claims / JOBS, [end - begin for begin, end in zip(came, started, strict=True)]


def test_who_asks_in_vain_asks_less() -> None:
    """Of twenty, a few ask for each job, and none waits longer than the longest rest."""
    claims, waits = simulate(_enqueue_for(WORKERS))
    assert claims < WORKERS / 2
    assert max(waits) <= LONGEST_VAIN


def test_a_lone_worker_starts_at_once() -> None:
    """It never asks in vain, so it never rests."""
    claims, waits = simulate(_enqueue_for(1))
    assert claims < 2
    assert max(waits) == 0.0
