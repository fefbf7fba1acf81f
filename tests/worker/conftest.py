"""A queue on a file of its own, and the application with its stage."""

import importlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from offload import Queue
from tests.worker.staging import Stage


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    queue = Queue(db_path=str(tmp_path / "jobs.db"), max_retries=0, retry_backoff=0.001)
    await queue.aopen()
    yield queue
    await queue.aclose()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture
async def app(
    request: pytest.FixtureRequest, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """The application, imported anew so that its queue is on this test's file.

    With OFFLOAD_TEST_STORE=postgres in the environment, on a server instead.
    """
    if os.environ.get("OFFLOAD_TEST_STORE") == "postgres":
        monkeypatch.setenv("OFFLOAD_TEST_URL", request.getfixturevalue("postgres_url"))
    monkeypatch.setenv("OFFLOAD_TEST_FOLDER", str(stage.folder))
    # Restored afterwards: in-process janitors of other tests keep their own rhythm.
    monkeypatch.setattr("offload.worker.janitor.EVERY", 5.0)
    monkeypatch.delitem(sys.modules, "tests.worker.app", raising=False)
    app = importlib.import_module("tests.worker.app")
    await app.queue.aopen()
    yield app
    await app.queue.aclose()
    sys.modules.pop("tests.worker.app", None)
