"""Whatever a job says, the server keeps it as it is, by whichever way it came in."""

import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings, strategies as st

from offload.core.job import NewJob
from offload.core.retry import RetryPolicy
from offload.store.memory import MemoryStore
from offload.store.postgres import PostgresStore, arrays, enqueueing
from offload.testing import ManualClock

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
FLOATS = st.floats(allow_nan=False)
ODD = 'a\tb\nc\rd\\e"f{g},h%i\x7f \N{GRINNING FACE} NULL \\N \\.'


@pytest.fixture(scope="module")
def connection(postgres_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        yield connection


class TestLiterals:
    @given(items=st.lists(st.none() | TEXT))
    def test_texts(self, connection: psycopg.Connection[Any], items: list[str | None]) -> None:
        assert self.read(connection, "text", arrays.texts(items)) == items

    @given(items=st.lists(st.none() | st.binary()))
    def test_binary(self, connection: psycopg.Connection[Any], items: list[bytes | None]) -> None:
        assert self.read(connection, "bytea", arrays.binary(items)) == items

    @given(items=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
    def test_numbers(self, connection: psycopg.Connection[Any], items: list[int | None]) -> None:
        assert self.read(connection, "bigint", arrays.numbers(items)) == items

    @given(items=st.lists(st.none() | FLOATS))
    def test_floats(self, connection: psycopg.Connection[Any], items: list[float | None]) -> None:
        assert self.read(connection, "float8", arrays.floats(items)) == items

    def read(self, connection: psycopg.Connection[Any], kind: str, literal: str) -> list[Any]:
        row = connection.execute(f"SELECT %s::{kind}[]".encode(), [literal]).fetchone()
        assert row is not None
        found: list[Any] = row[0]
        return found


odd_jobs = st.builds(
    NewJob,
    id=st.just("a"),
    task=TEXT,
    queue=TEXT,
    payload=st.binary(),
    priority=st.integers(-(2**31), 2**31),
    delay=st.just(0.0) | st.floats(0, 1e6),
    retry=st.builds(
        RetryPolicy,
        st.integers(0, 100),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.lists(st.floats(0, 100), max_size=3).map(tuple),
    ),
    timeout=st.none() | st.floats(0.1, 1e9) | st.just(math.inf),
    expires=st.none() | st.floats(0, 1e6),
    result_ttl=st.none() | st.floats(0, 1e9),
    metadata=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    origin=st.none() | TEXT,
    schedule=st.none() | TEXT,
    tick=st.none() | st.integers(0, 2**53),
)


class TestWaysIn:
    @pytest.fixture
    async def store(self, postgres_url: str, clock: ManualClock) -> AsyncIterator[PostgresStore]:
        store = PostgresStore(postgres_url, clock=clock)
        await store.open()
        yield store
        await store.close()

    async def test_one_some_and_many_are_stored_alike(
        self, store: PostgresStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("offload.store.postgres.store.COPY_FROM", 5)
        drawn: list[NewJob] = []

        @settings(max_examples=60, database=None)
        @given(new=odd_jobs)
        def draw(new: NewJob) -> None:
            drawn.append(new)

        draw()
        drawn.append(replace(drawn[0], task=ODD, queue=ODD, tags=(ODD,), metadata={ODD: ODD}))
        model = MemoryStore(clock)
        for place, new in enumerate(drawn):
            for way, count in (("one", 1), ("some", 2), ("many", 5)):
                jobs = [replace(new, id=f"{place}-{way}-{n}{ODD}") for n in range(count)]
                expected = await model.enqueue(jobs)
                assert list(await store.enqueue(jobs)) == expected
                assert await store.get([job.id for job in jobs]) == expected

    async def test_a_stream_in_which_some_are_there_already(self, store: PostgresStore) -> None:
        count = enqueueing.COPY_FROM * 2 + 1
        first = [NewJob(f"j{n}", "first") for n in range(0, count, 7)]
        await store.enqueue(first)
        again = [NewJob(f"j{n}", "again") for n in range(count)]
        jobs = await store.enqueue(again)
        assert [job.id for job in jobs] == [new.id for new in again]
        assert {job.id for job in jobs if job.task == "first"} == {new.id for new in first}
        assert sum((await store.stats()).values()) == count
