"""The statements on the two tables that are kept in a program's database, by name."""

from functools import cache

from offload.store.sql import load
from offload.transactions.links import Link

OUTBOX = "offload_outbox"
MARKERS = "offload_markers"

# MySQL's TEXT ends at 64 KiB, and is no key.
MYSQL = {"name": "VARCHAR(255)", "text": "MEDIUMTEXT"}
PLAIN = {"name": "TEXT", "text": "TEXT"}


def is_mysql(dialect: str) -> bool:
    """Say whether this is MySQL, or MariaDB."""
    return dialect in {"mysql", "mariadb"}


@cache
def statements(dialect: str, outbox: str = OUTBOX) -> dict[str, str]:
    """Return the statements for a dialect and the outbox of that name."""
    types = MYSQL if is_mysql(dialect) else PLAIN
    return load("offload.transactions.sql", outbox=outbox, **types)


async def create(link: Link, statement: str, table: str, outbox: str = OUTBOX) -> None:
    """Make a table that is missing, in the transaction that there is."""
    sql = statements(link.dialect, outbox)
    if link.dialect == "postgresql":
        if (await link.fetch(sql["is_there"], {"table": table}))[0][0]:
            return
        await link.fetch(sql["take_turn"])
    await link.fetch(sql[statement])


async def create_within(link: Link, statement: str, table: str, outbox: str = OUTBOX) -> None:
    """Make a table that is missing in the transaction of a caller, unless that would end it.

    MySQL commits before it creates: there, only relays make tables.
    """
    if not is_mysql(link.dialect):
        await create(link, statement, table, outbox)
