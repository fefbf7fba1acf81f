"""A site on a file of its own."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from offload import Queue
from tests.fastapi.serving import Site

SERVER = {"asyncio", "uvicorn.error"}


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    url = str(tmp_path / "jobs.db")
    if os.environ.get("OFFLOAD_TEST_STORE") == "postgres":
        url = request.getfixturevalue("postgres_url")
    queue = Queue(url)
    yield Site(queue)
    queue.close()


@pytest.fixture(autouse=True)
def no_error_of_the_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a test fail if a request or a task of it has ended in an error nobody expected."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors if record.name in SERVER] == []
