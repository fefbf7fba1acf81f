"""What a job writes in `current_job.transaction` happens once, however often the job runs."""

import contextlib
import threading
from collections.abc import AsyncIterator

import psycopg
import pytest
from pydantic import BaseModel

from offload import ConfigurationError, Queue, Retry, current_job
from offload.codec import Signature
from offload.transactions.markers import Once
from tests.transactions.callers import Caller, Connected

PATIENCE = 30.0


class Receipt(BaseModel):
    number: int


@contextlib.asynccontextmanager
async def block(caller: Caller, own: Connected, step: str = "") -> AsyncIterator[Once]:
    """`with` or `async with`, as the connection is."""
    once = current_job.transaction(own.held, step)
    if caller.is_async:
        async with once as first:
            yield first
    else:
        with once as first:
            yield first


async def put(own: Connected, number: int) -> None:
    await own.execute(f"INSERT INTO effects VALUES ('-', {number})")


async def effects(caller: Caller) -> list[int]:
    async with caller.connected() as own:
        return [said for (said,) in await own.execute("SELECT said FROM effects ORDER BY said")]


@pytest.mark.usefixtures("worker")
async def test_a_second_run_has_no_second_effect_and_the_same_result(
    queue: Queue, caller: Caller
) -> None:
    firsts: list[bool] = []

    @queue.task(max_retries=2)
    async def pay(amount: int) -> Receipt:
        async with caller.connected() as own:
            async with block(caller, own) as first:
                firsts.append(bool(first))
                # Also whoever forgets to look does no harm: it is undone.
                await put(own, amount)
                if first:
                    first.result = Receipt(number=current_job.fencing_token)
            if current_job.retry_count < 2:
                raise Retry(delay=0)
            result: Receipt = first.result
            return result

    job = await pay.adelay(7)
    assert await job.aresult(PATIENCE) == Receipt(number=1)
    assert firsts == [True, False, False]
    assert await effects(caller) == [7]


@pytest.mark.usefixtures("worker")
async def test_what_the_block_raises_undoes_it_and_its_marker(queue: Queue, caller: Caller) -> None:
    @queue.task(max_retries=1)
    async def pay(amount: int) -> bool:
        async with caller.connected() as own, block(caller, own) as first:
            await put(own, amount + current_job.retry_count)
            if not current_job.retry_count:
                raise ValueError("no luck")
            return bool(first)

    job = await pay.adelay(7)
    assert await job.aresult(PATIENCE) is True
    assert await effects(caller) == [8]


@pytest.mark.usefixtures("worker")
async def test_the_steps_of_a_job_are_each_done_once(queue: Queue, caller: Caller) -> None:
    @queue.task(max_retries=1)
    async def pay() -> list[bool]:
        async with caller.connected() as own:
            done = []
            for number, step in enumerate(("one", "two", "two")):
                async with block(caller, own, step) as first:
                    done.append(bool(first))
                    await put(own, number)
                if step == "one" and not current_job.retry_count:
                    raise Retry(delay=0)
            return done

    job = await pay.adelay()
    assert await job.aresult(PATIENCE) == [False, True, False]
    assert await effects(caller) == [0, 1]
    # Another job is another matter, also of the same task.
    other = await pay.adelay()
    assert await other.aresult(PATIENCE) == [False, True, False]
    assert await effects(caller) == [0, 0, 1, 1]


async def test_an_asynchronous_connection_needs_async_with(caller: Caller) -> None:
    if not caller.is_async:
        return
    async with caller.connected() as own:
        with pytest.raises(ConfigurationError, match="async with"):
            once(own.held, 1).__enter__()


def once(connection: object, lease: int) -> Once:
    def task() -> None: ...

    return Once(connection, "job", lease, "", Signature(task, "task"))


def test_of_two_runs_at_once_one_waits_for_the_other(postgres_database: str) -> None:
    """A run that was taken over does not know it yet; both write."""
    answers: list[bool] = []

    def second() -> None:
        with psycopg.connect(postgres_database) as own, once(own, 2) as first:
            answers.append(bool(first))
            own.execute("INSERT INTO paid VALUES (2)")

    other = threading.Thread(target=second)
    with psycopg.connect(postgres_database) as own:
        own.execute("CREATE TABLE paid (lease integer)")
        own.commit()
        with once(own, 1) as first:
            assert first
            own.execute("INSERT INTO paid VALUES (1)")
            other.start()
            wait_for_a_lock(postgres_database)
            assert not answers
        other.join(PATIENCE)
        assert answers == [False]
        assert own.execute("SELECT lease FROM paid").fetchall() == [(1,)]
        own.execute("DROP TABLE paid, offload_markers")


def wait_for_a_lock(database: str) -> None:
    """Return when a session of the database waits for another one."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(database, autocommit=True) as look:
        while look.execute(waiting).fetchone() == (0,):
            pass
