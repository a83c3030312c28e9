"""A database is brought to the program's schema, once, forward, and only where the histories agree."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from support.postgres import temporary_database, throwaway_server

from collector_processor.errors import MigrationError, StoreError, Trouble
from collector_processor.store import migrations as steps
from collector_processor.store.inspection import check
from collector_processor.store.migrations import migrate
from collector_processor.store.statements import migrations

NAMES = [f"{migration.version:04}_{migration.name}" for migration in migrations()]


def ask(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def change(url, statement):
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def test_a_fresh_database_gets_everything_once(postgres_url):
    assert asyncio.run(migrate(postgres_url)) == NAMES
    assert asyncio.run(migrate(postgres_url)) == []
    done = ask(postgres_url, "SELECT version, name, length(checksum) FROM benchmark_data.schema_migrations ORDER BY 1")
    assert done == [(migration.version, migration.name, 64) for migration in migrations()]


def test_two_processes_at_once(postgres_server):
    """In one database, and in two of one server, which share the roles."""

    async def race(*urls):
        return await asyncio.gather(*(migrate(url) for url in urls))

    with temporary_database(postgres_server) as one, temporary_database(postgres_server) as two:
        outcomes = asyncio.run(race(one, one, one, two, two))
        for share in (outcomes[:3], outcomes[3:]):
            assert sorted(name for applied in share for name in applied) == NAMES
        for url in (one, two):
            assert asyncio.run(check(url)).missing == ()


def test_roles_that_are_missing_are_made_again():
    """As on a server that a dump was restored to: the history says done, but roles aren't part of a dump."""
    with throwaway_server() as server, temporary_database(server) as url:
        asyncio.run(migrate(url))
        change(url, "DROP OWNED BY benchmark_writer, benchmark_reader")
        change(url, "DROP ROLE benchmark_writer, benchmark_reader")
        missing = asyncio.run(check(url)).missing
        assert [text.split(":")[0] for text in missing] == ["role benchmark_reader", "role benchmark_writer"]
        assert asyncio.run(migrate(url)) == []
        assert asyncio.run(check(url)).missing == ()
        with psycopg.connect(url) as connection:
            connection.execute("SET ROLE benchmark_reader")
            assert connection.execute("SELECT * FROM benchmark.data_points").fetchall() == []


def test_a_database_that_is_newer_is_refused(postgres_url):
    asyncio.run(migrate(postgres_url))
    newer = len(NAMES) + 1
    change(postgres_url, f"INSERT INTO benchmark_data.schema_migrations VALUES ({newer}, 'of_the_future', 'x')")
    with pytest.raises(MigrationError, match=f"has version {newer} .of_the_future.*knows up to {newer - 1}: upgrade"):
        asyncio.run(migrate(postgres_url))
    assert asyncio.run(check(postgres_url)).missing == (
        f"a release of otel-benchmark that knows schema version {newer}: this one knows {newer - 1}",
    )


def test_a_migration_that_was_changed_afterwards_is_refused(postgres_url):
    asyncio.run(migrate(postgres_url))
    change(postgres_url, "UPDATE benchmark_data.schema_migrations SET checksum = 'other' WHERE version = 1")
    with pytest.raises(MigrationError, match=r"migration 0001 .tables. was applied .* with another content"):
        asyncio.run(migrate(postgres_url))


def test_a_migration_that_fails_is_named_and_leaves_nothing(postgres_url):
    change(postgres_url, "CREATE SCHEMA benchmark")
    with pytest.raises(MigrationError, match=r"migration 0002 .views.: PostgreSQL: .*already exists"):
        asyncio.run(migrate(postgres_url))
    change(postgres_url, "DROP SCHEMA benchmark")
    assert asyncio.run(migrate(postgres_url)) == NAMES[1:]


def test_a_migration_whose_connection_is_lost_is_tried_again(postgres_url, monkeypatch):
    first, *others = migrations()
    lost = first._replace(sql=b"SELECT pg_terminate_backend(pg_backend_pid())")
    with monkeypatch.context() as patched:
        patched.setattr(steps, "migrations", lambda: (lost, *others))
        with pytest.raises(StoreError, match="terminating connection") as failed:
            asyncio.run(migrate(postgres_url))
    assert not isinstance(failed.value, MigrationError)
    assert failed.value.trouble is Trouble.PASSING
    assert asyncio.run(migrate(postgres_url)) == NAMES


def test_an_owner_who_may_not_make_roles_is_told_what_to_do(postgres_server, postgres_url):
    with psycopg.connect(postgres_server.superuser_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS modest")
        connection.execute("CREATE ROLE modest LOGIN PASSWORD 'sesame'")
        try:
            with pytest.raises(MigrationError, match=r"may not create or use the roles .*CREATEROLE"):
                asyncio.run(migrate(make_conninfo(postgres_url, user="modest", password="sesame")))
        finally:
            connection.execute("DROP ROLE modest")


def test_a_database_that_is_not_there(postgres_url):
    with pytest.raises(StoreError, match="does not exist") as raised:
        asyncio.run(migrate(make_conninfo(postgres_url, dbname="nowhere")))
    assert raised.value.transient


def test_what_check_says_before_and_after(postgres_url):
    before = asyncio.run(check(postgres_url))
    assert before.schema_version == 0
    assert before.missing[-1] == f"schema version {len(NAMES)} (it has 0): run `otel-benchmark database migrate`"
    asyncio.run(migrate(postgres_url))
    after = asyncio.run(check(postgres_url))
    assert (after.schema_version, after.known_version, after.missing) == (len(NAMES), len(NAMES), ())
    assert after.tier == "postgresql"
    assert after.server_version.split(".")[0].isdigit()
    assert "plpgsql" in after.extensions


def test_records_are_stored_without_slow_compression(url):
    """lz4 where the server has it, else none: PostgreSQL's own takes two thirds of the writing time."""
    [(storage, compression)] = ask(
        url,
        "SELECT attstorage, attcompression FROM pg_attribute"
        " WHERE attrelid = 'benchmark_data.points'::regclass AND attname = 'record'",
    )
    has_lz4 = asyncio.run(check(url)).compression == "lz4"
    assert (storage, compression) == (("x", "l") if has_lz4 else ("e", ""))
