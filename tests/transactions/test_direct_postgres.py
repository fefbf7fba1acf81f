"""Through a connection to the queue's own database, the job itself is written; and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from offload import DependencyError, DuplicateJob, Queue, Unique, chain
from offload.store.base import Channel
from tests.transactions.callers import KINDS, Caller

PATIENCE = 30.0


@pytest.fixture
async def queue(postgres_url: str) -> AsyncIterator[Queue]:
    queue = Queue(postgres_url)
    await queue.aopen()
    yield queue
    await queue.aclose()


@pytest.fixture(params=[kind for kind in KINDS if kind.endswith("server")])
async def caller(
    request: pytest.FixtureRequest, queue: Queue, postgres_url: str
) -> AsyncIterator[Caller]:
    """The queue has no outbox: there is no other way than the direct one."""
    caller = Caller(request.param, postgres_url)
    async with caller.connected() as own:
        await own.execute("CREATE TABLE effects (job VARCHAR(99), said INTEGER)")
        await own.commit()
    yield caller
    await caller.close()


async def test_committed_it_is_there_and_rolled_back_it_is_not(
    queue: Queue, caller: Caller, double: Any
) -> None:
    async with caller.connected() as own:
        undone = await double.aapply_async([1], connection=own.held)
        await own.rollback()
        done = await double.aapply_async([2], connection=own.held)
        assert done.version == 1
        assert await queue.aget_job(done.id) is None
        await own.commit()
        forgotten = await double.aapply_async([3], connection=own.held)
    assert (await done.arefresh()).status == "pending"
    assert await queue.aget_job(undone.id) is None
    assert await queue.aget_job(forgotten.id) is None


async def test_a_savepoint_takes_its_jobs_with_it(
    queue: Queue, caller: Caller, double: Any
) -> None:
    async with caller.connected() as own:
        await own.execute("INSERT INTO effects VALUES ('-', 1)")
        async with own.undone():
            undone = await double.aapply_async([1], connection=own.held)
        done = await double.amap([(2,), (3,)], connection=own.held)
        await own.commit()
    assert await queue.aget_job(undone.id) is None
    assert [(await job.arefresh()).status for job in done] == ["pending", "pending"]


async def test_the_commit_wakes_workers(queue: Queue, caller: Caller, double: Any) -> None:
    async def news(cursor: int) -> int:
        async with asyncio.timeout(PATIENCE):
            # Far longer than this test's patience: only news ends it.
            await double.jobs.call(lambda store: store.wait(Channel.READY, cursor, 3600))
        return queue.store.cursor(Channel.READY)

    seen = await news(queue.store.cursor(Channel.READY))  # that it listens is news, too
    async with caller.connected() as own:
        await double.aapply_async([1], connection=own.held)
        assert queue.store.cursor(Channel.READY) == seen
        await own.commit()
        assert await news(seen) > seen


@pytest.mark.usefixtures("worker")
async def test_a_worker_runs_it(caller: Caller, double: Any) -> None:
    async with caller.connected() as own:
        first = await double.aapply_async([1], connection=own.held)
        second = await double.aapply_async([2], depends_on=[first], connection=own.held)
        flow = await chain(double.s(3), double.s()).adelay(connection=own.held)
        await own.commit()
    assert await second.aresult(PATIENCE) == 4
    assert await flow.aresult(PATIENCE) == 12


async def test_a_synchronous_call_goes_the_same_way(
    queue: Queue, caller: Caller, double: Any
) -> None:
    if caller.is_async:
        return
    async with caller.connected() as own:
        done = double.apply_async([1], unique_key="k", connection=own.held)
        assert await queue.aget_job(done.id) is None
        await own.commit()
    assert (await done.arefresh()).status == "pending"


async def test_a_refusal_leaves_the_transaction_as_it_was(
    queue: Queue, caller: Caller, double: Any
) -> None:
    @queue.task(unique=Unique(on_conflict="reject"))
    def alone() -> None: ...

    async with caller.connected() as own:
        await own.execute("INSERT INTO effects VALUES ('-', 1)")
        kept = await alone.aapply_async(connection=own.held)
        with pytest.raises(DuplicateJob) as refused:
            await alone.aapply_async(connection=own.held)
        with pytest.raises(DependencyError):
            await double.amap([(1,)], depends_on="nobody", connection=own.held)
        await own.commit()
        [(effects,)] = await own.execute("SELECT count(*) FROM effects")
    assert refused.value.job_id == kept.id
    assert len(await queue.alist_jobs()) == 1
    assert effects == 1


async def test_without_a_transaction_it_is_committed_at_once(
    queue: Queue, double: Any, postgres_database: str
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as own:
        done = await double.aapply_async([1], connection=own)
        assert (await done.arefresh()).status == "pending"


async def test_another_database_goes_through_its_outbox(
    queue: Queue, double: Any, postgres_database: str
) -> None:
    other = postgres_database.rpartition("/")[0] + "/postgres"
    queue.outbox(lambda: psycopg.connect(other), relay=False)
    with psycopg.connect(other) as own:
        promised = await double.aapply_async([1], connection=own)
        own.rollback()
    assert promised.version == 0
