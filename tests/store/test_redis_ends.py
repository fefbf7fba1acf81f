"""Ended jobs stand in a list; what may not go when its turn comes leaves it, and goes later."""

from offload.core.states import Move
from offload.core.unique import Scope, UniqueKey
from offload.store.redis import RedisStore
from offload.testing.clock import ManualClock
from offload.testing.conformance.steps import ended
from tests.servers.valkey import ValkeyServer, ask


def listed(server: ValkeyServer) -> object:
    return ask(server.port, "LRANGE", "{offload}:ends", 0, -1)


async def test_who_is_needed_does_not_hold_up_the_others(
    store: RedisStore, server: ValkeyServer, clock: ManualClock
) -> None:
    await ended(store, "a", Move.COMPLETE, unique=UniqueKey("k", Scope.WINDOW, window=100.0))
    await ended(store, "b", Move.COMPLETE)
    clock.advance(50)
    await ended(store, "c", Move.COMPLETE)
    assert (await store.prune(jobs_older_than=10)).jobs == 1
    assert listed(server) == [b"c"]
    clock.advance(51)
    assert (await store.prune(jobs_older_than=10)).jobs == 2
    assert await store.get(["a", "b", "c"]) == [None, None, None]


async def test_a_clock_that_was_set_back_does_not_hold_up_the_others(
    store: RedisStore, server: ValkeyServer, clock: ManualClock
) -> None:
    clock.jump(1000)
    await ended(store, "a", Move.COMPLETE)
    clock.jump(-1000)
    await ended(store, "b", Move.COMPLETE)
    clock.advance(11)
    assert (await store.prune(jobs_older_than=10)).jobs == 1
    assert listed(server) == []
    clock.advance(1000)
    assert (await store.prune(jobs_older_than=10)).jobs == 1


async def test_a_job_that_left_and_came_back_goes_once(
    store: RedisStore, server: ValkeyServer, clock: ManualClock
) -> None:
    job = await ended(store, "a", Move.COMPLETE)
    [parcel] = await store.pack(0, 1)
    assert await store.forget({"a": job.version}) == [True]
    assert await store.unpack([parcel]) == [True]
    assert (await store.prune(jobs_older_than=10)).jobs == 0
    clock.advance(11)
    assert (await store.prune(jobs_older_than=10)).jobs == 1
    assert listed(server) == []


async def test_what_an_older_version_has_laid_out_is_gone_on_with(
    store: RedisStore, server: ValkeyServer, clock: ManualClock
) -> None:
    job = await ended(store, "a", Move.COMPLETE)
    ask(server.port, "SET", "{offload}:layout", 1)
    ask(server.port, "DEL", "{offload}:ends")
    ask(server.port, "ZADD", "{offload}:ended", job.finished_at or 0, "a")
    await store.close()
    await store.open()
    assert ask(server.port, "GET", "{offload}:layout") == b"2"
    await ended(store, "b", Move.COMPLETE)
    clock.advance(11)
    assert (await store.prune(jobs_older_than=10)).jobs == 2
