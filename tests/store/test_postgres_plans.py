"""What is asked all the time costs the same in a small store and in a large one."""

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from offload.store.postgres.connection import SETTINGS
from offload.store.postgres.migrating import SCRIPTS
from offload.store.postgres.statements import statements
from offload.store.sql import scripts

# An operator's questions may read all there is: they do so beside the writers, and seldom.
READ_ALL = {
    "dead_letters",
    "logs",
    "metrics",
    "queues",
    "schedules",
    "search",
    "stats",
    "workers",
}
NO_PLAN = {"await_claims", "copy_jobs"}
# A table that stays small, and is read whole.
SMALL = {"workers", "paused_queues", "lanes", "schedules", "locks"}
ROWS = 20_000

FILL = """
INSERT INTO {schema}.jobs (
    id, task, queue, state, phase, lane, worker, priority, run_at, created_at, started_at,
    finished_at, expires_at, held_key, result_ttl, schedule, blockers, result,
    max_retries, backoff, max_retry_delay, on_parent_failure, inputs, payload
)
SELECT kind || n, 't', 'q' || n % 3, state, phase, lane, worker, n % 3, n, n, n, ended, expires,
    CASE WHEN n % 2 = 0 THEN kind || n END, ttl, CASE WHEN n % 100 = 0 THEN 's' || n END,
    CASE phase WHEN 'blocked' THEN 1 ELSE 0 END, result, 3, 1.0, 300.0, 'cancel', 'none', ''
FROM generate_series(1, {rows}) AS n, (VALUES
    ('r', 'pending', 'ready', NULL, NULL, NULL::bigint, 9, NULL::float8, NULL::bytea),
    ('l', 'pending', 'later', NULL, NULL, NULL, 9, NULL, NULL),
    ('b', 'pending', 'blocked', NULL, NULL, NULL, NULL, NULL, NULL),
    ('i', 'pending', 'ready', 'lane', NULL, NULL, NULL, NULL, NULL),
    ('u', 'running', NULL, 'lane', 'w', NULL, NULL, NULL, NULL),
    ('e', 'complete', NULL, NULL, NULL, 5, NULL, NULL, 'x'::bytea),
    ('t', 'complete', NULL, NULL, NULL, 5, NULL, 9.0, 'x'::bytea)
) AS kinds (kind, state, phase, lane, worker, ended, expires, ttl, result);
INSERT INTO {schema}.job_dependencies SELECT n, 0, n + 1 FROM generate_series(1, {rows}) AS n;
INSERT INTO {schema}.job_errors (job, attempt, type, message, traceback, failed_at)
    SELECT n, 1, '', '', '', n FROM generate_series(1, {rows}) AS n;
INSERT INTO {schema}.job_logs (job, attempt, level, message, logged_at)
    SELECT n, 1, '', '', n FROM generate_series(1, {rows}) AS n;
INSERT INTO {schema}.job_parts (job, attempt, value, published_at)
    SELECT n, 1, '', n FROM generate_series(1, {rows}) AS n;
INSERT INTO {schema}.job_metrics (job, attempt, move, wait, ran, recorded_at)
    SELECT n, 1, '', 0, 0, n FROM generate_series(1, {rows}) AS n;
INSERT INTO {schema}.repeats (origin, job_id, repeated_at)
    SELECT 'e' || n, 'x' || n, n FROM generate_series(1, {rows}) AS n;
INSERT INTO {schema}.dead_letters SELECT * FROM {schema}.jobs WHERE state = 'complete';
"""
NAME = "plans"


def migrated(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(f"CREATE SCHEMA {name}".encode())
    for _, script in scripts(SCRIPTS):
        connection.execute(script.replace("{schema}", name).encode())


@pytest.fixture(scope="module", params=["empty", "full"])
def connection(
    request: pytest.FixtureRequest, postgres_database: str
) -> Iterator[psycopg.Connection[Any]]:
    """A session as the driver tunes it, on tables without rows or with many."""
    with psycopg.connect(postgres_database, autocommit=True, options=SETTINGS) as connection:
        migrated(connection, NAME)
        if request.param == "full":
            fill = FILL.replace("{schema}", NAME).replace("{rows}", str(ROWS))
            connection.execute(fill.encode())
            connection.execute(b"VACUUM ANALYZE")
        yield connection
        connection.execute(f"DROP SCHEMA {NAME} CASCADE".encode())


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def planned(connection: psycopg.Connection[Any], sql: str) -> list[dict[str, Any]]:
    """The steps of a statement, as the server prepares it for any values."""
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", numbered, sql)
    connection.execute(f"PREPARE asked AS {text}".encode())
    values = f"({', '.join(['NULL'] * len(names))})" if names else ""
    found = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{values}".encode()).fetchone()
    connection.execute(b"DEALLOCATE asked")
    assert found is not None
    plan = found[0] if isinstance(found[0], list) else json.loads(found[0])
    return list(nodes(plan[0]["Plan"]))


SQL = statements(NAME)


@pytest.mark.parametrize("name", sorted(SQL.keys() - READ_ALL - NO_PLAN))
def test_no_statement_reads_a_whole_table(connection: psycopg.Connection[Any], name: str) -> None:
    scanned = {
        step["Relation Name"]
        for step in planned(connection, SQL[name])
        if step["Node Type"] == "Seq Scan"
    }
    assert scanned <= SMALL


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("claim", {"jobs_ready", "jobs_later", "jobs_in_line", "jobs_expiring", "jobs_pkey"}),
        ("first_ready", {"jobs_ready"}),
        ("ready_lanes", {"jobs_in_line", "jobs_in_lane"}),
        ("first_in_lane", {"jobs_in_line"}),
        ("finish", {"jobs_id"}),
        ("complete", {"jobs_id"}),
        ("report", {"jobs_id"}),
        ("beat", {"jobs_running"}),
        ("lapsed", {"jobs_running"}),
        ("old_jobs", {"jobs_ended", "job_dependencies_parent"}),
        ("outlived_jobs", {"jobs_outlived"}),
        ("holder", {"jobs_held"}),
        ("schedule_runs", {"jobs_of_schedule"}),
    ],
)
def test_a_statement_goes_by_the_index_that_was_made_for_it(
    connection: psycopg.Connection[Any], name: str, indexes: set[str]
) -> None:
    used = {step["Index Name"] for step in planned(connection, SQL[name]) if "Index Name" in step}
    assert indexes <= used


def test_the_read_that_a_waiter_makes_is_not_planned_each_time(
    connection: psycopg.Connection[Any],
) -> None:
    """Reads are made by sessions that plan as the server thinks best."""
    connection.execute("SET plan_cache_mode = auto")
    wanted = SQL["get_one"].replace("%(id)s", "$1")
    connection.execute(f"PREPARE one AS {wanted}".encode())
    for number in range(10):
        connection.execute(f"EXECUTE one('e{number}')".encode())
    row = connection.execute(
        "SELECT custom_plans FROM pg_prepared_statements WHERE name = 'one'"
    ).fetchone()
    connection.execute("DEALLOCATE one")
    connection.execute("SET plan_cache_mode = force_generic_plan")
    assert row == (5,)


def test_a_claim_reads_no_more_of_a_queue_than_it_takes(
    connection: psycopg.Connection[Any],
) -> None:
    """The line is in the index's order: nothing is sorted, which would be to read it whole."""
    steps = planned(connection, SQL["claim"])
    [line] = [step for step in steps if step["Node Type"] == "LockRows"]
    assert [step["Node Type"] for step in nodes(line)] == ["LockRows", "Index Scan"]


def test_a_claim_walks_past_nothing_that_has_ended_if_most_jobs_are_ready(
    connection: psycopg.Connection[Any],
) -> None:
    """The server guesses that a claim takes a tenth of what is ready, and may join by walking."""
    name = "ready"
    migrated(connection, name)
    fill = FILL.partition(";")[0].replace("{schema}", name).replace("{rows}", str(ROWS))
    connection.execute(f"{fill} WHERE kind = 'r'".replace("'q' || n % 3", "'q'").encode())
    connection.execute(f"ANALYZE {name}.jobs".encode())
    steps = planned(connection, statements(name)["claim"])
    connection.execute(f"DROP SCHEMA {name} CASCADE".encode())
    by_seq = [step for step in steps if step.get("Index Name") == "jobs_pkey"]
    assert by_seq
    assert all("Index Cond" in step for step in by_seq)
