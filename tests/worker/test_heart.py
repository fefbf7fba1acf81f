"""The process that beats for a worker, and when it puts an end to it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from offload.store.base import Beat
from offload.store.sqlite import SQLiteStore
from offload.worker.pulse import Pulse

PAUSE = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "jobs.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def hanging() -> Iterator[subprocess.Popen[bytes]]:
    """A worker's process that does nothing at all, not even ping."""
    with subprocess.Popen(PAUSE) as process:
        yield process
        process.kill()


def pulse_of(store: SQLiteStore, process: subprocess.Popen[bytes], lease: float) -> Pulse:
    beat = Beat("w", lease=lease, pid=process.pid)
    return Pulse(str(store.capabilities.url), beat, interval=0.02, blames=True)


async def test_a_worker_that_hangs_and_blocks_the_store_is_killed(
    store: SQLiteStore, hanging: subprocess.Popen[bytes]
) -> None:
    """It holds the write lock, and cannot let go of it: nobody else could ever write."""
    pulse = pulse_of(store, hanging, lease=0.1)
    neighbour = apsw.Connection(str(store.path))
    neighbour.execute("BEGIN IMMEDIATE")
    await pulse.start()
    try:
        assert hanging.wait(30) == -9
    finally:
        neighbour.close()
        await pulse.stop()


async def test_a_worker_that_only_hangs_keeps_its_jobs(
    store: SQLiteStore, hanging: subprocess.Popen[bytes]
) -> None:
    """A long call of C is not a crime: the heart beats on for it."""
    pulse = pulse_of(store, hanging, lease=0.1)
    await pulse.start()
    try:
        ages: list[float] = []
        while len(ages) < 5:
            ages += [row.age for row in await store.workers() if row.alive and row.age not in ages]
    finally:
        await pulse.stop()
    assert hanging.poll() is None
