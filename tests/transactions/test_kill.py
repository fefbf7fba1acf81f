"""A process that dies between two commits loses nothing and doubles nothing."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from offload import JobHandle, Queue
from offload.transactions.outbox import OutboxTable
from offload.transactions.relay import Relay
from offload.transactions.sources import source
from tests.servers import postgres

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
NOBODY = -signal.SIGKILL


@pytest.fixture(params=["file to file", "server to file", "file to redis"])
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """What kind of database producers write to, and where their queue is."""
    database, _, store = str(request.param).split()
    return database, store


@pytest.fixture
async def address(
    request: pytest.FixtureRequest, way: tuple[str, str], tmp_path: Path
) -> AsyncIterator[str]:
    """The address of the database."""
    if way[0] == "file":
        yield f"sqlite:///{tmp_path}/app.db"
        return
    server: str = request.getfixturevalue("postgres_database")
    with postgres.schema(server) as url, psycopg.connect(server) as own:
        name = url.partition("=")[2]
        own.execute(f"CREATE SCHEMA {name}".encode())
        own.commit()
        base, _, _ = url.partition("?")
        yield f"{base.replace('postgresql:', 'postgresql+psycopg:')}?options=-csearch_path%3D{name}"


@pytest.fixture
def url(request: pytest.FixtureRequest, way: tuple[str, str], tmp_path: Path) -> str:
    """The URL of the queue."""
    return str(tmp_path / "jobs.db" if way[1] == "file" else request.getfixturevalue("redis_url"))


@pytest.fixture
async def queue(url: str) -> AsyncIterator[Queue]:
    queue = Queue(url, synchronous="NORMAL", retry_backoff=0.001)
    yield queue
    await queue.aclose()


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    engine = create_engine(address)
    with Session(engine) as session:
        session.execute(text("CREATE TABLE effects (job VARCHAR(99), said INTEGER)"))
        session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def start(url: str, address: str) -> Callable[..., Any]:
    async def start(*what: str) -> Process:
        program = [sys.executable, "-m", "tests.transactions.producer"]
        arguments = [url, address, *what]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path}
        return await asyncio.create_subprocess_exec(
            *program, *arguments, stdout=PIPE, env=environment
        )

    return start


@pytest.fixture
def ran(queue: Queue) -> list[int]:
    """What the task was run with, in order."""
    ran: list[int] = []

    @queue.task(name="record")
    def record(number: int) -> int:
        ran.append(number)
        return number

    return ran


async def relay_all(queue: Queue, engine: Engine) -> list[JobHandle[Any]]:
    """Relay what was left, and return all jobs when they have run."""
    relay = Relay(
        source(engine),
        OutboxTable("offload_outbox"),
        queue.tasks.get("record").jobs.enqueue,
        3600.0,
    )
    while await relay.look():
        pass
    assert left(engine) == 0
    handles = await queue.alist_jobs(limit=100_000)
    for handle in handles:
        await handle.aresult(PATIENCE)
    return handles


def left(engine: Engine) -> int:
    with Session(engine) as session:
        return int(session.execute(text("SELECT count(*) FROM offload_outbox")).scalar_one())


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("what", ["die_before_the_relay", "die_in_the_relay"])
async def test_a_kill_between_the_two_commits(
    queue: Queue, engine: Engine, start: Callable[..., Any], ran: list[int], what: str
) -> None:
    process = await start(what)
    assert await process.wait() == NOBODY
    assert left(engine) == 20  # all committed, none deleted
    handles = await relay_all(queue, engine)
    assert sorted(ran) == list(range(20))
    assert len(handles) == 20


@pytest.mark.usefixtures("worker")
async def test_kills_at_any_moment(
    queue: Queue, engine: Engine, start: Callable[..., Any], ran: list[int]
) -> None:
    rng, next_number = random.Random(1), 0
    for _ in range(4):
        process = await start("go_on", str(next_number))
        for _ in range(rng.randrange(1, 40)):
            next_number = int(await process.stdout.readline()) + 1
        process.kill()
        await process.wait()
        # It may have committed more than it could say.
        with Session(engine) as session:
            most = session.execute(text("SELECT max(said) FROM effects")).scalar_one()
        next_number = int(most) + 1
    await relay_all(queue, engine)
    with Session(engine) as session:
        committed = session.execute(text("SELECT said FROM effects")).scalars().all()
    assert sorted(ran) == sorted(committed)


async def test_a_kill_after_the_commit_of_an_effect_and_before_the_jobs_end(
    queue: Queue, engine: Engine, start: Callable[..., Any]
) -> None:
    @queue.task(name="pay", max_retries=3, retry_backoff=0.001)
    def pay(amount: int) -> str:
        return f"not here, {amount}"

    job = await pay.adelay(7)
    process = await start("work")
    assert await process.wait() == NOBODY
    process = await start("work")  # its heart has given the job back
    assert await job.aresult(PATIENCE) == "paid under lease 1"
    process.terminate()
    assert await process.wait() == 0
    assert job.job.lease > 1
    with Session(engine) as session:
        assert session.execute(text("SELECT * FROM effects")).all() == [(job.id, 7)]
