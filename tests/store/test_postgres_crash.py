"""What a crash of the server takes with it: that a job had begun, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from signal import SIGQUIT

import psycopg
import pytest

from offload.core.records import Report
from offload.core.retry import RetryPolicy
from offload.core.states import Move, State
from offload.core.unique import UniqueKey
from offload.store.postgres import PostgresStore
from offload.testing.conformance.steps import end, new, put, read, take
from tests.servers.postgres import PostgresServer, schema
from tests.store.test_postgres_direct import Threaded


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that writes nothing to its log's file but for a commit which waits for that."""
    server = PostgresServer(
        wal_writer_delay="10s",
        wal_writer_flush_after="1GB",
        bgwriter_lru_maxpages="0",
        autovacuum="off",
        wal_level="minimal",  # else it notes now and then what runs
        max_wal_senders="0",
        checkpoint_timeout="1h",
    )
    start(server)
    yield server
    server.remove()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with schema(server.url) as url:
        yield url


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    async with opened(url) as store:
        yield store


def start(server: PostgresServer) -> None:
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # else that of its start comes later


async def crash(server: PostgresServer) -> None:
    await asyncio.to_thread(server.stop, SIGQUIT)
    await asyncio.to_thread(start, server)


async def test_that_a_job_has_begun_may_be_forgotten(
    server: PostgresServer, store: PostgresStore
) -> None:
    await put(store, "a")
    await take(store)
    await crash(server)
    job = await read(store, "a")
    assert (job.state, job.attempt, job.lease) == (State.PENDING, 0, 0)


async def test_a_last_attempt_is_not_forgotten(
    server: PostgresServer, store: PostgresStore
) -> None:
    await put(store, "a", retry=RetryPolicy(0))
    await put(store, "b")
    await take(store, 2)
    await crash(server)
    assert [(await read(store, job_id)).attempt for job_id in "ab"] == [1, 1]


async def test_a_suspect_is_not_forgotten(server: PostgresServer, store: PostgresStore) -> None:
    await put(store, "a")
    [job] = await take(store)
    assert await end(store, job, Move.RETRY, crashed=True)
    await take(store)
    await crash(server)
    assert (await read(store, "a")).attempt == 2


async def test_whatever_comes_later_has_the_claim_before_it(
    server: PostgresServer, store: PostgresStore
) -> None:
    await put(store, "a")
    [job] = await take(store)
    assert await store.report([Report("a", job.lease, 50)]) == [True]
    await crash(server)
    found = await read(store, "a")
    assert (found.lease, found.progress) == (job.lease, 50)
    assert await end(store, found, Move.COMPLETE)


async def test_a_lease_that_was_given_twice_counts_for_its_holder(
    server: PostgresServer, store: PostgresStore, url: str
) -> None:
    await put(store, "a", "b")
    before = await take(store, 2)
    await crash(server)
    async with opened(url) as other:
        now = await take(other, 2, worker="other")
        assert [job.lease for job in now] == [job.lease for job in before]
        assert await store.report([Report(job.id, job.lease, 50) for job in before]) == [False] * 2
        assert not await end(store, before[0], Move.COMPLETE)
        assert not await end(store, before[1], Move.RETRY)
        assert await end(other, now[0], Move.COMPLETE)
        assert await end(other, now[1], Move.RETRY)


async def test_who_gets_a_lease_again_does_not_take_it_for_the_one_before(
    server: PostgresServer, store: PostgresStore
) -> None:
    await put(store, "a")
    [before] = await take(store)
    await crash(server)
    assert await take(store) == []
    [now] = await take(store)
    assert (now.attempt, now.lease) == (1, before.lease + 1)
    assert not await end(store, before, Move.COMPLETE)
    assert await end(store, now, Move.COMPLETE)


class TestEnqueue:
    """Workers see a job before the disk has it; who enqueued it hears of it only then."""

    async def test_what_was_acknowledged_is_not_forgotten(
        self, server: PostgresServer, store: PostgresStore
    ) -> None:
        for job_id in ("a", "b", "c"):
            await put(store, job_id)
            await crash(server)
            assert (await read(store, job_id)).state is State.PENDING

    async def test_nor_that_of_a_thread_which_blocks(
        self, server: PostgresServer, url: str
    ) -> None:
        threaded = await asyncio.to_thread(Threaded, url)
        for job_id in "ab":
            await asyncio.to_thread(threaded.connect)
            assert await asyncio.to_thread(threaded.here, new(job_id)) is not None
            await crash(server)
            job = await threaded.loop.arun(read(threaded.store, job_id))
            assert job.state is State.PENDING
        await asyncio.to_thread(threaded.close)

    @pytest.mark.parametrize("unique", [False, True])
    async def test_who_finds_it_there_is_not_told_before_either(
        self, server: PostgresServer, store: PostgresStore, url: str, *, unique: bool
    ) -> None:
        """What another one has stored may not be on the disk yet."""
        key = UniqueKey("k") if unique else None
        async with opened(f"{url}&options=-csynchronous_commit%3Doff") as careless:
            await put(careless, "a")
            assert [job.id for job in await store.enqueue([new("a", unique=key)])] == ["a"]
            await crash(server)
            assert (await read(store, "a")).state is State.PENDING
