"""From a program's database into the queue: each once, in order, whatever is in the way."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from offload import Queue, StoreUnavailable
from offload.core.errors import PayloadError
from offload.core.job import Inputs, Job, NewJob, OnParentFailure
from offload.core.lane import Lane
from offload.core.retry import RetryPolicy
from offload.core.unique import OnConflict, Scope, UniqueKey
from offload.transactions.outbox import OutboxTable
from offload.transactions.relay import Enqueue, Relay
from offload.transactions.rows import job_of, text_of
from offload.transactions.sources import source

PATIENCE = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def own(queue: Queue, path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a database whose outbox nobody relays but the test."""
    queue.outbox(lambda: sqlite3.connect(path), relay=False)
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


@pytest.fixture
async def relay_to(path: Path) -> Any:
    made: list[Any] = []

    def relay_to(enqueue: Enqueue) -> Relay:
        made.append(source(lambda: sqlite3.connect(path)))
        return Relay(made[-1], OutboxTable("offload_outbox"), enqueue, 3600.0)

    yield relay_to
    for each in made:
        await each.close()


RelayTo = Callable[[Enqueue], Relay]


def rows(own: sqlite3.Connection) -> list[Any]:
    return own.execute("SELECT id, tries, error FROM offload_outbox ORDER BY created_at").fetchall()


async def test_two_relays_at_once_store_each_job_once(
    queue: Queue, own: sqlite3.Connection, double: Any, relay_to: RelayTo
) -> None:
    await double.amap([(n,) for n in range(250)], connection=own)
    own.commit()
    stored: list[str] = []
    both_have_read = asyncio.Barrier(2)

    async def enqueue(jobs: Sequence[NewJob]) -> Sequence[Job]:
        await both_have_read.wait()
        stored.extend(job.id for job in jobs)
        answer: Sequence[Job] = await double.jobs.enqueue(jobs)
        return answer

    async def relay() -> None:
        relay = relay_to(enqueue)
        while await relay.look():
            pass

    await asyncio.gather(relay(), relay())
    assert len(stored) == 500  # each of them had all of them
    assert len(await queue.alist_jobs(limit=1000)) == 250
    assert rows(own) == []


async def test_while_the_queues_store_is_away_all_rows_stay(
    queue: Queue, own: sqlite3.Connection, double: Any, relay_to: RelayTo
) -> None:
    handles = await double.amap([(1,), (2,)], connection=own)
    own.commit()
    is_away = True

    async def enqueue(jobs: Sequence[NewJob]) -> Sequence[Job]:
        if is_away:
            raise StoreUnavailable("it is away")
        answer: Sequence[Job] = await double.jobs.enqueue(jobs)
        return answer

    relay = relay_to(enqueue)
    with pytest.raises(StoreUnavailable):
        await relay.look()
    assert rows(own) == [(handle.id, 0, None) for handle in handles]
    is_away = False
    await relay.look()
    assert rows(own) == []
    assert [(await handle.arefresh()).status for handle in handles] == ["pending"] * 2


@pytest.mark.usefixtures("worker")
async def test_a_relay_goes_on_when_its_database_comes_back(
    queue: Queue, own: sqlite3.Connection, path: Path, double: Any, tmp_path: Path
) -> None:
    second = Queue(str(tmp_path / "jobs.db"))
    tried = asyncio.Event()
    loop, is_away = asyncio.get_running_loop(), True

    def connect() -> sqlite3.Connection:
        if is_away:
            loop.call_soon_threadsafe(tried.set)
            raise sqlite3.OperationalError("it is away")
        return sqlite3.connect(path)

    second.outbox(connect)
    await second.aopen()
    done = await double.aapply_async([2], connection=own)
    own.commit()
    async with asyncio.timeout(PATIENCE):
        await tried.wait()
    is_away = False
    assert await done.aresult(PATIENCE) == 4
    await second.aclose()


async def test_a_row_that_is_refused_is_reported_and_holds_up_nobody(
    queue: Queue,
    own: sqlite3.Connection,
    double: Any,
    relay_to: RelayTo,
    caplog: pytest.LogCaptureFixture,
) -> None:
    orphan = await double.aapply_async([1], depends_on="later", connection=own)
    damaged = await double.aapply_async([2], connection=own)
    good = await double.aapply_async([3], connection=own)
    own.execute("UPDATE offload_outbox SET payload = '{' WHERE id = ?", (damaged.id,))
    own.commit()
    relay = relay_to(double.jobs.enqueue)
    with caplog.at_level(logging.ERROR, "offload.outbox"):
        await relay.look()
    assert (await good.arefresh()).status == "pending"
    assert [message.split(" cannot")[0] for message in caplog.messages] == [
        f"outbox offload_outbox: job {damaged.id}",
        f"outbox offload_outbox: job {orphan.id}",
    ]
    [first, second] = rows(own)
    assert first[:2] == (orphan.id, 1)
    assert first[2].startswith("DependencyError: ")
    assert second[:2] == (damaged.id, 1)
    assert second[2].startswith("PayloadError: ")
    await relay.look()
    assert [row[1] for row in rows(own)] == [1, 1]  # their time has not come
    await double.aapply_async([0], job_id="later")
    own.execute("UPDATE offload_outbox SET due_at = 0")
    own.commit()
    await relay.look()
    assert [row[:2] for row in rows(own)] == [(damaged.id, 2)]
    assert (await orphan.arefresh()).job.blockers == 1


async def test_whoever_waits_for_a_job_that_gave_way_waits_for_the_other(
    queue: Queue, own: sqlite3.Connection, double: Any, relay_to: RelayTo
) -> None:
    holder = await double.aapply_async([1], unique_key="k")
    twin = await double.aapply_async([1], unique_key="k", connection=own)
    child = await double.aapply_async([2], depends_on=twin, connection=own)
    # A third one makes the relay take them one by one.
    await double.aapply_async([3], depends_on="nobody", connection=own)
    own.commit()
    await relay_to(double.jobs.enqueue).look()
    assert (await child.afamily()).parents == [holder.id]


async def test_old_markers_are_removed(
    own: sqlite3.Connection, double: Any, relay_to: RelayTo
) -> None:
    await relay_to(double.jobs.enqueue).look()
    own.execute("INSERT INTO offload_markers VALUES ('old', '', 'r', 1, NULL, 0)")
    own.execute("INSERT INTO offload_markers VALUES ('new', '', 'r', 1, NULL, 1e15)")
    own.commit()
    await relay_to(double.jobs.enqueue).look()
    assert own.execute("SELECT job_id FROM offload_markers").fetchall() == [("new",)]


async def test_a_job_says_where_it_may_be_before_it_arrives(
    queue: Queue, own: sqlite3.Connection, double: Any
) -> None:
    promised = await double.aapply_async([1], connection=own)
    own.commit()
    assert promised.version == 0
    with pytest.raises(TimeoutError, match="may still commit"):
        await promised.aresult(timeout=0.01)


def test_a_request_comes_back_whole() -> None:
    plain = NewJob("1", "task")
    special = NewJob(
        "2",
        "task",
        queue="q",
        payload='[["ä\\u0000",1.5],{"x":null}]'.encode(),
        priority=3,
        run_at=12,
        retry=RetryPolicy(7, 0.5, 9.0, (1.0, 2.5)),
        timeout=1.5,
        result_ttl=2.5,
        unique=UniqueKey("k", Scope.WINDOW, OnConflict.REPLACE, 10.0),
        depends_on=("1", "x"),
        on_parent_failure=OnParentFailure.RUN,
        inputs=Inputs.LIST,
        lane=Lane("l", 0.5, 3),
        metadata={"a": [1, {"b": None}]},
        tags=("t", "u"),
        origin="o",
        schedule="s",
        tick=5,
    )
    for job in (plain, special):
        assert job_of(text_of(job), 0.0) == job


def test_seconds_count_from_the_call_and_not_from_the_relay() -> None:
    job = job_of(text_of(NewJob("1", "task", delay=10.0, expires=30.0)), 25.0)
    assert (job.delay, job.expires) == (0.0, 5.0)
    # A clock that was set back gives no more than was asked for.
    job = job_of(text_of(NewJob("1", "task", delay=10.0)), -25.0)
    assert job.delay == 10.0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"id": "1"}'])
def test_a_damaged_text_is_no_request(text: str) -> None:
    with pytest.raises(PayloadError):
        job_of(text, 0.0)


def test_a_request_of_a_newer_version_is_not_guessed_at() -> None:
    text = text_of(NewJob("1", "task")).replace('"id"', '"new": 1, "id"')
    with pytest.raises(PayloadError, match="newer version: new"):
        job_of(text, 0.0)
