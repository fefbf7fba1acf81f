"""What killed requests and tasks leave is removed, and nothing that an upload needs."""

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imaging import jobs, keeping, names
from imaging.janitor import sweep
from imaging.settings import settings
from imaging.storage import Storage
from offload import JobHandle
from offload.testing import Harness
from services.imaging.tests import pictures
from services.imaging.tests.buckets import in_environment
from services.imaging.tests.running import Running

DATA = b"a picture"
SHA = hashlib.sha256(DATA).hexdigest()
OBJECTS = [f"originals/{SHA[:2]}/{SHA}", f"outputs/{SHA[:2]}/{SHA}/thumbnail-v1.jpg"]


@pytest.fixture(params=["local", "s3"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    monkeypatch.setenv("IMAGING_DATA_DIR", str(tmp_path))
    if request.param == "s3":
        for name, value in in_environment(request.getfixturevalue("s3_server")).items():
            monkeypatch.setenv(name, value)
    settings.cache_clear()
    jobs.storage.cache_clear()
    # A bucket is made for whoever first writes to it.
    jobs.storage().put("first", b"")
    jobs.storage().delete("first")
    yield jobs.storage()
    settings.cache_clear()
    jobs.storage.cache_clear()


@pytest.fixture
def kit() -> Iterator[Harness]:
    with Harness(jobs.queue) as kit:
        yield kit


def stored(storage: Storage) -> list[str]:
    return sorted(s.key for folder in ("originals", "outputs") for s in storage.entries(folder))


def store(storage: Storage) -> None:
    for key in OBJECTS:
        storage.put(key, DATA)


def swept(kit: Harness, **time: float) -> int:
    """Let that time pass, and give what the sweeps have removed until then."""
    kit.eager = True
    kit.advance(timedelta(**time))
    kit.eager = False
    sweeps = jobs.queue.list_jobs(schedule=sweep.name, limit=100)
    return sum(job.result(timeout=0) for job in sweeps)


def upload(sha256: str) -> JobHandle[Any]:
    """Enqueue a job that needs these bytes; when it runs, it fails and remains."""
    return jobs.process_image.apply_async(args=("ab" * 32, "x"), tags=("upload", f"sha:{sha256}"))


def test_what_no_job_needs_goes_after_an_hour_and_not_before(
    storage: Storage, kit: Harness
) -> None:
    store(storage)
    assert swept(kit, minutes=55) == 0
    assert stored(storage) == OBJECTS
    assert swept(kit, minutes=20) == 1
    assert stored(storage) == []


def test_what_a_job_needs_stays(storage: Storage, kit: Harness) -> None:
    store(storage)
    upload(SHA)
    assert swept(kit, hours=3) == 0
    assert stored(storage) == OBJECTS


@pytest.mark.parametrize("left", OBJECTS)
def test_each_half_goes_alone(storage: Storage, kit: Harness, left: str) -> None:
    storage.put(left, DATA)
    assert swept(kit, hours=2) == 1
    assert stored(storage) == []


def test_what_is_not_ours_is_not_touched(storage: Storage, kit: Harness) -> None:
    others = sorted([f"originals/{names.new_id()}", f"outputs/zz/{SHA}/x", "outputs/ab/notes.txt"])
    for key in others:
        storage.put(key, DATA)
    assert swept(kit, hours=2) == 0
    assert stored(storage) == others


def test_old_temporary_files_go(storage: Storage, kit: Harness) -> None:
    old, new = storage.temporary(), storage.temporary()
    hours_ago = time.time() - 3 * 3600
    os.utime(old, (hours_ago, hours_ago))
    swept(kit, minutes=20)
    assert (old.exists(), new.exists()) == (False, True)


def test_an_upload_that_slips_in_keeps_its_bytes(storage: Storage, kit: Harness) -> None:
    store(storage)

    async def both() -> bool:
        async with keeping.held(SHA):
            removal = asyncio.create_task(keeping.remove_unused(SHA))
            # It finds no job, and would be done long before this if it did not wait.
            assert (await asyncio.wait({removal}, timeout=0.3))[0] == set()
            await jobs.process_image.aapply_async(args=(SHA, "x"), tags=(keeping.tag(SHA),))
        return await removal

    assert asyncio.run(both()) is False
    assert stored(storage) == OBJECTS


def test_asked_for_it_goes_at_once(storage: Storage, kit: Harness) -> None:
    store(storage)
    assert asyncio.run(keeping.remove_unused(SHA)) is True
    assert stored(storage) == []


@pytest.mark.timeout(120)
def test_an_upload_whose_original_is_gone_fails_with_a_reason(own_service: Running) -> None:
    web = own_service.start(IMAGING_WORKER="false")
    upload_id = own_service.accepted("x.jpg", pictures.photograph())
    originals = own_service.folder / "files" / "originals"
    [original] = [path for path in originals.rglob("*") if path.is_file()]
    original.unlink()
    web.terminate()
    web.wait()
    own_service.start()
    status = own_service.finished(upload_id)
    assert (status["status"], status["error"]) == (
        "FAILURE",
        {"code": "missing_original", "detail": "The uploaded file is no longer there."},
    )
