"""The reader reads views and nothing else; the writer writes rows and nothing else."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from support.facts import batch, many
from support.postgres import temporary_database
from support.store import opened

TABLES = (
    *("points", "point_keys", "awaited", "strays", "batches", "deep_samples", "audit", "schema_migrations"),
    *("hourly_statistics", "daily_statistics", "hourly_latencies", "daily_latencies", "stale_hours", "maintenance"),
    *("hourly_checks", "hourly_failures", "hourly_measures", "gates", "outlier_bounds"),
)


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


def test_the_reader_reads_every_view(as_role, rows):
    views = [
        row["table_name"]
        for row in rows("SELECT table_name FROM information_schema.views WHERE table_schema = 'benchmark'")
    ]
    assert len(views) == 17
    for view in views:
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
    ],
)
def test_the_writer_neither_migrates_nor_forgets(as_role, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role("benchmark_writer", statement)


def test_the_writer_writes(as_role):
    assert as_role("benchmark_writer", "UPDATE benchmark_data.points SET task_type = 'x'") == 1
    assert as_role("benchmark_writer", "DELETE FROM benchmark_data.points") == 1
