"""Where sessions are shared with others, nothing of them is relied on."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from offload.core.errors import ConfigurationError
from offload.core.states import Move, State
from offload.store.base import Channel
from offload.store.open import open_store
from offload.store.postgres import PostgresStore
from offload.store.postgres.connection import Session
from offload.testing.conformance.steps import FAR, end, put, read, run, soon, take


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


def test_a_url_keeps_what_is_not_for_us() -> None:
    store = PostgresStore("postgres://me:pw@h:1/d?schema=s&sslmode=require&pooler=none")
    assert store.address.conninfo == "postgresql://me:pw@h:1/d?sslmode=require"
    assert store.address.shown == "postgresql://me@h:1/d"
    assert store.capabilities.url == "postgres://me:pw@h:1/d?schema=s&sslmode=require&pooler=none"
