"""How the schema comes about, and grows, while older workers go on."""

from psycopg import sql

from offload.core.errors import ConfigurationError
from offload.store.postgres.connection import Session
from offload.store.postgres.locks import MIGRATIONS
from offload.store.postgres.url import Address
from offload.store.sql import scripts

SCRIPTS = "offload.store.postgres.migrations"


async def migrate(session: Session, address: Address) -> int:
    """Bring the schema up to date in one transaction, alone; return its number.

    A role that may not make schemas or tables can use what is up to date already.

    Raises:
        ConfigurationError: it was written by a newer version of offload.
    """
    known = scripts(SCRIPTS)
    newest = known[-1][0]
    if await applied(session, address) == newest:
        return newest  # nothing to write, so nobody to wait for
    async with session.transaction():
        await session.lock([MIGRATIONS])
        there = await applied(session, address)
        if there > newest:
            raise ConfigurationError(
                f"the schema {address.quoted} has number {there}, this offload knows {newest}: "
                "upgrade offload in this process too"
            )
        if there == 0:
            await _begin(session, address)
        for number, script in known:
            if number > there:
                await _apply(session, address, number, script)
    return newest


async def applied(session: Session, address: Address) -> int:
    """Return the number of the last migration that was applied, 0 if none was."""
    # Not to_regclass: it may answer from what the session remembers of a moment ago.
    cursor = await session.connection.execute(
        "SELECT FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'migrations'",
        [address.schema],
    )
    if await cursor.fetchone() is None:
        return 0
    cursor = await session.connection.execute(
        sql.SQL("SELECT max(number) FROM {}.migrations").format(sql.Identifier(address.schema))
    )
    newest = await cursor.fetchone()
    return int(newest[0]) if newest is not None and newest[0] is not None else 0


async def _begin(session: Session, address: Address) -> None:
    schema = sql.Identifier(address.schema)
    cursor = await session.connection.execute(
        "SELECT FROM pg_namespace WHERE nspname = %s", [address.schema]
    )
    if await cursor.fetchone() is None:  # else no right to make one is asked for
        await session.connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    await session.connection.execute(
        sql.SQL(
            "CREATE TABLE {}.migrations "
            "(number int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        ).format(schema)
    )


async def _apply(session: Session, address: Address, number: int, script: str) -> None:
    await session.connection.execute(script.replace("{schema}", address.quoted).encode())
    await session.connection.execute(
        sql.SQL("INSERT INTO {}.migrations (number) VALUES (%s)").format(
            sql.Identifier(address.schema)
        ),
        [number],
    )
