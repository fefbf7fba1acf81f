"""The server tells every history as the model tells it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.store.machine import Histories


class RedisHistories(Histories):
    pass


@pytest.fixture(scope="module", autouse=True)
def driver(redis_server: str) -> Iterator[None]:
    RedisHistories.driver = redis_server
    yield
    RedisHistories.driver = "memory"


# For many more: python -m tests.store.play --driver redis.
TestRedisHistories = pytest.mark.timeout(0)(RedisHistories.TestCase)
TestRedisHistories.settings = settings(settings.default, stateful_step_count=30, max_examples=30)
