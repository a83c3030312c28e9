"""The databases that the other tests get."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest
from support.postgres import temporary_database

from collector_processor.store.embedded import EmbeddedServer


@pytest.mark.parametrize("_round", [1, 2])
def test_each_test_has_an_empty_database_of_its_own(postgres_url: str, _round: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE left_behind (id int)")
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)


def test_a_database_goes_even_when_a_connection_was_forgotten(postgres_server: EmbeddedServer) -> None:
    with temporary_database(postgres_server) as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    forgotten.close()


def test_a_template_gives_its_tables(postgres_server: EmbeddedServer) -> None:
    with temporary_database(postgres_server) as template:
        with psycopg.connect(template) as connection:
            connection.execute("CREATE TABLE copied AS SELECT 42 AS answer")
        name = urlsplit(template).path.removeprefix("/")
        with temporary_database(postgres_server, template=name) as url, psycopg.connect(url) as connection:
            assert connection.execute("SELECT answer FROM copied").fetchone() == (42,)
