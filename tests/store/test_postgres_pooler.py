"""Where sessions are shared with others, nothing of them is relied on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import psycopg
import pytest

from offload.core.errors import ConfigurationError, StoreError
from offload.core.states import Move, State
from offload.store.base import Channel
from offload.store.open import open_store
from offload.store.postgres import PostgresStore, connection
from offload.store.postgres.connection import Session
from offload.testing.conformance.steps import FAR, end, put, read, run, soon, take
from tests.servers.pooler import pooling


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """One that reaches the server through a pooler, and one that reaches it directly."""
    async with AsyncExitStack() as kept:
        found = PostgresStore(f"{postgres_url}&pooler=transaction"), PostgresStore(postgres_url)
        for store in found:
            await store.open()
            kept.push_async_callback(store.close)
        yield found


async def prepared(session: Session) -> int:
    cursor = await session.connection.execute(b"SELECT count(*) FROM pg_prepared_statements")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_it_does_all_that_it_does_directly(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    pooled, direct = stores
    for number in range(5):
        job = await run(pooled, f"j{number}")
        await put(pooled, f"c{number}", depends_on=(job.id,), queue="other")
        assert await end(pooled, job, Move.COMPLETE)
        assert (await read(direct, job.id)).state is State.COMPLETE
        assert await take(pooled, queues=["other"])
    for line in (pooled._calls, pooled._claims, pooled._ends, *pooled._readers):  # noqa: SLF001
        assert await line.run(prepared) == 0
    assert await direct._readers[-1].run(prepared) > 0  # noqa: SLF001


async def test_it_rings_and_does_not_listen(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str
) -> None:
    pooled, direct = stores
    cursor = pooled.cursor(Channel.READY)
    await pooled.wait(Channel.READY, cursor, 0.01)
    with psycopg.connect(direct.address.conninfo) as operator:
        question = b"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert operator.execute(question).fetchone() == (0,)
    cursor = direct.cursor(Channel.READY)
    await direct.wait(Channel.READY, cursor, 0.01)
    while direct.cursor(Channel.READY) == cursor:  # until it listens
        await soon(direct.wait(Channel.READY, cursor, FAR))
    cursor = direct.cursor(Channel.READY)
    await put(pooled, "a")
    await soon(direct.wait(Channel.READY, cursor, FAR))


SESSIONS = 2


async def test_many_share_few_sessions_that_change_with_each_transaction(
    postgres_url: str,
) -> None:
    """Producers and workers, three processes of each, behind a real pooler."""
    parts = urlsplit(postgres_url)
    async with pooling(postgres_url, SESSIONS) as (pooler, port), AsyncExitStack() as kept:
        address = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        stores = [PostgresStore(f"{address}&pooler=transaction") for _ in range(3)]
        for store in stores:
            await store.open()
            kept.push_async_callback(store.close)

        async def produce(number: int) -> None:
            for part in range(20):
                [parent] = await put(stores[number], f"p{number}-{part}")
                await put(stores[number], f"c{number}-{part}", depends_on=(parent.id,))
                assert await stores[number].acquire("lock", f"{number}", -1)

        async def work(number: int) -> None:
            while (await stores[number].stats())[State.COMPLETE] < 120:
                for job in await take(stores[number], 7, worker=f"w{number}"):
                    assert await end(stores[number], job, Move.COMPLETE)

        numbers = range(len(stores))
        await asyncio.gather(*map(produce, numbers), *map(work, numbers))
    shared = Counter(guest for guest, _ in pooler.served)
    assert max(shared.values()) == SESSIONS
    assert len(shared) > SESSIONS


async def test_a_pooler_is_told_apart_from_a_server(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `pooler=transaction`, it refuses the settings of our sessions."""
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    parts = urlsplit(postgres_url)
    async with pooling(postgres_url, SESSIONS) as (_, port):
        address = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        with pytest.raises(StoreError, match="unsupported startup parameter"):
            await PostgresStore(address).open()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://h/d?schema=a-b", "schema='a-b': use letters"),
        ("postgresql://h/d?schema=", "schema=''"),
        ("postgresql://h/d?pooler=session", "use one of none, transaction"),
    ],
)
def test_what_makes_no_sense_in_a_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_store(url)


def test_the_option_of_another_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="synchronous_commit decides"):
        open_store("postgresql://h/d", synchronous="NORMAL")


@pytest.mark.parametrize(
    ("url", "conninfo", "shown"),
    [
        (
            "postgres://me:p#w@h:1,i:2/d?schema=s&sslmode=require&pooler=none&options=-c%20a%3Db",
            "postgresql://me:p#w@h:1,i:2/d?sslmode=require&options=-c%20a%3Db",
            "postgresql://me@h:1,i:2/d",
        ),
        ("postgresql:///d?host=%2Frun", "postgresql:///d?host=%2Frun", "postgresql:///d"),
        ("postgresql://?schema=s", "postgresql://", "postgresql://"),
    ],
)
def test_a_url_keeps_what_is_not_for_us(url: str, conninfo: str, shown: str) -> None:
    store = PostgresStore(url)
    assert store.address.conninfo == conninfo
    assert store.address.shown == shown
    assert store.capabilities.url == url
