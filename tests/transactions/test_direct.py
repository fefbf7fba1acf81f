"""Through apsw on the queue's own file, the job itself is written in the caller's transaction."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from offload import DependencyError, DuplicateJob, Queue, StoreUnavailable, Unique, chain
from offload.store.base import Channel

PATIENCE = 30.0


@pytest.fixture
async def opened(queue: Queue) -> Queue:
    await queue.aopen()
    return queue


@pytest.fixture
def own(opened: Queue, tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(tmp_path / "jobs.db"))
    connection.set_busy_timeout(5000)
    connection.execute("CREATE TABLE effects (n)")
    # A program may want its rows in another shape.
    connection.row_trace = lambda _cursor, row: {"row": row}
    yield connection
    connection.close()


async def test_committed_it_is_there_and_rolled_back_it_is_not(
    queue: Queue, own: apsw.Connection, double: Any
) -> None:
    own.execute("BEGIN")
    undone = await double.aapply_async([1], connection=own)
    assert await queue.aget_job(undone.id) is None
    own.execute("ROLLBACK")
    with own:
        own.execute("INSERT INTO effects VALUES (1)")
        done = double.apply_async([2], connection=own)
        assert queue.get_job(done.id) is None
    assert (await done.arefresh()).status == "pending"
    assert await queue.aget_job(undone.id) is None


async def test_a_savepoint_takes_its_jobs_with_it(
    queue: Queue, own: apsw.Connection, double: Any
) -> None:
    own.execute("BEGIN IMMEDIATE")
    own.execute("SAVEPOINT inner_one")
    undone = await double.aapply_async([1], connection=own)
    own.execute("ROLLBACK TO inner_one")
    done = await double.amap([(1,), (2,)], connection=own)
    own.execute("COMMIT")
    assert await queue.aget_job(undone.id) is None
    assert [(await job.arefresh()).status for job in done] == ["pending", "pending"]


async def test_the_commit_wakes_workers_of_this_process_and_of_others(
    queue: Queue, own: apsw.Connection, double: Any, tmp_path: Path
) -> None:
    other = Queue(str(tmp_path / "jobs.db"))
    await other.aopen()
    stores = [queue.store, other.store]
    seen = [store.cursor(Channel.READY) for store in stores]
    own.execute("BEGIN")
    await double.aapply_async([1], connection=own)
    assert [store.cursor(Channel.READY) for store in stores] == seen
    own.execute("COMMIT")
    async with asyncio.timeout(PATIENCE):
        for store, cursor in zip(stores, seen, strict=True):
            # Far longer than this test's patience: only news ends it.
            await store.wait(Channel.READY, cursor, 3600)
    await other.aclose()


@pytest.mark.usefixtures("worker")
async def test_a_worker_runs_it(own: apsw.Connection, double: Any) -> None:
    with own:
        first = await double.aapply_async([1], connection=own)
        second = await double.aapply_async([2], depends_on=[first], connection=own)
        flow = await chain(double.s(3), double.s()).adelay(connection=own)
    assert await second.aresult(PATIENCE) == 4
    assert await flow.aresult(PATIENCE) == 12


async def test_a_refusal_leaves_the_transaction_as_it_was(
    queue: Queue, own: apsw.Connection, double: Any
) -> None:
    @queue.task(unique=Unique(on_conflict="reject"))
    def alone() -> None: ...

    with own:
        own.execute("INSERT INTO effects VALUES (1)")
        kept = await alone.aapply_async(connection=own)
        with pytest.raises(DuplicateJob) as refused:
            await alone.aapply_async(connection=own)
        with pytest.raises(DependencyError):
            await double.amap([(1,)], depends_on="nobody", connection=own)
    assert refused.value.job_id == kept.id
    assert len(await queue.alist_jobs()) == 1
    [row] = own.execute("SELECT count(*) FROM effects")
    assert row == {"row": (1,)}


async def test_a_key_that_is_held_gives_its_holder(own: apsw.Connection, double: Any) -> None:
    held = await double.aapply_async([1], unique_key="k")
    with own:
        same = await double.aapply_async([2], unique_key="k", connection=own)
    assert same.id == held.id


async def test_without_a_transaction_it_is_committed_at_once(
    own: apsw.Connection, double: Any
) -> None:
    done = await double.aapply_async([1], connection=own)
    assert not own.in_transaction
    assert (await done.arefresh()).status == "pending"


async def test_a_lock_that_somebody_holds_is_told_and_can_be_waited_for(
    own: apsw.Connection, double: Any, tmp_path: Path
) -> None:
    other = apsw.Connection(str(tmp_path / "jobs.db"))
    other.execute("BEGIN IMMEDIATE")
    own.set_busy_timeout(0)
    own.execute("BEGIN")
    with pytest.raises(StoreUnavailable, match="locked"):
        await double.aapply_async([1], connection=own)
    other.execute("ROLLBACK")
    done = await double.aapply_async([1], connection=own)
    own.execute("COMMIT")
    other.close()
    assert (await done.arefresh()).status == "pending"


async def test_the_programs_own_hooks_stay(queue: Queue, own: apsw.Connection, double: Any) -> None:
    called: list[bool] = []

    def veto_the_first() -> bool:
        called.append(True)
        return len(called) == 1

    own.set_commit_hook(veto_the_first)
    own.execute("BEGIN")
    undone = await double.aapply_async([1], connection=own)
    with pytest.raises(apsw.ConstraintError):
        own.execute("COMMIT")  # the first time, the hook turns it into a rollback
    with own:
        done = await double.aapply_async([2], connection=own)
    assert len(called) == 2
    assert await queue.aget_job(undone.id) is None
    assert (await done.arefresh()).status == "pending"


async def test_another_file_goes_through_its_outbox(
    queue: Queue, double: Any, tmp_path: Path
) -> None:
    other = apsw.Connection(str(tmp_path / "app.db"))
    queue.outbox(lambda: apsw.Connection(str(tmp_path / "app.db")), relay=False)
    with other:
        await double.aapply_async([1], connection=other)
    assert list(other.execute("SELECT count(*) FROM offload_outbox")) == [(1,)]
    other.close()
