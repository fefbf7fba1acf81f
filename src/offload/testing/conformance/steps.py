"""The few steps that nearly every test of the suite is made of."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from offload.core.job import Job, NewJob
from offload.core.records import Failure, Finish
from offload.core.states import Move
from offload.store.base import Beat, Channel, JobFilter, RecordFilter, Store

WORKER = "worker-1"
OTHER = "worker-2"

ENDS = (Move.COMPLETE, Move.FAIL, Move.BURY, Move.CANCEL)
"""The moves of `finish` that end a job."""

MOVES = (*ENDS, Move.RETRY, Move.RELEASE)
"""All moves of `finish`."""

FAR = 3600.0
"""Longer than any test runs: who waits this long was not woken."""

PATIENCE = 30.0
"""When a test stops hoping to be woken."""


def new(job_id: str, **options: Any) -> NewJob:
    """Return a request for a job of which only what matters to the test is said."""
    return replace(NewJob(id=job_id, task="tests.noop"), **options)


async def put(store: Store, *job_ids: str, **options: Any) -> list[Job]:
    """Enqueue jobs that differ in nothing but the id."""
    return list(await store.enqueue([new(job_id, **options) for job_id in job_ids]))


async def take(
    store: Store,
    limit: int = 1,
    *,
    worker: str = WORKER,
    queues: Sequence[str] | None = None,
) -> list[Job]:
    """Claim, and return only the jobs."""
    return (await store.claim(worker, queues, limit)).jobs


async def run(store: Store, job_id: str, *, worker: str = WORKER, **options: Any) -> Job:
    """Enqueue a job, which must be the next one in the line, and claim it."""
    await put(store, job_id, **options)
    [job] = await take(store, worker=worker)
    assert job.id == job_id
    return job


def ending(job: Job, move: Move, **options: Any) -> Finish:
    """Return an ending as the worker would make it for this move."""
    finish = Finish(job.id, job.lease, move)
    if move is Move.COMPLETE:
        finish = replace(finish, result=b'"done"')
    elif move is not Move.RELEASE:
        finish = replace(finish, failure=Failure("Boom", "it broke", "Traceback: it broke"))
    return replace(finish, **options)


async def end(store: Store, job: Job, move: Move, **options: Any) -> bool:
    """Finish one job and say whether it was accepted."""
    [accepted] = await store.finish([ending(job, move, **options)])
    return accepted


async def ended(store: Store, job_id: str, move: Move, **options: Any) -> Job:
    """Enqueue, claim and finish a job; return how it is stored then."""
    assert await end(store, await run(store, job_id, **options), move)
    return await read(store, job_id)


async def read(store: Store, job_id: str) -> Job:
    """Return a job that must be there."""
    [job] = await store.get([job_id])
    assert job is not None, f"{job_id} is not there"
    return job


async def everything(store: Store, *job_ids: str) -> object:
    """Return all that can be read about some jobs, to show that nothing changed."""
    beside = [await beside_job(store, job_id) for job_id in job_ids]
    letters = await store.dead_letters(100, 0)
    found = await store.search(JobFilter(limit=100))
    return await store.get(job_ids), beside, letters, found, await store.stats()


async def beside_job(store: Store, job_id: str) -> tuple[list[Any], ...]:
    """Return the records that are kept of a job."""
    of_job = RecordFilter(job_id=job_id)
    family = await store.family(job_id)
    return (
        await store.errors(job_id),
        await store.logs(of_job),
        await store.metrics(of_job),
        await store.parts(job_id, 0, 100),
        await store.repeats(job_id),
        family.parents,
        family.dependents,
    )


async def beat(store: Store, worker: str = WORKER, lease: float = 30.0) -> dict[str, bool]:
    """Beat, and return the ids of the held jobs with whether each was asked to stop."""
    held = await store.heartbeat(Beat(worker, lease))
    return {each.job_id: each.cancel_requested for each in held}


async def lapsed(store: Store, limit: int = 100) -> set[str]:
    """Return the ids of the jobs that have lapsed."""
    return {lapse.job.id for lapse in await store.lapsed(limit)}


async def soon(awaited: Awaitable[object]) -> None:
    """Await something that must not take until the end of a long limit."""
    async with asyncio.timeout(PATIENCE):
        await awaited


async def until(store: Store, channel: Channel, seen: Callable[[], Awaitable[bool]]) -> None:
    """Look after each wake-up, as a worker does, until there is what the test waits for."""
    async with asyncio.timeout(PATIENCE):
        while True:
            cursor = store.cursor(channel)
            if await seen():
                return
            await store.wait(channel, cursor, FAR)
