"""The model keeps the promises that it is the measure for."""

from collections.abc import AsyncIterator

import pytest

from offload.store.memory import MemoryStore
from offload.testing import ManualClock
from offload.testing.conformance import Conformance


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[MemoryStore]:
    store = MemoryStore(clock=clock)
    await store.open()
    yield store
    await store.close()


class TestMemoryStore(Conformance):
    pass
