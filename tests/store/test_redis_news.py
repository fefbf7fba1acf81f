"""That jobs have changed is told to those who wait for it, and to nobody else."""

from offload.core.states import Move
from offload.store.base import Channel
from offload.store.redis import RedisStore
from offload.testing.conformance.steps import FAR, ended, soon
from tests.servers.valkey import ValkeyServer, ask


def listeners(server: ValkeyServer, channel: str) -> object:
    found = ask(server.port, "PUBSUB", "NUMSUB", channel)
    assert isinstance(found, list)
    return found[1]


async def change(store: RedisStore) -> None:
    await soon(store.wait(Channel.CHANGED, store.cursor(Channel.CHANGED), FAR))


async def test_who_does_not_wait_for_changes_is_not_told(
    store: RedisStore, server: ValkeyServer
) -> None:
    other = RedisStore(server.url)
    await other.open()
    await ended(store, "a", Move.COMPLETE)
    assert listeners(server, "{offload}:news") == len([store, other])
    assert listeners(server, "{offload}:changes") == 0
    await other.close()


async def test_who_waits_once_is_told_from_then_on(store: RedisStore, server: ValkeyServer) -> None:
    other = RedisStore(server.url)
    await other.open()
    await change(other)  # rung for by the server's yes, for what came before was not heard
    assert listeners(server, "{offload}:changes") == 1
    cursor = other.cursor(Channel.CHANGED)
    await ended(store, "a", Move.COMPLETE)
    await soon(other.wait(Channel.CHANGED, cursor, FAR))
    await other.close()


async def test_a_connection_that_was_mended_hears_of_changes_again(
    store: RedisStore, server: ValkeyServer
) -> None:
    await change(store)
    ask(server.port, "CLIENT", "KILL", "TYPE", "pubsub")
    while listeners(server, "{offload}:changes") == 0:
        await change(store)


async def test_a_store_that_was_closed_and_opened_goes_on_hearing_of_changes(
    store: RedisStore, server: ValkeyServer
) -> None:
    await change(store)
    await store.close()
    await store.open()
    await change(store)
    assert listeners(server, "{offload}:changes") == 1
