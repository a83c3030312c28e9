"""TimescaleDB's Apache edition does what tests of its tier need, and says of the rest that it can't."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from servers.timescale_apache import ApacheServer
from servers.timescale_given import database_on

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
Connection = psycopg.Connection[Any]


def check(url: str) -> None:
    """A hypertable of two chunks, one of which is dropped."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE points (timestamp timestamptz NOT NULL, score float8)")
        connection.execute("SELECT create_hypertable('points', 'timestamp', chunk_time_interval => interval '1 day')")
        for day in range(2):
            connection.execute("INSERT INTO points VALUES (%s, %s)", (BEGIN + timedelta(days=day), day))
        dropped = connection.execute("SELECT drop_chunks('points', %s)", (BEGIN + timedelta(days=1),))
        assert dropped.rowcount == 1
        assert connection.execute("SELECT score FROM points").fetchall() == [(1.0,)]


@pytest.fixture
def connection(timescale_apache_url: str) -> Iterator[Connection]:
    with psycopg.connect(timescale_apache_url, autocommit=True) as connection:
        yield connection


def test_chunks_are_made_and_dropped(timescale_apache_url: str) -> None:
    check(timescale_apache_url)


def test_chunks_are_made_and_dropped_on_a_server_that_a_person_has(timescale_given_url: str) -> None:
    check(timescale_given_url)


def test_a_server_by_its_url_gives_a_database_and_takes_it_back(timescale_apache: ApacheServer) -> None:
    with database_on(timescale_apache.superuser_url) as url:
        check(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_compression_is_refused(connection: Connection) -> None:
    assert connection.execute("SHOW timescaledb.license").fetchone() == ("apache",)
    connection.execute("CREATE TABLE points (timestamp timestamptz NOT NULL)")
    connection.execute("SELECT create_hypertable('points', 'timestamp')")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match='under the current "apache" license'):
        connection.execute("ALTER TABLE points SET (timescaledb.compress)")


def test_the_owner_is_an_ordinary_role(connection: Connection) -> None:
    found = connection.execute("SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    assert found.fetchone() == ("benchmark_owner", False, True)


def test_two_transactions_are_open_at_once(timescale_apache_url: str, connection: Connection) -> None:
    with psycopg.connect(timescale_apache_url) as other, connection.transaction():
        connection.execute("CREATE TABLE points ()")
        assert other.execute("SELECT to_regclass('points')").fetchone() == (None,)
