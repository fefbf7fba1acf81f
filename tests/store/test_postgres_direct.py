"""Threads that block store jobs on a connection of their own, and leave what is odd to the loop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from offload.core.errors import StoreRefused
from offload.core.job import Job, NewJob
from offload.core.lane import Lane
from offload.core.unique import UniqueKey
from offload.store.base import Channel
from offload.store.loop import IOLoop
from offload.store.postgres import PostgresStore, bell as bells, writer as writers
from offload.store.postgres.bell import Bell
from offload.store.postgres.connection import Connection
from offload.store.postgres.url import parsed
from offload.store.postgres.wire import BlockingWire
from offload.testing.conformance.steps import FAR, PATIENCE, new
from tests.servers.proxy import before


class Threaded:
    """A store on a loop of its own, as a program's thread has it."""

    def __init__(self, url: str) -> None:
        self.loop = IOLoop()
        self.store = PostgresStore(url)
        self.loop.run(self.store.open())

    def here(self, *jobs: NewJob) -> Sequence[Job] | None:
        return self.loop.drive(self.store.enqueue_here(jobs))

    def connect(self) -> None:
        """Who comes first goes the long way; then there is a connection."""
        assert self.here(new("first")) is None

        async def connected() -> None:
            connecting = self.store._direct._connecting  # noqa: SLF001 - nothing else tells
            if connecting is not None:
                await asyncio.wait([connecting])

        self.loop.run(connected())

    def close(self) -> None:
        self.loop.run(self.store.close())
        self.loop.stop()


@pytest.fixture
def threaded(postgres_url: str) -> Iterator[Threaded]:
    found = Threaded(postgres_url)
    yield found
    found.close()


def ids(jobs: Sequence[Job] | None) -> list[str] | None:
    return None if jobs is None else [job.id for job in jobs]


def test_a_thread_stores_its_jobs_itself(threaded: Threaded) -> None:
    threaded.connect()
    assert ids(threaded.here(new("a"), new("b"))) == ["a", "b"]
    again = threaded.here(new("b"), new("c"))
    assert ids(again) == ["b", "c"]
    assert threaded.loop.run(threaded.store.get(["b", "c"])) == again


def made(threaded: Threaded) -> tuple[Connection, BlockingWire]:
    found = threaded.store._direct._made  # noqa: SLF001 - nothing else tells
    assert found is not None
    return found


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[asyncio.Queue[Channel]]:
    """Yield what another process hears from now on."""
    heard = asyncio.Queue[Channel]()
    bell = Bell(parsed(url), heard.put_nowait)
    bell.listen()
    assert {await heard.get() for _ in Channel} == set(Channel)
    yield heard
    await bell.close()


async def test_others_hear_of_each_at_once_or_soon(
    threaded: Threaded, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "BURST", 0)
    await asyncio.to_thread(threaded.connect)
    async with listening(postgres_url) as heard:
        for job_id in "abc":  # only the first may ring by itself
            await asyncio.to_thread(threaded.here, new(job_id))
            assert await heard.get() is Channel.READY


SCRIPT = """
import sys
from offload import Queue

queue = Queue(sys.argv[1])

@queue.task
def f() -> None: ...

f.apply_async(unique_key="k")  # its ring does not go out with it
if sys.argv[2] == "closes":
    queue.close()
"""


@pytest.mark.parametrize("end", ["closes", "just ends"])
async def test_others_hear_of_it_though_the_program_ends(postgres_url: str, end: str) -> None:
    async with listening(postgres_url) as heard:
        script = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SCRIPT, postgres_url, end
        )
        assert await script.wait() == 0
        assert await asyncio.wait_for(heard.get(), PATIENCE) is Channel.READY


def test_its_own_process_hears_of_it(threaded: Threaded) -> None:
    threaded.connect()
    store = threaded.store
    waiting = threaded.loop.run(waiting_for(store, store.cursor(Channel.READY)))
    threaded.here(new("a"))
    assert threaded.loop.run(over(waiting)) is None


async def waiting_for(store: PostgresStore, cursor: int) -> asyncio.Task[None]:
    task = asyncio.create_task(store.wait(Channel.READY, cursor, FAR))
    await asyncio.sleep(0)  # it begins to wait
    return task


async def over(task: asyncio.Task[None]) -> None:
    await task


@pytest.mark.parametrize(
    "odd",
    [
        [],
        [new("a", unique=UniqueKey("k"))],
        [new("a", depends_on=("first",))],
        [new("a", lane=Lane("l", None, 1))],
        [new(f"j{n}") for n in range(200)],
        [new("a", task="a\0b")],
        [new("a", task="\ud800")],
    ],
)
def test_what_is_odd_goes_the_long_way(threaded: Threaded, odd: list[NewJob]) -> None:
    threaded.connect()
    assert threaded.here(*odd) is None


def test_what_is_refused_says_so(threaded: Threaded) -> None:
    threaded.connect()
    bad = new("a", task="a\0b")
    assert threaded.here(bad) is None
    with pytest.raises(StoreRefused):
        threaded.loop.run(threaded.store.enqueue([bad]))


def test_who_finds_it_taken_does_not_wait(threaded: Threaded) -> None:
    threaded.connect()
    with threaded.store._direct._turn:  # noqa: SLF001 - as another thread would
        assert threaded.here(new("a")) is None
    assert ids(threaded.here(new("a"))) == ["a"]


def test_who_comes_with_many_others_shares_a_group(
    threaded: Threaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "LASTS", FAR)
    threaded.connect()
    assert ids(threaded.here(new("alone"))) == ["alone"]

    async def crowd() -> None:
        await asyncio.gather(*(threaded.store.enqueue([new(f"j{n}")]) for n in range(9)))

    threaded.loop.run(crowd())
    assert threaded.here(new("a")) is None


def test_a_connection_that_an_operator_ends_is_made_anew(
    threaded: Threaded, postgres_url: str
) -> None:
    threaded.connect()
    with psycopg.connect(urlsplit(postgres_url)._replace(query="").geturl()) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND application_name = 'offload'"
        )
    threaded.connect()
    assert ids(threaded.here(new("a"))) == ["a"]


def test_nobody_connects_twice(threaded: Threaded) -> None:
    threaded.connect()
    before = made(threaded)
    direct = threaded.store._direct  # noqa: SLF001 - as another thread that saw none would ask

    async def ask() -> None:
        direct._connect()  # noqa: SLF001
        assert direct._connecting is None  # noqa: SLF001

    threaded.loop.run(ask())
    assert made(threaded) is before


def test_a_closed_store_connects_no_more(threaded: Threaded) -> None:
    threaded.connect()
    threaded.loop.run(threaded.store.close())
    assert threaded.here(new("a")) is None


async def test_behind_a_pooler_nothing_of_a_session_is_used(postgres_url: str) -> None:
    pooled = await asyncio.to_thread(Threaded, f"{postgres_url}&pooler=transaction")
    await asyncio.to_thread(pooled.connect)
    async with listening(postgres_url) as heard:
        for job_id in "abc":
            assert ids(await asyncio.to_thread(pooled.here, new(job_id))) == [job_id]
            assert await heard.get() is Channel.READY
    found = made(pooled)[0].pgconn.exec_(b"SELECT count(*) FROM pg_prepared_statements")
    assert found.get_value(0, 0) == b"0"
    await asyncio.to_thread(pooled.close)


class TestNetwork:
    async def test_an_answer_that_is_lost_or_late_leaves_one_job(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = urlsplit(postgres_url)
        assert parts.hostname is not None
        assert parts.port is not None
        async with before(parts.hostname, parts.port) as (cut, port):
            through = parts._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()
            threaded = await asyncio.to_thread(Threaded, through)
            await asyncio.to_thread(threaded.connect)
            cut.lose_reply()
            await self.goes_the_long_way(threaded, new("lost"))
            await asyncio.to_thread(threaded.connect)
            monkeypatch.setattr(made(threaded)[1], "_limit", 0.1)  # 15 s are too long
            cut.freeze()
            assert await asyncio.to_thread(threaded.here, new("late")) is None
            cut.thaw()
            await self.goes_the_long_way(threaded, new("late"))
            await asyncio.to_thread(threaded.close)

    @staticmethod
    async def goes_the_long_way(threaded: Threaded, job: NewJob) -> None:
        assert await asyncio.to_thread(threaded.here, job) is None
        stored = await asyncio.to_thread(threaded.loop.run, threaded.store.enqueue([job]))
        assert ids(stored) == [job.id]
        found = await asyncio.to_thread(threaded.loop.run, threaded.store.get([job.id]))
        assert found == stored
