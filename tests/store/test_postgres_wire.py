"""Statements by way of libpq, and rings: what psycopg would otherwise see to."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from offload.core.states import Move
from offload.store.base import Channel
from offload.store.postgres import PostgresStore, store as postgres_store
from offload.store.postgres.bell import Bell
from offload.store.postgres.connection import connected
from offload.store.postgres.url import parsed
from offload.store.postgres.wire import RING, Behind, BlockingWire, Wire, numbered
from offload.testing.conformance.steps import FAR, end, put, take

LARGE = 20_000_000
"""More bytes than a socket takes at once."""


@pytest.fixture(params=["awaits", "blocks"])
async def wire(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[Wire]:
    async with await connected(parsed(postgres_url), tuned=False) as connection:
        if request.param == "awaits":
            yield Wire(connection, prepares=True)
        else:
            yield BlockingWire(connection, prepares=True, limit=FAR)


def test_a_value_that_is_needed_twice_is_sent_once() -> None:
    statement = numbered("SELECT %(b)s::int, %(a)s::text, %(b)s::int")
    assert statement == (b"SELECT $1::int, $2::text, $1::int", ("b", "a"))


async def test_values_come_back_as_they_went(wire: Wire) -> None:
    sql = "SELECT %(n)s::bigint, %(x)s::float8, %(t)s::text, %(b)s::bytea, %(y)s::bool, %(o)s::int"
    row = (-(2**63), 0.1 + 0.2, 'ä "\\', b"\0\xff", True, None)
    for _ in range(3):  # at first as it stands, then prepared
        assert await wire.fetch(sql, dict(zip("nxtbyo", row, strict=True))) == [row]


async def test_what_a_socket_does_not_take_at_once_is_sent_all_the_same(wire: Wire) -> None:
    ((length,),) = await wire.fetch("SELECT length(%(t)s::text)", {"t": "x" * LARGE})
    assert length == LARGE


async def test_a_row_does_not_count_before_the_commit(wire: Wire) -> None:
    await wire.fetch("CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)", {})
    for _ in range(2):
        with pytest.raises(psycopg.errors.UniqueViolation):
            await wire.fetch("INSERT INTO t VALUES (1), (1) RETURNING n", {})
    assert await wire.fetch("SELECT n FROM t", {}) == []


async def test_a_ring_is_heard(wire: Wire, postgres_url: str) -> None:
    async with await connected(parsed(postgres_url), tuned=False) as other:
        await other.execute(b"LISTEN rings")
        for number in range(3):  # at first as it stands, then prepared
            ring = Behind(RING, [b"rings", b"%d" % number], is_hint=True)
            assert await wire.fetch("SELECT 1", {}, [ring]) == [(1,)]
            [heard] = [each async for each in other.notifies(timeout=FAR, stop_after=1)]
            assert heard.payload == str(number)


async def test_what_must_not_be_refused_behind_it_is_told(wire: Wire) -> None:
    for _ in range(3):
        with pytest.raises(psycopg.errors.DivisionByZero):
            await wire.fetch("SELECT 1", {}, [Behind(b"SELECT 1 / 0")])
    assert await wire.fetch("SELECT 1", {}, [Behind(b"SELECT 2")]) == [(1,)]


async def test_a_refusal_ahead_of_a_ring_is_told(wire: Wire) -> None:
    await wire.fetch("CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)", {})
    ring = [Behind(RING, [b"rings", b""], is_hint=True)]
    for _ in range(3):
        with pytest.raises(psycopg.errors.UniqueViolation):
            await wire.fetch("INSERT INTO t VALUES (1), (1) RETURNING n", {}, ring)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await wire.fetch("SELECT 1 / 0", {}, ring)
    assert await wire.fetch("SELECT n FROM t", {}, ring) == []


async def test_a_ring_that_is_refused_spoils_nothing(wire: Wire) -> None:
    for _ in range(2):
        ring = Behind(RING, [b"", b"a ring without a name"], is_hint=True)
        assert await wire.fetch("SELECT 1", {}, [ring]) == [(1,)]


async def test_a_text_is_not_cut_at_a_nul(wire: Wire) -> None:
    with pytest.raises(psycopg.DataError):
        await wire.fetch("SELECT %(t)s::text", {"t": "a\0b"})


async def test_nothing_is_prepared_behind_a_pooler(postgres_url: str) -> None:
    async with await connected(parsed(postgres_url), tuned=False) as connection:
        shared = Wire(connection, prepares=False)
        for _ in range(3):
            assert await shared.fetch("SELECT count(*) FROM pg_prepared_statements", {}) == [(0,)]


async def rung(url: str, heard: asyncio.Queue[Channel]) -> Bell:
    """A bell that has begun to listen: it tells of every channel once."""
    bell = Bell(parsed(url), heard.put_nowait)
    bell.listen()
    assert {await heard.get() for _ in Channel} == set(Channel)
    return bell


async def test_a_claim_is_told_with_its_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_store, "PATIENCE", FAR)
    heard = asyncio.Queue[Channel]()
    store = PostgresStore(postgres_url)
    await store.open()
    # Its own bell is there, too, or it would tell what waits when it comes.
    await store.wait(Channel.CHANGED, store.cursor(Channel.CHANGED), FAR)
    bell = await rung(postgres_url, heard)
    await put(store, "a")
    assert await heard.get() is Channel.READY
    [job] = await take(store)
    assert await end(store, job, Move.COMPLETE)
    assert await heard.get() is Channel.CHANGED
    await put(store, "b")
    assert await heard.get() is Channel.READY
    await bell.close()
    await store.close()


async def test_a_claim_alone_is_told_soon(postgres_url: str) -> None:
    heard = asyncio.Queue[Channel]()
    store = PostgresStore(postgres_url)
    await store.open()
    bell = await rung(postgres_url, heard)
    await put(store, "a")
    assert await heard.get() is Channel.READY
    cursor = store.cursor(Channel.CHANGED)
    await take(store)
    await store.wait(Channel.CHANGED, cursor, FAR)  # its own process knows already
    assert await heard.get() is Channel.CHANGED
    await bell.close()
    await store.close()


async def test_a_ring_that_is_under_way_does_not_disturb_the_end(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.Queue[Channel]()
    bell, other = await rung(postgres_url, asyncio.Queue()), await rung(postgres_url, heard)
    bell.ring({Channel.READY})
    await bell.close()
    assert await heard.get() is Channel.READY
    await other.close()
    assert not caplog.records
