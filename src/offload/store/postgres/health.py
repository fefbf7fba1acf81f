"""Looks at a queue's server and schema, changing nothing of them."""

import time

import psycopg
from psycopg import sql

from offload.store.health import Finding, note, ok, wrong
from offload.store.postgres.migrating import SCRIPTS
from offload.store.postgres.url import Address, parsed
from offload.store.sql import scripts

OLDEST = 140000
"""The first version that is known to have all that the schema needs."""
SKEW = 1.0
"""Seconds by which the clocks of this machine and the server may differ."""
LONG = 600.0
"""Seconds after which an open transaction hurts: nothing that died since can be cleaned up."""
FULL = 0.9

Connection = psycopg.Connection[tuple[object, ...]]


def examined(url: str) -> list[Finding]:
    """Return the findings for the server and the schema that the URL names."""
    address = parsed(url)
    try:
        with psycopg.connect(address.conninfo, connect_timeout=5, autocommit=True) as connection:
            return _findings(connection, address)
    except psycopg.Error as error:
        found = " ".join(str(error).split())
        remedy = "start it, or put the URL right; nothing is lost while workers wait for it"
        return [wrong("server", f"{address.shown}: {found}", remedy)]


def _findings(connection: Connection, address: Address) -> list[Finding]:
    findings = [
        version(connection.info.server_version),
        _clock(connection),
        _synchronous(connection),
        _autovacuum(connection),
        _transactions(connection),
        _sessions(connection),
        _listening(address),
    ]
    return [*findings, *_schema(connection, address)]


def _value(connection: Connection, question: str | sql.Composed) -> object:
    query = question.encode() if isinstance(question, str) else question
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def version(number: int) -> Finding:
    """Judge the version of the server, as libpq numbers it."""
    found = f"{number // 10_000}.{number % 10_000}"
    if number >= OLDEST:
        return ok("postgresql", found)
    return wrong("postgresql", found, f"use PostgreSQL {OLDEST // 10_000} or newer")


def skew(seconds: float) -> Finding:
    """Judge how far the server's clock is ahead of this machine's."""
    if abs(seconds) <= SKEW:
        return ok("server clock", "as this machine's")
    return note(
        "server clock",
        f"{seconds:+.1f} s from this machine's",
        "jobs go by the server's; keep both right with NTP",
    )


def _clock(connection: Connection) -> Finding:
    before = time.time()
    there = _value(connection, "SELECT extract(epoch FROM clock_timestamp())::float8")
    return skew(float(str(there)) - (before + time.time()) / 2)


def _synchronous(connection: Connection) -> Finding:
    setting = str(_value(connection, "SHOW synchronous_commit"))
    if setting != "off" and _value(connection, "SHOW fsync") == "on":
        return ok("durability", f"synchronous_commit = {setting}")
    return note(
        "durability",
        "synchronous_commit or fsync is off: a crash of the server may undo the last commits",
        "switch both on if that matters",
    )


def _autovacuum(connection: Connection) -> Finding:
    if _value(connection, "SHOW autovacuum") == "on":
        return ok("autovacuum", "on")
    return wrong("autovacuum", "off: the queue gets slower and slower", "switch it on")


def transactions(seconds: float) -> Finding:
    """Judge the age of the oldest open transaction of the database."""
    if seconds <= LONG:
        return ok("transactions", "none is open for long")
    return note(
        "transactions",
        f"one is open for {seconds / 60:,.0f} min: what died since cannot be cleaned up",
        "find it in pg_stat_activity, and end it",
    )


def _transactions(connection: Connection) -> Finding:
    age = _value(
        connection,
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 "
        "FROM pg_stat_activity WHERE datname = current_database()",
    )
    return transactions(float(str(age)))


def sessions(used: int, most: int) -> Finding:
    """Judge how many of the server's sessions are taken."""
    found = f"{used} of {most}"
    if used <= most * FULL:
        return ok("sessions", found)
    return note("sessions", found, "raise max_connections, or put a pooler in between")


def _sessions(connection: Connection) -> Finding:
    used = _value(connection, "SELECT count(*) FROM pg_stat_activity")
    return sessions(int(str(used)), int(str(_value(connection, "SHOW max_connections"))))


def _listening(address: Address) -> Finding:
    if not address.pooled:
        return ok("listen", "workers are woken at once")
    return note(
        "listen",
        "not through a transaction pooler: processes poll, up to 2 s later",
        "let workers connect directly, without pooler=transaction",
    )


def _schema(connection: Connection, address: Address) -> list[Finding]:
    known = scripts(SCRIPTS)[-1][0]
    table = sql.Literal(f"{address.quoted}.migrations")
    if _value(connection, sql.SQL("SELECT to_regclass({})").format(table)) is None:
        found = f"the schema {address.schema} is not there yet"
        # As "server", it says that there is nothing more to look at.
        return [note("server", found, "the first job or worker makes it")]
    newest = sql.SQL("SELECT max(number) FROM {}.migrations")
    there = int(str(_value(connection, newest.format(sql.Identifier(address.schema)))))
    if there == known:
        return [ok("schema", str(there))]
    if there > known:
        found = f"{there}, this offload knows {known}"
        return [wrong("schema", found, "upgrade offload here too")]
    found = f"{there}, the newest is {known}"
    return [note("schema", found, "the next worker or job upgrades it")]
