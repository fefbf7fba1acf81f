"""The file keeps the promises of the port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from offload.store.sqlite import SQLiteStore
from offload.testing import ManualClock
from offload.testing.conformance import Conformance


@pytest.fixture
async def store(clock: ManualClock, tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "jobs.db", clock=clock)
    await store.open()
    yield store
    await store.close()


class TestSQLiteStore(Conformance):
    pass
