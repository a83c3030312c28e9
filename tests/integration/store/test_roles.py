"""The reader reads views and nothing else; the writer writes rows and nothing else."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from support.facts import batch, many
from support.postgres import temporary_database
from support.store import opened

VIEWS = (
    *("agent_statistics", "agent_statistics_daily", "data_points", "deep_samples", "erased_records", "erasures"),
    *("evaluations", "exportable", "failed_gates", "gate_results", "judge_disagreements", "orphans", "outlier_bounds"),
    *("quarantine", "routing_decisions", "task_executions", "tool_calls", "turns"),
)
TABLES = (
    *("points", "point_keys", "awaited", "strays", "batches", "deep_samples", "audit", "schema_migrations"),
    *("hourly_statistics", "daily_statistics", "hourly_latencies", "daily_latencies", "stale_hours", "maintenance"),
    *("hourly_checks", "hourly_failures", "hourly_measures", "gates", "outlier_bounds", "standing_erasures"),
)


PRIVILEGES = (Path(__file__).parent / "privileges.sql").read_text(encoding="utf-8")

# Kind and name of everything, and what may be done with it. `TEMPORARY` and `public` are the server's own gift to all.
EVERYBODY = {
    ("database", "ours"): "CONNECT TEMPORARY",
    ("schema", "public"): "USAGE",
}
READER = {
    ("schema", "benchmark"): "USAGE",
    **dict.fromkeys((("view", f"benchmark.{name}") for name in VIEWS), "SELECT"),
    # Called by views; without a right to their schema nobody calls them by name.
    ("routine", "benchmark_data.hour_of(timestamp with time zone)"): "EXECUTE",
    ("routine", "benchmark_data.bounded(double precision)"): "EXECUTE",
    ("routine", "benchmark_data.label(text)"): "EXECUTE",
    ("routine", "benchmark_data.latency_bucket(double precision)"): "EXECUTE",
    ("routine", "benchmark_data.latency_of_bucket(integer)"): "EXECUTE",
    ("definer", "benchmark_data.checks_of_hour(timestamp with time zone)"): "EXECUTE",
    ("definer", "benchmark_data.failures_of_hour(timestamp with time zone)"): "EXECUTE",
    ("definer", "benchmark_data.latencies_of_hour(timestamp with time zone)"): "EXECUTE",
    ("definer", "benchmark_data.statistics_of_hour(timestamp with time zone)"): "EXECUTE",
}
WRITER = {
    ("schema", "benchmark_data"): "USAGE",
    **dict.fromkeys(
        (
            ("table", f"benchmark_data.{name}")
            for name in ("points", "point_keys", "awaited", "strays", "deep_samples", "standing_erasures")
        ),
        "DELETE INSERT SELECT UPDATE",
    ),
    ("table", "benchmark_data.batches"): "INSERT SELECT UPDATE",
    ("table", "benchmark_data.audit"): "INSERT SELECT",
    ("column", "benchmark_data.audit.patch"): "UPDATE",
    ("table", "benchmark_data.erasures"): "INSERT SELECT",
    ("column", "benchmark_data.erasures.removed"): "UPDATE",
    ("table", "benchmark_data.privacy_halts"): "DELETE INSERT SELECT",
    ("table", "benchmark_data.stale_hours"): "INSERT",
    ("routine", "benchmark_data.hour_of(timestamp with time zone)"): "EXECUTE",
    ("routine", "benchmark_data.erased_name(text)"): "EXECUTE",
    ("routine", "benchmark_data.mentions(text,text[])"): "EXECUTE",
    ("routine", "benchmark_data.severities_of(jsonb)"): "EXECUTE",
}


@pytest.fixture(scope="module")
def as_role(postgres_server, migrated):
    """Runs a statement in that role, in a database with one record, and undoes it."""

    async def fill(url):
        async with opened(url) as store:
            await store.apply(batch(*many(1)))

    with temporary_database(postgres_server, template=migrated) as url:
        asyncio.run(fill(url))

        def execute(role, statement):
            with psycopg.connect(url) as connection, connection.transaction(force_rollback=True):
                connection.execute(f"SET LOCAL ROLE {role}")
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else cursor.rowcount

        yield execute


@pytest.mark.parametrize(("role", "may"), [("benchmark_reader", READER), ("benchmark_writer", WRITER)])
def test_all_that_a_role_may_do(rows, role, may):
    """What stands here is everything, also what PUBLIC may do: a new table or function is neither's until granted."""
    found = {(row["kind"], row["name"]): row["rights"] for row in rows(PRIVILEGES, {"role": role})}
    assert found == EVERYBODY | may


@pytest.mark.parametrize("role", ["benchmark_reader", "benchmark_writer"])
def test_a_role_has_no_power_over_the_server(rows, role):
    (attributes,) = rows("SELECT * FROM pg_roles WHERE rolname = %(role)s", {"role": role})
    powers = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication", "rolbypassrls")
    assert [power for power in powers if attributes[power]] == []


def test_what_runs_as_the_owner_looks_names_up_nowhere_else(rows):
    definers = rows("SELECT oid::regprocedure::text AS name, proconfig FROM pg_proc WHERE prosecdef")
    assert len(definers) == 5
    for each in definers:
        assert each["proconfig"] == ["search_path=pg_catalog, pg_temp"], each["name"]


@pytest.fixture
def log_in(postgres_server, migrated):
    """A connection of somebody who was granted a role, as an analyst or a service of a customer's is."""
    name = f"somebody_{uuid.uuid4().hex}"
    with (
        temporary_database(postgres_server, template=migrated) as url,
        psycopg.connect(postgres_server.superuser_url, autocommit=True) as server,
    ):

        def connect(role):
            server.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}' IN ROLE {role}")
            return psycopg.connect(conninfo.make_conninfo(url, user=name, password=name), autocommit=True)

        yield connect
        server.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("role", "other"), [("benchmark_reader", "benchmark_writer"), ("benchmark_writer", "benchmark_reader")]
)
def test_who_logs_in_with_a_role_changes_into_no_other(log_in, role, other):
    with log_in(role) as connection:
        for wanted in (other, "benchmark_owner"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SET ROLE {wanted}")
        for program in (
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT pg_read_file('PG_VERSION')",
            "ALTER SYSTEM RESET ALL",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(program)


def test_the_reader_reads_every_view(as_role):
    for view in VIEWS:
        as_role("benchmark_reader", f"SELECT * FROM benchmark.{view}")


@pytest.mark.parametrize("table", TABLES)
def test_the_reader_reads_no_table(as_role, table):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role("benchmark_reader", f"SELECT * FROM benchmark_data.{table}")


@pytest.mark.parametrize("function", ["statistics_of_hour", "latencies_of_hour"])
def test_the_reader_calls_no_function_that_reads_as_the_owner(as_role, function):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role("benchmark_reader", f"SELECT * FROM benchmark_data.{function}(now())")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE benchmark.data_points SET task_type = 'x'",
        "DELETE FROM benchmark.quarantine",
        "INSERT INTO benchmark.orphans (kind) VALUES ('route')",
        "CREATE TABLE benchmark.mine ()",
        "CREATE TABLE public.mine ()",
        "CREATE VIEW benchmark.mine AS SELECT 1",
        "DROP VIEW benchmark.turns",
        "CREATE SCHEMA mine",
    ],
)
def test_the_reader_changes_nothing(as_role, statement):
    with pytest.raises(psycopg.Error) as raised:
        as_role("benchmark_reader", statement)
    assert raised.value.sqlstate in {"42501", "55000"}  # not allowed; not an updatable view


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE benchmark_data.points",
        "ALTER TABLE benchmark_data.points ADD COLUMN x int",
        "TRUNCATE benchmark_data.points",
        "CREATE TABLE benchmark_data.mine ()",
        "CREATE TABLE public.mine ()",
        "CREATE INDEX ON benchmark_data.points (valid)",
        "INSERT INTO benchmark_data.schema_migrations VALUES (99, 'x', 'x')",
        "DELETE FROM benchmark_data.batches",
        "DELETE FROM benchmark_data.stale_hours",
        "UPDATE benchmark_data.maintenance SET horizon = now()",
        "CALL benchmark_data.settle_hours(ARRAY[now()], ARRAY[now()])",
        "DELETE FROM benchmark_data.audit",
        "UPDATE benchmark_data.audit SET author = 'x'",
        "SELECT * FROM benchmark.data_points",
        "SELECT * FROM benchmark_data.statistics_of_hour(now())",
        "SELECT * FROM benchmark_data.hourly_statistics",
        "SELECT * FROM benchmark_data.stale_hours",
        "SELECT * FROM benchmark_data.maintenance",
        "SELECT * FROM benchmark_data.schema_migrations",
        "SELECT * FROM benchmark_data.gates",
        "ALTER FUNCTION benchmark_data.hour_of(timestamptz) RENAME TO x",
        "REINDEX TABLE benchmark_data.points",
        "CREATE SCHEMA mine",
    ],
)
def test_the_writer_neither_migrates_nor_forgets(as_role, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role("benchmark_writer", statement)


def test_the_writer_writes(as_role):
    assert as_role("benchmark_writer", "UPDATE benchmark_data.points SET task_type = 'x'") == 1
    assert as_role("benchmark_writer", "DELETE FROM benchmark_data.points") == 1
