"""What tests of the seeds share."""

import importlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from offload import Queue
from tests.fastapi.serving import Site

PORT = 8000


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(db_path=str(tmp_path / "myapp.db"))
    yield queue
    queue.close()


@pytest.fixture
def site(queue: Queue) -> Site:
    """A site whose one task does what the test tells it to."""
    return Site(queue)


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that imports one of the seed's applications, its database in here."""
    monkeypatch.chdir(tmp_path)
    names = [
        f"tests.seeds.seed_{name}" for name in ("000_app", "001_quick", "001_custom", "001_full")
    ]
    for name in names:
        sys.modules.pop(name, None)
    loaded: list[ModuleType] = []

    def load(name: str) -> ModuleType:
        loaded.append(importlib.import_module(f"tests.seeds.seed_{name}"))
        return loaded[-1]

    yield load
    for module in loaded:
        module.queue.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Hold the port that the client names if it is free, else any other, for the server."""
    try:
        found = socket.create_server(("127.0.0.1", PORT))
    except OSError:
        found = socket.create_server(("127.0.0.1", 0))
    with found:
        yield found
