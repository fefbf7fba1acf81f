"""A queue of its own for each test, on every store of this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offload import Queue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return "memory://" if request.param == "memory" else str(path)


@pytest.fixture
def queue(url: str) -> Iterator[Queue]:
    queue = Queue(url)
    yield queue
    queue.close()
