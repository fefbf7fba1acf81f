"""Each example is served as a user would serve it, with its stand-ins beside it."""

import asyncio
import contextlib
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from offload.fastapi import get_tasks
from tests.fastapi.serving import served


@dataclass(frozen=True)
class Site:
    """A served example, and a client for it."""

    module: ModuleType
    client: httpx.Client

    def told(self, service: str, count: int) -> list[dict[str, Any]]:
        """Return what a service was asked, once it was asked so often."""
        answer = httpx.get(
            f"{self.module.outside.url}/calls/{service}", params={"count": count}, timeout=30
        )
        answer.raise_for_status()
        calls: list[dict[str, Any]] = answer.json()
        return calls

    def refuse(self, service: str, times: int) -> None:
        """Let a service refuse what it is asked next."""
        url = f"{self.module.outside.url}/refuse/{service}"
        httpx.post(url, params={"times": times}).raise_for_status()

    def settle(self) -> None:
        """Return when all tasks that there are have ended."""
        for task in get_tasks(self.module.app).all():
            asyncio.run(task.wait(20))


Example = Callable[[str], AbstractContextManager[Site]]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Example:
    """Return what serves an example of that name, its files in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    @contextlib.contextmanager
    def example(name: str) -> Iterator[Site]:
        sys.modules.pop(f"examples.{name}", None)
        module = importlib.import_module(f"examples.{name}")
        with served(module.app) as url, httpx.Client(base_url=url, timeout=30) as client:
            client.get("/openapi.json")  # answered when the lifespan has started all
            yield Site(module, client)

    return example


@pytest.fixture(autouse=True)
def no_error_of_the_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Let a test fail if a request has ended in an error nobody expected."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    names = {"asyncio", "uvicorn.error"}
    assert [record.getMessage() for record in errors if record.name in names] == []
