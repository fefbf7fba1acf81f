"""What is said of a server's health, and that nothing of it is changed."""

import psycopg
import pytest

from offload.store.health import Finding, Level
from offload.store.open import examine
from offload.store.postgres import PostgresStore, health
from tests.servers.ports import free_port


async def opened(url: str) -> PostgresStore:
    store = PostgresStore(url)
    await store.open()
    await store.close()
    return store


def by_check(store: PostgresStore) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(store)}


async def test_a_healthy_server(postgres_url: str) -> None:
    found = by_check(await opened(postgres_url))
    assert list(found) == [
        "postgresql", "server clock", "durability", "autovacuum", "transactions", "sessions",
        "listen", "schema",
    ]  # fmt: skip
    # The tests' own server does not wait for its disk.
    levels = {finding.level for check, finding in found.items() if check != "durability"}
    assert levels == {Level.OK}


def test_a_server_that_is_away() -> None:
    store = PostgresStore(f"postgresql://me:secret@127.0.0.1:{free_port()}/d")
    [finding] = examine(store)
    assert (finding.check, finding.level) == ("server", Level.WRONG)
    assert "secret" not in finding.found


def test_a_schema_that_is_not_there_yet_is_not_made(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    for _ in range(2):
        assert by_check(store)["server"].level is Level.NOTE


async def test_schemas_of_other_versions(postgres_url: str) -> None:
    store = await opened(postgres_url)
    table = f"{store.address.quoted}.migrations"
    with psycopg.connect(store.address.conninfo, autocommit=True) as operator:
        operator.execute(f"UPDATE {table} SET number = number + 1000".encode())
        assert by_check(store)["schema"].level is Level.WRONG
        operator.execute(f"UPDATE {table} SET number = number - 2000".encode())
        assert by_check(store)["schema"].level is Level.NOTE


async def test_a_pooler_is_noted(postgres_url: str) -> None:
    store = await opened(f"{postgres_url}&pooler=transaction")
    assert by_check(store)["listen"].level is Level.NOTE


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (health.version(180_006), Level.OK),
        (health.version(140_000), Level.OK),
        (health.version(130_020), Level.WRONG),
        (health.skew(-0.9), Level.OK),
        (health.skew(1.1), Level.NOTE),
        (health.skew(-1.1), Level.NOTE),
        (health.transactions(599), Level.OK),
        (health.transactions(601), Level.NOTE),
        (health.sessions(90, 100), Level.OK),
        (health.sessions(91, 100), Level.NOTE),
    ],
)
def test_judgements(finding: Finding, level: Level) -> None:
    assert finding.level is level
    assert bool(finding.remedy) == (level is not Level.OK)
