"""How the hot queries find their rows: by index, in the chunk that holds them; statistics without any record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from support.generated import HOT_QUERIES, Population, ask_as_reader, generate
from support.plans import executed, giving, indexes, scanned_whole, tables

POPULATION = Population(points=10_000, days=10, until=datetime(2026, 11, 22, 21, tzinfo=UTC))
NUMBER = 1_500
"""The point that is asked for, old enough for a compressed chunk where there are any."""


@pytest.fixture
def records(rows, url, settle, tier):
    """Ten days of tasks as maintenance leaves them; names of the tables that hold records: one, or a chunk a day."""
    for _ in generate(url, POPULATION):
        pass
    settle()
    if tier in {"timescaledb", "given"}:
        older = {"older": POPULATION.until - timedelta(days=7)}
        rows("SELECT compress_chunk(c) FROM show_chunks('benchmark_data.points', older_than => %(older)s) AS c", older)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("ANALYZE")
    found = rows(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'benchmark_data.points'::regclass"
    )
    return {each["relname"] for each in found} or {"points"}


def test_hot_queries_find_their_rows_by_index(place, records):
    with psycopg.connect(place.url, autocommit=True, prepare_threshold=None) as connection:
        plans = {
            name: executed(connection, query.replace("FROM ", "FROM benchmark."), POPULATION.parameters(NUMBER))
            for name, query in HOT_QUERIES.items()
        }
        for plan in plans.values():
            assert not (records | {"point_keys"}) & scanned_whole(plan)

        assert len(tables(plans["last hour by agent"]) & records) == 1
        for name in ("quality by type, 30 days", "failures by gate, 30 days"):
            assert not tables(plans[name]) & records
        for name, index in (("one task by id", "point_keys_task"), ("one trace by id", "point_keys_trace")):
            assert index in indexes(plans[name])
            assert len(giving(plans[name]) & records) == 1

        ask_as_reader(connection)
        found = {
            name: len(connection.execute(query.encode(), POPULATION.parameters(NUMBER)).fetchall())
            for name, query in HOT_QUERIES.items()
        }
    agents = found.pop("last hour by agent")
    assert 10 < agents < 50
    assert found == {
        "one task by id": 1,
        "one trace by id": 1,
        "quality by type, 30 days": 5,
        "failures by gate, 30 days": 1,
    }
