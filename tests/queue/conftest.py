"""A queue on a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offload import Queue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def queue(path: Path) -> Iterator[Queue]:
    queue = Queue("memory://")
    yield queue
    queue.close()
