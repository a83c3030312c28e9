"""The databases that the other tests get."""

from __future__ import annotations

import psycopg
import pytest


@pytest.mark.parametrize("_round", [1, 2])
def test_each_test_has_an_empty_database_of_its_own(postgres_url: str, _round: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE left_behind (id int)")
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)


def test_an_abandoned_connection_does_not_keep_the_database_alive(postgres_server, postgres_url: str) -> None:
    with psycopg.connect(postgres_server.superuser_url) as connection:
        names = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'").fetchone()
    assert names == (1,)
