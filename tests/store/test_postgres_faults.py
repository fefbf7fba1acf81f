"""What the driver does when its server or the network is in trouble: nothing by halves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from signal import SIGQUIT
from urllib.parse import urlsplit

import psycopg
import pytest

from offload.core.errors import (
    ConfigurationError,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from offload.core.job import NewJob
from offload.core.records import Finish, LogLine, Report
from offload.core.retry import RetryPolicy
from offload.core.schedule import Edit
from offload.core.states import Move, State
from offload.store.base import Beat, Channel, JobFilter, RecordFilter
from offload.store.postgres import PostgresStore, connection
from offload.testing.conformance.steps import (
    FAR,
    WORKER,
    end,
    new,
    put,
    read,
    run,
    soon,
    take,
)
from tests.servers.postgres import PostgresServer, schema
from tests.servers.proxy import Proxy, before


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this file's own, to be killed."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def strict() -> Iterator[PostgresServer]:
    """A server that asks one user for a password, and does not let in another one."""
    server = PostgresServer()
    rules = server.folder / "data" / "pg_hba.conf"
    guarded = "host all guarded all scram-sha-256\nhost all shut_out all reject\n"
    rules.write_text(guarded + rules.read_text())
    server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        connection.execute("CREATE ROLE shut_out LOGIN")
    yield server
    server.remove()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with schema(server.url) as url:
        yield url


class TestServer:
    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[PostgresStore]:
        async with opened(url) as store:
            yield store

    async def test_it_may_be_killed_between_any_two_calls(
        self, server: PostgresServer, store: PostgresStore
    ) -> None:
        async def restarted() -> None:
            await asyncio.to_thread(server.stop, SIGQUIT)
            await asyncio.to_thread(server.start)

        # On their last attempt: a claim of others may be forgotten (`test_postgres_crash`).
        await put(store, "a", "b", retry=RetryPolicy(0))
        await restarted()
        job, other = await take(store, 2)
        await restarted()
        assert [held.job_id for held in await store.heartbeat(Beat(WORKER, 30))] == ["a", "b"]
        assert await store.report([Report("a", job.lease, 50)]) == [True]
        await restarted()
        assert await end(store, job, Move.COMPLETE)
        assert await end(store, other, Move.FAIL)
        await restarted()
        assert (await read(store, "a")).state is State.COMPLETE
        assert await store.prune(jobs_older_than=3600) is not None

    async def test_a_call_waits_a_while_for_it(
        self, server: PostgresServer, store: PostgresStore
    ) -> None:
        await put(store, "a")
        await asyncio.to_thread(server.stop, SIGQUIT)
        enqueueing = asyncio.create_task(put(store, "b"))
        reading = asyncio.create_task(read(store, "a"))
        await asyncio.sleep(0)  # lets them begin
        await asyncio.to_thread(server.start)
        assert [job.id for job in await enqueueing] == ["b"]
        assert (await reading).id == "a"

    async def test_then_it_says_that_it_is_away(
        self, server: PostgresServer, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "PATIENCE", 0.1)
        await asyncio.to_thread(server.stop, SIGQUIT)
        calls: list[Awaitable[object]] = [
            put(store, "a"),
            put(store, "b", queue="other", lane=None, tags=("t",)),
            take(store),
            store.finish([Finish("a", 1, Move.COMPLETE, result=b"1")]),
            store.heartbeat(Beat(WORKER, 30)),
            store.stats(),
            store.acquire("l", "me", 30),
            store.now(),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable, match="the server is away"):
                await call
        await asyncio.to_thread(server.start)
        assert [job.id for job in await put(store, "a")] == ["a"]

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"database": "none_such"}, "there is no such database: create it"),
            ({"user": "nobody"}, "put user and password right"),
            ({"user": "guarded", "password": "wrong"}, "put user and password right"),
            ({"user": "guarded"}, "put user and password right"),
            ({"user": "shut_out"}, r"allow it in its pg_hba\.conf"),
        ],
    )
    async def test_who_is_turned_away_hears_at_once_why(
        self, strict: PostgresServer, asked: dict[str, str], told: str
    ) -> None:
        user = ":".join([asked.get("user", "postgres"), *filter(None, [asked.get("password")])])
        place = f"{user}@127.0.0.1:{strict.port}/{asked.get('database', 'postgres')}"
        with pytest.raises(StoreError, match=told) as refused:
            await soon(PostgresStore(f"postgresql://{place}").open())
        assert not isinstance(refused.value, StoreUnavailable)

    async def test_its_password_is_not_shown(
        self, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "PATIENCE", 0.0)
        store = PostgresStore(server.url.replace("postgres@", "postgres:secret@") + "1")
        with pytest.raises(StoreError) as refused:
            await store.open()
        assert "secret" not in str(refused.value)
        assert "postgres@127.0.0.1" in str(refused.value)

    async def test_news_come_again_when_it_is_back(
        self, server: PostgresServer, store: PostgresStore, url: str
    ) -> None:
        async with opened(url) as other:
            for job_id in "ab":
                cursor = store.cursor(Channel.READY)
                waiting = asyncio.create_task(store.wait(Channel.READY, cursor, FAR))
                await put(other, job_id)
                await soon(waiting)
                await asyncio.to_thread(server.stop, SIGQUIT)
                await asyncio.to_thread(server.start)


class TestNetwork:
    @pytest.fixture
    async def proxy(self, server: PostgresServer) -> AsyncIterator[tuple[Proxy, int]]:
        async with before("127.0.0.1", server.port) as found:
            yield found

    @pytest.fixture
    async def cut(self, proxy: tuple[Proxy, int]) -> Proxy:
        return proxy[0]

    @pytest.fixture
    async def store(self, url: str, proxy: tuple[Proxy, int]) -> AsyncIterator[PostgresStore]:
        parts = urlsplit(url)
        through = parts._replace(netloc=f"postgres@127.0.0.1:{proxy[1]}").geturl()
        async with opened(through) as store:
            yield store

    async def test_connections_that_were_cut_are_made_anew(
        self, store: PostgresStore, cut: Proxy
    ) -> None:
        for number in range(3):
            await put(store, f"a{number}")
            cut.reset()
            [job] = await take(store)
            cut.reset()
            assert await end(store, job, Move.COMPLETE)
            cut.reset()
            assert (await read(store, job.id)).state is State.COMPLETE

    async def test_a_connection_that_says_nothing_is_given_up(
        self, store: PostgresStore, cut: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await put(store, "a")
        monkeypatch.setattr(store._calls, "_limit", 0.1)  # noqa: SLF001 - 15 s are too long
        cut.freeze()
        cut.met.clear()
        enqueueing = asyncio.create_task(put(store, "b"))
        await cut.met.wait()
        cut.thaw()
        assert [job.id for job in await enqueueing] == ["b"]
        assert (await store.stats())[State.PENDING] == 2

    async def test_an_enqueue_whose_answer_was_lost_gives_one_job(
        self, store: PostgresStore, cut: Proxy
    ) -> None:
        await put(store, "warm")
        await put(store, "parent", depends_on=("warm",))
        many = [new(f"m{n}") for n in range(1000)]
        batches: list[list[NewJob]] = [
            [new("a")],
            [new("b"), new("c", depends_on=("parent",))],
            many,
        ]
        for batch in batches:
            cut.lost.clear()
            cut.lose_reply()
            assert [job.id for job in await store.enqueue(batch)] == [job.id for job in batch]
            assert cut.lost.is_set()
        assert (await store.stats())[State.PENDING] == 1005

    async def test_an_end_whose_answer_was_lost_counts_as_ours(
        self, store: PostgresStore, cut: Proxy
    ) -> None:
        for move in (Move.COMPLETE, Move.RETRY, Move.BURY):
            job = await run(store, f"j-{move}", priority=9)
            await store.report([Report(job.id, job.lease, 1)])
            cut.lost.clear()
            cut.lose_reply()
            assert await end(store, job, move, delay=60.0)
            assert cut.lost.is_set()
            assert not await end(store, job, Move.FAIL)
        assert len(await store.dead_letters(5, 0)) == 1

    async def test_a_claim_whose_answer_was_lost_is_told_with_the_next_beat(
        self, store: PostgresStore, cut: Proxy
    ) -> None:
        await put(store, "a")
        for _ in range(3):  # its statement is known to the server
            await take(store, 0)
        cut.lose_reply()
        with pytest.raises(StoreUnavailable, match="lost before the answer came"):
            await take(store)
        assert [held.job_id for held in await store.heartbeat(Beat(WORKER, 30))] == ["a"]

    async def test_a_cancel_whose_answer_was_lost_may_be_done_and_says_so(
        self, store: PostgresStore, cut: Proxy
    ) -> None:
        lost: list[str] = []
        for number in range(10):
            await put(store, str(number))
            for _ in range(3):  # its statements are known to the server
                await store.cancel("no")
            cut.lose_reply(after=2)  # those of its begin and its update
            try:
                # If the answer to a ring comes between, the cut is too early, and it is done again.
                await store.cancel(str(number))
            except StoreUnavailable as error:
                lost.append(str(error))
                break
        assert "lost before the answer came" in lost[0]
        assert (await read(store, str(number))).state is State.CANCELLED


class TestRefusals:
    @pytest.fixture
    async def store(self, postgres_url: str) -> AsyncIterator[PostgresStore]:
        async with opened(postgres_url) as store:
            yield store

    async def test_what_it_cannot_store_is_refused_and_spoils_nothing(
        self, store: PostgresStore
    ) -> None:
        async def asked(job_id: str, task: str) -> str:
            try:
                [job] = await store.enqueue([NewJob(job_id, task)])
            except StoreRefused:
                return "refused"
            return job.id

        tasks = {"a": "fine", "b": "a\0b", "c": "fine", "d": "\ud800", "e": "fine"}
        answers = await asyncio.gather(*(asked(*each) for each in tasks.items()))
        assert answers == ["a", "refused", "c", "refused", "e"]

    @pytest.mark.parametrize("odd", ["\0", "a\0b", "\ud800"])
    async def test_what_cannot_be_there_is_not_found(self, store: PostgresStore, odd: str) -> None:
        await put(store, "a", "b")
        assert [job and job.id for job in await store.get(["a", odd, "b"])] == ["a", None, "b"]
        assert not await store.cancel(odd)
        assert await store.retry_dead({odd: "c"}) == await store.replay({odd: "c"}) == {}
        assert await store.errors(odd) == []
        assert await store.search(JobFilter(tag=odd)) == []
        assert await store.edit_schedule(odd, Edit(paused=True)) is None
        assert not await store.delete_schedule(odd)

    async def test_a_refused_report_keeps_its_run(self, store: PostgresStore) -> None:
        job = await run(store, "a")
        with pytest.raises(StoreRefused):
            await store.report([Report("a", job.lease, logs=(LogLine("info", "\0"),))])
        with pytest.raises(StoreRefused):
            await store.finish([Finish("a", job.lease, Move.COMPLETE)])  # without a result
        assert await end(store, job, Move.COMPLETE)
        assert await store.logs(RecordFilter(job_id="a")) == []

    async def test_sessions_that_an_operator_ends_are_made_anew(
        self, store: PostgresStore, postgres_url: str
    ) -> None:
        await put(store, "a")
        with psycopg.connect(urlsplit(postgres_url)._replace(query="").geturl()) as operator:
            operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND application_name = 'offload'"
            )
        [job] = await take(store)
        assert await end(store, job, Move.COMPLETE)

    async def test_after_the_end_it_is_closed(self, store: PostgresStore) -> None:
        await store.close()
        for call in (put(store, "a"), store.stats(), take(store)):
            with pytest.raises(ConfigurationError, match="not open"):
                await call

    async def test_what_was_accepted_is_finished(self, store: PostgresStore) -> None:
        calls = [asyncio.create_task(put(store, f"j{n}")) for n in range(20)]
        await asyncio.sleep(0)
        calls[3].cancel()
        await store.close()
        await asyncio.gather(*calls, return_exceptions=True)
        await store.open()
        assert (await store.stats())[State.PENDING] == 20
