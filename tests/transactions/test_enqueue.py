"""A job that was enqueued in a transaction exists if and only if that commits."""

from typing import Any

import pytest

from offload import ConfigurationError, JobNotFound, Queue, Unique, chain
from tests.transactions.callers import Caller, Connected
from tests.transactions.conftest import relayed

pytestmark = pytest.mark.usefixtures("worker")

PATIENCE = 30.0


async def put(own: Connected, number: int) -> None:
    await own.execute(f"INSERT INTO effects VALUES ('-', {number})")


async def test_committed_it_runs_and_rolled_back_it_never_does(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    async with caller.connected() as own:
        await put(own, 1)
        undone = await double.aapply_async([1], connection=own.held)
        await own.rollback()
        await put(own, 2)
        done = await double.aapply_async([2], connection=own.held)
        assert await queue.aget_job(done.id) is None  # not before the commit
        await own.commit()
        assert await done.aresult(PATIENCE) == 4
        assert done.version > 0
        # What was put first would have been relayed first.
        with pytest.raises(JobNotFound, match="rolled back"):
            await undone.arefresh()
        await relayed(queue)
        [(left,)] = await own.execute("SELECT count(*) FROM offload_outbox")
        assert left == 0


async def test_a_connection_that_is_closed_has_enqueued_nothing(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    async with caller.connected() as own:
        await put(own, 1)
        undone = await double.aapply_async([1], connection=own.held)
    async with caller.connected() as own:
        await put(own, 2)
        done = await double.aapply_async([2], connection=own.held)
        await own.commit()
    assert await done.aresult(PATIENCE) == 4
    assert await queue.aget_job(undone.id) is None


async def test_a_savepoint_takes_its_jobs_with_it(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    async with caller.connected() as own:
        await put(own, 1)
        async with own.undone():
            undone = await double.aapply_async([1], connection=own.held)
        done = await double.aapply_async([2], connection=own.held)
        await own.commit()
    assert await done.aresult(PATIENCE) == 4
    assert await queue.aget_job(undone.id) is None


async def test_a_batch_of_more_than_a_look_comes_whole_and_in_order(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    async with caller.connected() as own:
        await put(own, 1)
        handles = await double.amap([(n,) for n in range(150)], connection=own.held)
        named = await queue.aenqueue_many("double", [(7,), (8,)], connection=own.held)
        await own.commit()
    assert await named[1].aresult(PATIENCE) == 16
    assert [await handle.aresult(PATIENCE) for handle in handles] == [2 * n for n in range(150)]
    jobs = [await queue.aget_job(handle.id) for handle in [*handles, *named]]
    created = [job.created_at for job in jobs if job is not None]
    assert created == sorted(created)


async def test_jobs_of_a_transaction_may_wait_for_each_other(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    async with caller.connected() as own:
        await put(own, 1)
        first = await double.aapply_async([1], connection=own.held)
        second = await double.aapply_async([2], depends_on=first, connection=own.held)
        flow = await chain(double.s(3), double.s(), double.s()).adelay(connection=own.held)
        await own.commit()
    assert await second.aresult(PATIENCE) == 4
    assert await flow.aresult(PATIENCE) == 24
    assert (await second.afamily()).parents == [first.id]


async def test_a_unique_job_of_a_transaction_is_there_once(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    held = await double.aapply_async([0], unique_key="k", delay=3600)
    async with caller.connected() as own:
        await put(own, 1)
        other = await double.aapply_async([1], unique_key="k", connection=own.held)
        last = await double.aapply_async([2], connection=own.held)
        await own.commit()
    assert await last.aresult(PATIENCE) == 4
    assert await queue.aget_job(other.id) is None
    assert (await held.arefresh()).status == "pending"


async def test_what_an_outbox_could_only_tell_too_late_is_refused(
    queue: Queue, caller: Caller
) -> None:
    queue.outbox(caller.database)

    @queue.task(unique=Unique(on_conflict="reject"))
    def alone() -> None: ...

    async with caller.connected() as own:
        with pytest.raises(ConfigurationError, match="on_conflict='reject'"):
            await alone.aapply_async(connection=own.held)


async def test_a_database_without_an_outbox_is_refused(caller: Caller, double: Any) -> None:
    async with caller.connected() as own:
        with pytest.raises(ConfigurationError, match=r"queue\.outbox"):
            await double.aapply_async([1], connection=own.held)


async def test_a_synchronous_call_needs_a_synchronous_connection(
    queue: Queue, caller: Caller, double: Any
) -> None:
    queue.outbox(caller.database)
    async with caller.connected() as own:
        if caller.is_async:
            with pytest.raises(ConfigurationError, match="a-twin"):
                double.apply_async([1], connection=own.held)
            return
        await put(own, 1)
        done = double.apply_async([1], connection=own.held)
        await own.commit()
    assert await done.aresult(PATIENCE) == 2


async def test_what_is_no_connection_is_refused(queue: Queue, caller: Caller, double: Any) -> None:
    for wrong in (caller.database, object(), "sqlite:///app.db"):
        with pytest.raises(ConfigurationError, match="a connection of psycopg 3"):
            await double.aapply_async([1], connection=wrong)
    with pytest.raises(ConfigurationError, match="give an Engine"):
        queue.outbox("sqlite:///app.db")
    with pytest.raises(ConfigurationError, match="must be a name"):
        queue.outbox(caller.database, table="no; name")
    queue.outbox(caller.database)
    with pytest.raises(ConfigurationError, match="have the same"):
        queue.outbox(lambda: None, table="other")
