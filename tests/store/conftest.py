"""A Valkey server that a test may look into."""

from collections.abc import AsyncIterator, Iterator

import pytest

from offload.store.base import Beat
from offload.store.redis import RedisStore
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import WORKER
from tests.servers.valkey import ValkeyServer


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """Return a server of the test's own, whose keys and counts nobody else moves."""
    server = ValkeyServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def store(server: ValkeyServer, clock: ManualClock) -> AsyncIterator[RedisStore]:
    """Return a store on that server, with a worker that is alive however far the clock goes."""
    store = RedisStore(server.url, clock=clock)
    await store.open()
    await store.heartbeat(Beat(WORKER, 10**7))
    yield store
    await store.close()
