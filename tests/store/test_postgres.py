"""The server keeps the promises of the port."""

from collections.abc import AsyncIterator

import pytest

from offload.store.postgres import PostgresStore
from offload.testing import ManualClock
from offload.testing.conformance import Conformance


@pytest.fixture
async def store(clock: ManualClock, postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url, clock=clock)
    await store.open()
    yield store
    await store.close()


class TestPostgresStore(Conformance):
    pass
