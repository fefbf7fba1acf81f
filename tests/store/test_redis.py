"""The server keeps the promises of the port."""

from collections.abc import AsyncIterator

import pytest

from offload.store.redis import RedisStore
from offload.testing import ManualClock
from offload.testing.conformance import Conformance


@pytest.fixture
async def store(clock: ManualClock, redis_url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(redis_url, clock=clock)
    await store.open()
    yield store
    await store.close()


class TestRedisStore(Conformance):
    pass
