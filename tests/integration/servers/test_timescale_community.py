"""TimescaleDB Community does what tests of its tier need, and begins each test anew."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers.timescale_community import CommunityServer

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
Connection = psycopg.Connection[Any]


def connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


@pytest.fixture
def connection(timescale_community_url: str) -> Iterator[Connection]:
    with connect(timescale_community_url) as connection:
        yield connection


def fill(connection: Connection, *, rows: int = 3000) -> None:
    connection.execute("CREATE TABLE points (timestamp timestamptz NOT NULL, agent text, score float8)")
    connection.execute("SELECT create_hypertable('points', 'timestamp', chunk_time_interval => interval '1 day')")
    with connection.cursor().copy("COPY points FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["timestamptz", "text", "float8"])
        for number in range(rows):
            copy.write_row((BEGIN + timedelta(minutes=number), f"agent {number % 3}", number / rows))


def ask(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode()).fetchall()


def test_chunks_are_compressed_and_stay_writable(connection: Connection) -> None:
    assert ask(connection, "SHOW timescaledb.license") == [("timescale",)]
    fill(connection)
    connection.execute("ALTER TABLE points SET (timescaledb.compress, timescaledb.compress_segmentby = 'agent')")
    assert len(ask(connection, "SELECT compress_chunk(chunk) FROM show_chunks('points') AS chunk")) == 3

    changed = connection.execute("UPDATE points SET score = 2 WHERE timestamp = %s", (BEGIN,))
    assert changed.rowcount == 1
    assert ask(connection, "SELECT count(*), max(score) FROM points") == [(3000, 2.0)]


def test_continuous_aggregates_stand_on_one_another(connection: Connection) -> None:
    fill(connection)
    for name, query in {
        "hourly": "SELECT time_bucket('1 hour', timestamp) AS bucket, count(*) AS n FROM points GROUP BY 1",
        "daily": "SELECT time_bucket('1 day', bucket) AS bucket, sum(n) AS n FROM hourly GROUP BY 1",
    }.items():
        connection.execute(
            f"CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous) AS {query} WITH NO DATA".encode()
        )
        connection.execute(f"CALL refresh_continuous_aggregate('{name}', NULL, NULL)".encode())
    assert ask(connection, "SELECT n FROM daily ORDER BY bucket") == [(1440,), (1440,), (120,)]


def test_copy_comes_out_as_it_went_in(connection: Connection) -> None:
    fill(connection, rows=20)
    with connection.cursor().copy("COPY (SELECT score FROM points ORDER BY score) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(["float8"])
        assert [score for (score,) in copy.rows()] == [number / 20 for number in range(20)]


def test_a_copy_that_fails_says_why_and_leaves_nothing(connection: Connection) -> None:
    fill(connection, rows=1)
    with (
        pytest.raises(psycopg.errors.InvalidDatetimeFormat),
        connection.cursor().copy("COPY points FROM STDIN") as copy,
    ):
        copy.write("2025-02-01\tagent\t1\nno time\tagent\t1\n")
    with suppress(KeyError), connection.cursor().copy("COPY points FROM STDIN") as copy:
        copy.write("2025-02-01\tagent\t1\n")
        raise KeyError
    assert ask(connection, "SELECT count(*) FROM points") == [(1,)]


def test_a_statement_that_fails_ends_its_transaction(connection: Connection) -> None:
    with suppress(psycopg.errors.DivisionByZero), connection.transaction():
        connection.execute("CREATE TABLE gone ()")
        connection.execute("SELECT 1 / 0")
    assert ask(connection, "SELECT to_regclass('gone')") == [(None,)]


def test_a_connection_that_goes_rolls_back_and_forgets(timescale_community_url: str, connection: Connection) -> None:
    connection.close()
    left = psycopg.connect(timescale_community_url, prepare_threshold=None)
    left.execute("SET work_mem = '1MB'")
    left.commit()
    left.execute("CREATE TABLE gone ()")
    left.close()
    with connect(timescale_community_url) as other:
        assert ask(other, "SELECT to_regclass('gone')") == [(None,)]
        assert ask(other, "SHOW work_mem") != [("1MB",)]


def test_a_transaction_waits_for_the_one_before(timescale_community_url: str, connection: Connection) -> None:
    with connect(timescale_community_url) as other, ThreadPoolExecutor() as threads:
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE TABLE never ()")
            seen = threads.submit(ask, other, "SELECT to_regclass('never')")
            for _ in range(20):  # the other one's statement would come between these
                connection.execute("SELECT 1")
        assert seen.result() == [(None,)]


def test_a_request_to_cancel_is_answered(connection: Connection) -> None:
    connection.cancel_safe(timeout=10)
    assert ask(connection, "SELECT 1") == [(1,)]


def test_one_that_crashes_is_told_and_replaced(timescale_community: CommunityServer) -> None:
    def crash() -> None:
        with timescale_community.database():
            assert timescale_community._program is not None
            timescale_community._program.kill()

    with pytest.raises(RuntimeError, match="PGlite has crashed"):
        crash()
    with timescale_community.database() as url, connect(url) as connection:
        assert ask(connection, "SELECT 1") == [(1,)]


@pytest.mark.usefixtures("timescale_community")
def test_one_that_cannot_start_says_why_each_time(tmp_path: Path) -> None:
    nothing = CommunityServer(tmp_path, tmp_path)
    for _ in range(2):
        with (
            pytest.raises(RuntimeError, match=r"ended with exit status(?s:.*)ERR_MODULE_NOT_FOUND"),
            nothing.database(),
        ):
            pass


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_begins_with_an_empty_database(connection: Connection, turn: int) -> None:
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'benchmark'"
    assert ask(connection, schemas) == [(0,)]
    fill(connection)
    connection.execute("CREATE ROLE benchmark_owner")
    connection.execute("CREATE SCHEMA benchmark AUTHORIZATION benchmark_owner")
    connection.execute("CREATE TYPE colour AS ENUM ('green')")
    connection.execute("CREATE VIEW public.looks AS SELECT 'green'::colour FROM points")
    connection.execute("CREATE FUNCTION benchmark.f() RETURNS int RETURN 1")
    connection.execute("SELECT add_retention_policy('points', interval '1 year')")
    assert ask(connection, schemas) == [(1,)]
