"""What the URL of a server may say, and what doctor says of a server."""

import asyncio
from collections.abc import Iterator

import pytest

from offload.core.errors import ConfigurationError, StoreRefused
from offload.core.job import NewJob
from offload.store.health import Level
from offload.store.open import examine, open_store, without_password
from offload.store.redis import RedisStore
from offload.store.redis.address import Address, address_of
from tests.servers.valkey import ValkeyServer, ask

URLS = {
    "redis://": Address(),
    "redis://h:1/2": Address("h", 1, database=2),
    "valkey://u:p%40ss@h?prefix=shop": Address("h", user="u", password="p@ss", prefix="shop"),
    "rediss://:p@h?tls_ca=ca.pem": Address("h", password="p", tls=True, tls_ca="ca.pem"),
    "redis+unix:///a/b.sock?db=3": Address(path="/a/b.sock", database=3),
    "redis://h?replicas=2&replica_timeout=0.5": Address("h", replicas=2, replica_timeout=0.5),
}


@pytest.mark.parametrize("url", URLS)
def test_an_address_is_read_from_its_url(url: str) -> None:
    assert address_of(url) == URLS[url]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://h/x", "whole number"),
        ("redis://h:x", "makes no sense"),
        ("redis://h?prefx=a", "unknown option 'prefx'"),
        ("redis://h?prefix={a}", "without braces"),
        ("redis://h?replicas=-1", "whole number"),
        ("redis://h?replica_timeout=0", "above 0"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        open_store(url)


def test_a_password_is_not_shown() -> None:
    assert without_password("redis://u:secret@h/0") == "redis://u:…@h/0"
    assert without_password("redis://h/0") == "redis://h/0"
    assert without_password("var/a:b@c.db") == "var/a:b@c.db"


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    server = ValkeyServer(appendonly="yes")
    server.start()
    yield server
    server.remove()


def levels(url: str) -> dict[str, Level]:
    return {finding.check: finding.level for finding in examine(RedisStore(url))}


def test_doctor_finds_what_is_wrong_with_a_server(server: ValkeyServer) -> None:
    assert set(levels(server.url).values()) == {Level.OK}
    wrong = ("maxmemory-policy", "allkeys-lru", "maxmemory", 1, "appendonly", "no")
    ask(server.port, "CONFIG", "SET", *wrong)
    found = levels(server.url + "?replicas=1")
    assert {check: level for check, level in found.items() if level is not Level.OK} == {
        "eviction": Level.WRONG,
        "memory": Level.NOTE,
        "persistence": Level.NOTE,
        "replication": Level.WRONG,
    }


def test_doctor_says_that_a_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offload.store.redis.link.PATIENCE", 0.1)
    assert levels("redis://127.0.0.1:1/0") == {"server": Level.WRONG}


def test_what_no_command_can_hold_is_refused(server: ValkeyServer) -> None:
    async def too_many() -> None:
        store = RedisStore(server.url)
        await store.open()
        try:
            await store.enqueue([NewJob(str(n), "t") for n in range(200_001)])
        finally:
            await store.close()

    with pytest.raises(StoreRefused, match="200,000"):
        asyncio.run(too_many())
