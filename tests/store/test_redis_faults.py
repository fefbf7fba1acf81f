"""What a server does when it is in trouble: it is waited for, or a typed error, never a loss."""

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import hiredis
import pytest

from offload.core.errors import (
    ConfigurationError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from offload.core.states import Move, State
from offload.store.base import Beat, Channel
from offload.store.redis import RedisStore, link
from offload.testing.conformance.steps import (
    FAR,
    OTHER,
    WORKER,
    beat,
    end,
    new,
    put,
    read,
    run,
    soon,
    take,
)
from tests.servers.valkey import ValkeyServer, ask, fresh


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server of the test's own, which may be hurt."""
    server = ValkeyServer(appendonly="yes", appendfsync="always")
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def store(server: ValkeyServer) -> AsyncIterator[RedisStore]:
    async with opened(fresh(server.url)) as store:
        yield store


# --- away ------------------------------------------------------------------------------------


class Load:
    """Producers and workers that note what was acknowledged."""

    ALL = 240

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.enqueued: list[str] = []
        self.ended: list[str] = []
        self.milestones = {count: asyncio.Event() for count in (40, 100, 160)}

    async def produce(self, name: int) -> None:
        for number in range(self.ALL // 4):
            await put(self.store, f"{name}-{number}")
            self.enqueued.append(f"{name}-{number}")
            if milestone := self.milestones.get(len(self.enqueued)):
                milestone.set()

    async def work(self, worker: str) -> None:
        while len(self.ended) < self.ALL:
            await take(self.store, 4, worker=worker)
            # What was given while the reply was lost is found by the beat.
            for held in await self.store.heartbeat(Beat(worker, 30)):
                if await end(self.store, await read(self.store, held.job_id), Move.COMPLETE):
                    self.ended.append(held.job_id)

    async def kill(self, server: ValkeyServer) -> None:
        for milestone in self.milestones.values():
            await milestone.wait()
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            await asyncio.to_thread(server.start)


@pytest.mark.parametrize("fsync", ["always", "everysec"])
async def test_what_was_acknowledged_survives_the_death_of_the_server(fsync: str) -> None:
    """It is killed again and again under load, and nobody is told of it."""
    server = ValkeyServer(appendonly="yes", appendfsync=fsync)
    server.start()
    try:
        async with opened(fresh(server.url)) as store, asyncio.timeout(50):
            load = Load(store)
            async with asyncio.TaskGroup() as group:
                for name in range(4):
                    group.create_task(load.produce(name))
                for worker in ("w1", "w2"):
                    group.create_task(load.work(worker))
                group.create_task(load.kill(server))
            assert (await store.stats())[State.COMPLETE] == len(load.enqueued) == load.ALL
            assert len(set(load.ended)) == len(load.ended) == load.ALL
    finally:
        server.remove()


async def test_cut_connections_are_mended(server: ValkeyServer, store: RedisStore) -> None:
    async with opened(store.capabilities.url or "") as other:
        for kind in ("normal", "pubsub"):
            ask(server.port, "CLIENT", "KILL", "TYPE", kind)
        await put(store, "a")
        assert [job.id for job in await take(other, 5)] == ["a"]
        # It hears what there is for whoever came short, on a connection that was mended, too.
        cursor = other.cursor(Channel.READY)
        await put(store, "b")
        await soon(other.wait(Channel.READY, cursor, FAR))
        assert [job.id for job in await take(other, 5)] == ["b"]


async def test_a_lost_reply_is_given_again(server: ValkeyServer, store: RedisStore) -> None:
    """The server did what it was asked for, but the connection was cut before it could say so."""
    job = await run(store, "a")
    server.signal(signal.SIGSTOP)
    ending = asyncio.create_task(end(store, job, Move.COMPLETE))
    await asyncio.sleep(0)  # the request is in the server's socket then
    assert store._link is not None  # noqa: SLF001
    wire = store._link._wire  # noqa: SLF001
    assert wire is not None
    assert wire._transport is not None  # noqa: SLF001
    wire._transport.get_extra_info("socket").shutdown(socket.SHUT_RD)  # noqa: SLF001
    await wire.lost
    server.signal(signal.SIGCONT)
    assert await ending
    assert (await read(store, "a")).state is State.COMPLETE


async def test_a_server_that_is_frozen_is_waited_for(
    server: ValkeyServer, store: RedisStore
) -> None:
    server.signal(signal.SIGSTOP)
    putting = asyncio.create_task(put(store, "a"))
    done, _ = await asyncio.wait([putting], timeout=0.2)
    assert not done
    server.signal(signal.SIGCONT)
    assert [job.id for job in await putting] == ["a"]


async def test_who_is_away_for_too_long_is_said_to_be(
    server: ValkeyServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is there again when it is back."""
    monkeypatch.setattr(link, "PATIENCE", 0.2)
    server.stop(signal.SIGKILL)
    for call in (put(store, "a"), take(store), store.stats(), beat(store)):
        with pytest.raises(StoreUnavailable, match=rf"{server.port} is away"):
            await call
    server.start()
    assert [job.id for job in await put(store, "a")] == ["a"]


async def test_a_server_that_is_not_there_is_said_to_be_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "PATIENCE", 0.2)
    with pytest.raises(StoreUnavailable):
        await RedisStore("redis://127.0.0.1:1/0").open()


async def test_a_server_that_is_busy_is_waited_for(server: ValkeyServer, store: RedisStore) -> None:
    """Somebody's script that does not end keeps all others waiting."""
    ask(server.port, "CONFIG", "SET", "busy-reply-threshold", 10)
    endless = asyncio.create_task(
        asyncio.to_thread(ask, server.port, "EVAL", "while true do end", 0)
    )
    while not str(await asyncio.to_thread(ask, server.port, "PING")).startswith("BUSY"):
        pass
    putting = asyncio.create_task(put(store, "a"))
    await asyncio.wait([putting], timeout=0.2)
    assert not putting.done()
    ask(server.port, "SCRIPT", "KILL")
    assert [job.id for job in await putting] == ["a"]
    assert isinstance(await endless, hiredis.ReplyError)


async def test_a_replica_is_waited_for_until_it_is_promoted(
    server: ValkeyServer, store: RedisStore
) -> None:
    ask(server.port, "REPLICAOF", "127.0.0.1", 1)
    putting = asyncio.create_task(put(store, "a"))
    await asyncio.wait([putting], timeout=0.2)
    assert not putting.done()
    ask(server.port, "REPLICAOF", "NO", "ONE")
    assert [job.id for job in await putting] == ["a"]


async def test_scripts_that_were_flushed_are_sent_again(
    server: ValkeyServer, store: RedisStore
) -> None:
    job = await run(store, "a")
    ask(server.port, "SCRIPT", "FLUSH")
    assert await end(store, job, Move.COMPLETE)
    assert (await store.stats())[State.COMPLETE] == 1


# --- unfit -----------------------------------------------------------------------------------


async def test_a_server_that_throws_jobs_away_is_refused(server: ValkeyServer) -> None:
    ask(server.port, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(ConfigurationError, match="maxmemory-policy noeviction"):
        await RedisStore(server.url).open()


async def test_what_a_newer_version_has_laid_out_is_refused(server: ValkeyServer) -> None:
    ask(server.port, "SET", "{offload}:layout", 3)
    with pytest.raises(ConfigurationError, match="upgrade offload"):
        await RedisStore(server.url).open()


async def test_who_may_not_in_is_told(server: ValkeyServer) -> None:
    ask(server.port, "CONFIG", "SET", "requirepass", "secret")
    for url in (server.url, server.url.replace("//", "//:wrong@")):
        with pytest.raises(ConfigurationError, match="does not let us in"):
            await RedisStore(url).open()
    async with opened(server.url.replace("//", "//:secret@")) as store:
        assert await store.queues() == []


async def test_a_full_memory_refuses_jobs_and_lets_those_end_that_are_there(
    server: ValkeyServer, store: RedisStore
) -> None:
    """Else nothing would ever free it."""
    await put(store, "a", "b", payload=bytes(100_000))
    before = await store.stats()
    ask(server.port, "CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(StoreFull):
        await put(store, "c", "d")
    assert await store.stats() == before
    assert await store.get(["c", "d"]) == [None, None]
    for job in await take(store, 2):
        assert await end(store, job, Move.COMPLETE)
    assert await beat(store) == {}
    assert (await store.prune(jobs_older_than=-1)).jobs == 2
    ask(server.port, "CONFIG", "SET", "maxmemory", 0)
    assert [job.id for job in await put(store, "c")] == ["c"]


@pytest.mark.parametrize("options", [{"priority": 2**63}, {"task": "t" * 2**16}])
async def test_what_no_row_can_hold_is_refused(
    store: RedisStore, options: dict[str, object]
) -> None:
    with pytest.raises(StoreRefused):
        await store.enqueue([new("a"), new("b", **options)])
    assert await store.get(["a"]) == [None]


# --- replicas --------------------------------------------------------------------------------


async def test_a_job_is_enqueued_when_enough_replicas_have_it(server: ValkeyServer) -> None:
    """With too few, the caller is told, and may ask again: it is stored once."""
    url = fresh(server.url) + "&replicas=1&replica_timeout=0.2"
    replica = ValkeyServer(replicaof=f"127.0.0.1 {server.port}", repl_diskless_sync_delay="0")
    async with opened(url) as store:
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await put(store, "a")
        replica.start()
        try:
            async with asyncio.timeout(20):
                while True:
                    with suppress(StoreUnavailable):
                        assert [job.id for job in await put(store, "a", "b")] == ["a", "b"]
                        break
            server.stop(signal.SIGKILL)
            ask(replica.port, "REPLICAOF", "NO", "ONE")
            promoted = url.replace(str(server.port), str(replica.port)).replace(
                "replicas=1", "replicas=0"
            )
            async with opened(promoted) as other:
                assert [job.id for job in await take(other, 5)] == ["a", "b"]
        finally:
            replica.remove()


async def test_a_lease_that_was_given_twice_belongs_to_the_second(
    server: ValkeyServer, store: RedisStore
) -> None:
    """A server that lost its newest writes gives the same number again, to another worker."""
    await put(store, "a")
    keys = [key.decode() for key in ask(server.port, "KEYS", "*")]  # type: ignore[attr-defined]
    kept = {key: ask(server.port, "DUMP", key) for key in keys}
    [old] = await take(store)
    ask(server.port, "FLUSHALL")
    for key, dump in kept.items():
        ask(server.port, "RESTORE", key, 0, dump)  # type: ignore[arg-type]
    async with opened(store.capabilities.url or "") as other:
        [young] = await take(other, worker=OTHER)
        assert (old.lease, old.worker) == (young.lease, WORKER)
        assert not await end(store, old, Move.FAIL)
        assert await end(other, young, Move.COMPLETE)


async def test_a_user_needs_no_more_than_the_page_says(server: ValkeyServer) -> None:
    """Keys and the channel of its own queue, and a few kinds of commands."""
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
    [commands] = re.findall(r"`(\+@read [^`]+)`", page)
    own = ("~{offload}:*", "&{offload}:*")
    ask(server.port, "ACL", "SETUSER", "worker", "on", ">secret", *own, *commands.split())
    async with opened(server.url.replace("//", "//worker:secret@")) as store:
        job = await run(store, "a")
        assert await beat(store) == {"a": False}
        assert await end(store, job, Move.COMPLETE)
        assert (await store.prune(jobs_older_than=-1)).jobs == 1
    with pytest.raises(ConfigurationError, match="does not let us in"):
        await RedisStore(server.url.replace("//", "//worker:secret@") + "?prefix=other").open()
