"""The migrations, all of them one after the other, lead to the schema that is written down.

OFFLOAD_TEST_DECLARE=1 in the environment writes down what a new one has changed.
"""

import asyncio
import os
from pathlib import Path

import psycopg
import pytest

from offload.core.states import Move, State
from offload.store.postgres import PostgresStore, migrating
from offload.store.sql import scripts
from offload.testing.conformance.steps import end, put, take

DECLARED = Path(__file__).with_name("postgres_schema.txt")

TABLES = """
SELECT relname || coalesce(' with (' || array_to_string(reloptions, ', ') || ')', '')
FROM pg_class WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r' ORDER BY relname
"""
COLUMNS = """
SELECT relname || '.' || attname || ' ' || format_type(atttypid, atttypmod)
    || CASE WHEN collname NOT IN ('default') THEN ' ' || collname ELSE '' END
    || CASE WHEN attnotnull THEN ' not null' ELSE '' END
    || CASE attidentity WHEN '' THEN '' ELSE ' identity' END
    || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
LEFT JOIN pg_collation ON pg_collation.oid = attcollation
WHERE relnamespace = %(schema)s::regnamespace AND relkind = 'r'
ORDER BY relname, attname
"""
CONSTRAINTS = """
SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = %(schema)s::regnamespace AND contype <> 'n'
ORDER BY 1
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = %(schema)s ORDER BY indexname"


def described(url: str, schema: str) -> str:
    """What the server says of the schema, a line for each thing in it."""
    lines: list[str] = []
    with psycopg.connect(url) as connection:
        for question in (TABLES, COLUMNS, CONSTRAINTS, INDEXES):
            rows = connection.execute(question.encode(), {"schema": schema}).fetchall()
            lines += [str(line) for (line,) in rows]
    return "\n".join(lines).replace(f"{schema}.", "") + "\n"


async def test_the_migrated_schema_is_the_declared_one(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    await store.open()
    await store.close()
    found = described(store.address.conninfo, store.address.schema)
    if os.environ.get("OFFLOAD_TEST_DECLARE"):
        DECLARED.write_text(found)
    assert found.splitlines() == DECLARED.read_text().splitlines()


async def test_to_migrate_twice_changes_nothing(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    seen = []
    for _ in range(2):
        await store.open()
        await store.close()
        seen.append(described(store.address.conninfo, store.address.schema))
    assert seen[0] == seen[1]


LATER = """
ALTER TABLE {schema}.jobs ADD COLUMN later text NOT NULL DEFAULT 'so';
CREATE TABLE {schema}.later (job_id text PRIMARY KEY);
CREATE INDEX jobs_of_later ON {schema}.jobs (later) WHERE state = 'pending';
"""


async def test_an_older_version_goes_on_while_a_newer_one_changes_the_schema(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one adds a column, a table and an index under load; then both share the jobs."""
    older, newer = PostgresStore(postgres_url), PostgresStore(postgres_url)
    await older.open()
    migrated = asyncio.Event()

    async def produce(name: str, store: PostgresStore) -> None:
        for number in range(40):
            await put(store, f"{name}{number}")

    async def work(store: PostgresStore, jobs: int) -> list[str]:
        ran: list[str] = []
        while (await store.stats())[State.COMPLETE] < jobs or not migrated.is_set():
            for job in await take(store, 3, worker=f"w{id(store)}"):
                assert await end(store, job, Move.COMPLETE)
                ran.append(job.id)
        return ran

    async def upgrade() -> None:
        while (await older.stats())[State.COMPLETE] < 10:
            pass
        known = scripts(migrating.SCRIPTS)
        both = [*known, (known[-1][0] + 1, LATER)]
        monkeypatch.setattr(migrating, "scripts", lambda _: both)
        await newer.open()
        migrated.set()

    await asyncio.gather(produce("a", older), work(older, 40), upgrade())
    old, new, *_ = await asyncio.gather(
        work(older, 120), work(newer, 120), produce("b", older), produce("c", newer)
    )
    assert sorted([*old, *new]) == sorted(f"{name}{n}" for name in "bc" for n in range(40))
    assert old
    assert new
    for store in (older, newer):
        await store.close()
