"""Users of one data directory share a server: the first starts it, the last to leave stops it."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from support.postgres import throwaway_hold

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded import locate


def test_a_cold_start_gives_a_database_made_for_benchmarks(data_dir: Path) -> None:
    with throwaway_hold(data_dir) as server, psycopg.connect(server.url) as connection:
        wanted = {"TimeZone": "UTC", "jit": "off", "synchronous_commit": "on", "listen_addresses": "127.0.0.1"}
        found = {name: connection.execute(f"SHOW {name}").fetchall()[0][0] for name in wanted}
        database = connection.execute(
            "SELECT current_database(), pg_encoding_to_char(encoding), datcollate, datdba::regrole::text"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        role = connection.execute(
            "SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert found == wanted
    assert database == ("benchmark", "UTF8", "C", "benchmark_owner")
    assert role == ("benchmark_owner", False, True)


def test_the_owner_can_make_the_roles_that_migrations_need(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE SCHEMA benchmark")
        connection.execute("CREATE ROLE benchmark_writer NOLOGIN")
        connection.execute("GRANT benchmark_writer TO CURRENT_USER")
        connection.execute("GRANT USAGE, CREATE ON SCHEMA benchmark TO benchmark_writer")
        connection.execute("SET LOCAL ROLE benchmark_writer")
        connection.execute("CREATE TABLE benchmark.points (id int)")
        assert connection.execute("SELECT current_user").fetchone() == ("benchmark_writer",)
        connection.rollback()


def test_data_port_and_password_outlive_a_restart(data_dir: Path) -> None:
    with throwaway_hold(data_dir) as server:
        first = server.url
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with throwaway_hold(data_dir) as server:
        assert server.url == first
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_port_that_is_taken_meanwhile_is_given_up(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as server:
        port = urlsplit(server.url).port
    with socket.create_server(("127.0.0.1", port)), throwaway_hold(used_data_dir) as server:
        assert urlsplit(server.url).port != port
        psycopg.connect(server.url).close()


def test_the_last_to_leave_stops_the_server(used_data_dir: Path, hold) -> None:
    other = hold(used_data_dir)
    url = other.url()
    with throwaway_hold(used_data_dir) as server:
        assert server.url == url
        assert other.leave() == ""
        psycopg.connect(url).close()
    assert locate(used_data_dir) is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_two_holds_in_one_process_count_twice(used_data_dir: Path) -> None:
    with throwaway_hold(used_data_dir) as first:
        with throwaway_hold(used_data_dir) as second:
            assert second.url == first.url
        psycopg.connect(first.url).close()
    assert locate(used_data_dir) is None


def test_starters_at_the_same_time_get_one_server(data_dir: Path, hold) -> None:
    holders = [hold(data_dir) for _ in range(4)]
    urls = {holder.url() for holder in holders}
    assert len(urls) == 1
    assert urls != {""}
    for holder in holders:
        assert holder.leave() == ""
    assert locate(data_dir) is None


def test_locate_finds_a_running_server_and_starts_none(data_dir: Path, hold) -> None:
    assert locate(data_dir) is None
    assert not data_dir.exists()
    holder = hold(data_dir)
    url = holder.url()
    assert locate(data_dir) == url
    psycopg.connect(url).close()
    holder.leave()
    assert locate(data_dir) is None


def test_urls_are_there_only_while_the_server_is_held(used_data_dir: Path) -> None:
    server = throwaway_hold(used_data_dir)
    with pytest.raises(EmbeddedServerError, match="isn't started"):
        _ = server.url
    server.stop()
    with server:
        assert server.superuser_url.startswith("postgresql://postgres:")
    with pytest.raises(EmbeddedServerError, match="isn't started"):
        _ = server.superuser_url
