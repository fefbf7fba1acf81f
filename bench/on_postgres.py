"""offload on PostgreSQL, on one server with its default durability: `python -m bench.on_postgres`.

The server is that which the tests would find, but with fsync.
"""

from contextlib import closing
from functools import partial

import psycopg

from bench import library, raw_postgres
from bench.served import Figures, Pair, Peer, Served, Span, command, figures, markdown
from tests.servers import postgres

PAIRS = (
    Pair("single enqueue", library.single, raw_postgres.insert_singly, 500),
    Pair("map", library.batch, raw_postgres.insert_batch, 20_000),
    Pair("no-op jobs, one worker process", library.drain, raw_postgres.drain, 20_000),
)
PEERS = (
    Peer("pgqueuer, no results", "postgres_pgqueuer.py", 20_000, ["1000"]),
    Peer("procrastinate, no results", "postgres_procrastinate.py", 1_000, ["50"]),
    Peer("SAQ", "saq_drain.py", 1_000, ["50"]),
)

COPY_AS_FINISHED = """
    UPDATE offload.jobs SET state = 'complete', phase = NULL, attempt = 1, lease = 1,
        progress = 100, result = 'null', started_at = created_at, finished_at = created_at + 1
    WHERE state = 'pending'"""
ENDED = """
    SELECT count(*), coalesce(min(started_at), 0), coalesce(max(finished_at), 0)
    FROM offload.jobs WHERE finished_at > %s AND result_ttl IS NULL AND started_at > %s"""
TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"


def finish_all(url: str) -> None:
    """Turn what is pending into finished jobs."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(COPY_AS_FINISHED)
    settle(url)


def settle(url: str) -> None:
    """Leave the table as autovacuum and the next checkpoint would, and neither to come."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE offload.jobs")
        connection.execute("CHECKPOINT")


def ended(url: str, since: int) -> Span:
    """Return how many jobs have begun and ended after an instant, and when."""
    with psycopg.connect(url) as connection:
        row = connection.execute(ENDED, (since, since)).fetchone()
    assert row is not None
    return row


def transactions(server: str, url: str) -> int:
    """Return how many transactions there were so far in a database; asked from another one."""
    with psycopg.connect(server) as connection:
        row = connection.execute(TRANSACTIONS, (url.rpartition("/")[2],)).fetchone()
    assert row is not None
    return int(row[0])


def served(url: str) -> Served:
    """Return what is measured on this server."""
    return Served(
        "PostgreSQL",
        PAIRS,
        PEERS,
        fresh=partial(postgres.database, url),
        operations=partial(transactions, url),
        finish_all=finish_all,
        ended=ended,
        settle=settle,
    )


def version(url: str) -> str:
    """Return the server's version."""
    with closing(psycopg.connect(url)) as connection:
        return str(connection.info.server_version)


def measured(rounds: int, samples: int, rows: int) -> tuple[Figures, str]:
    """Return the figures, and as tables."""
    with postgres.running(fsync="on") as url:
        server = served(url)
        found = figures(server, rounds=rounds, samples=samples, rows=rows)
        return {"server": version(url), **found}, markdown(server, found)


if __name__ == "__main__":
    command(__doc__, measured)
