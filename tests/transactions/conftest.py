"""A queue, and a program's own database that it has an outbox in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from offload import Queue
from tests.servers import postgres
from tests.transactions.callers import KINDS, Caller, place_of


async def relayed(queue: Queue) -> None:
    """End the relays; the look under way has ended then."""
    await asyncio.to_thread(queue._client.outboxes.stop)  # noqa: SLF001 - not to close it


@pytest.fixture(params=KINDS)
async def caller(
    request: pytest.FixtureRequest, tmp_path: Path, queue: Queue
) -> AsyncIterator[Caller]:
    with contextlib.ExitStack() as stack:

        def server() -> str:
            database = request.getfixturevalue("postgres_database")
            url = stack.enter_context(postgres.schema(database))
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(f"CREATE SCHEMA {url.partition('=')[2]}".encode())
            return url

        caller = Caller(request.param, place_of(request.param, tmp_path, server))
        async with caller.connected() as own:
            await own.execute("CREATE TABLE effects (job VARCHAR(99), said INTEGER)")
            await own.commit()
        yield caller
        await relayed(queue)
        await caller.close()


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    queue = Queue(str(tmp_path / "jobs.db"), synchronous="NORMAL", retry_backoff=0.001)
    yield queue
    await queue.aclose()


@pytest.fixture
def double(queue: Queue) -> Any:
    @queue.task(name="double")
    def double(number: int) -> int:
        return 2 * number

    return double


@pytest.fixture
async def worker(queue: Queue) -> AsyncIterator[None]:
    """A worker in this process, until the end of the test."""
    stop = asyncio.Event()
    working = asyncio.create_task(queue.arun_worker(stop, install_signals=False))
    yield
    stop.set()
    await working
