"""A claim need not survive a power cut, except where its loss would break a promise."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from offload.core.job import NewJob
from offload.core.lane import Lane
from offload.core.records import Finish
from offload.core.retry import RetryPolicy
from offload.core.states import Move
from offload.store.sqlite import SQLiteStore, writer
from offload.testing import ManualClock
from tests.power.vfs import Gate, Point, RecordingVFS, recording

SOON = writer.SOON
AGAIN, NEVER_AGAIN = RetryPolicy(1), RetryPolicy(0)


@pytest.fixture
def disk() -> Iterator[RecordingVFS]:
    with recording("claims", 64) as vfs:
        yield vfs


@pytest.fixture
async def store(
    disk: RecordingVFS, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SQLiteStore]:
    monkeypatch.setattr(writer, "SOON", SOON)
    store = SQLiteStore(tmp_path / "jobs.db", clock=clock)
    await store.open()
    yield store
    await store.close()


async def test_a_claim_does_not_wait_for_the_disk_but_is_on_it_soon(
    store: SQLiteStore, disk: RecordingVFS
) -> None:
    await store.enqueue([NewJob("j", "t", retry=AGAIN)])
    sync = disk.hold(Point.SYNCS)
    assert [job.id for job in (await store.claim("w", None, 1)).jobs] == ["j"]
    await sync.reached()
    sync.open()


@pytest.mark.parametrize(
    "job",
    [
        NewJob("last", "t", retry=NEVER_AGAIN),
        NewJob("in a lane", "t", retry=AGAIN, lane=Lane("l", interval=60.0)),
        NewJob("expired", "t", retry=AGAIN, delay=1.0, expires=0.5),
    ],
    ids=lambda job: job.id,
)
async def test_what_must_be_known_afterwards_is_on_the_disk_first(
    store: SQLiteStore, clock: ManualClock, disk: RecordingVFS, job: NewJob
) -> None:
    await store.enqueue([job])
    clock.advance(2.0)
    await expect_sync(disk.hold(Point.SYNCS), store)


async def test_so_is_a_second_try_after_a_crash(store: SQLiteStore, disk: RecordingVFS) -> None:
    await store.enqueue([NewJob("j", "t", retry=RetryPolicy(5))])
    [job] = (await store.claim("w", None, 1)).jobs
    await store.finish([Finish(job.id, job.lease, Move.RELEASE, crashed=True)])
    await expect_sync(disk.hold(Point.SYNCS), store)


async def expect_sync(sync: Gate, store: SQLiteStore) -> None:
    claim = asyncio.ensure_future(store.claim("w", None, 1))
    await sync.reached()
    assert not claim.done()
    sync.open()
    await claim
