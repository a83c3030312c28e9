"""A person's query runs as the reader, one statement at a time, and changes nothing."""

from __future__ import annotations

import pytest
from support.facts import NOON, SECOND, batch, many

from collector_processor.errors import StoreError
from collector_processor.store.database import Database
from collector_processor.store.querying import query


@pytest.fixture
def ask(run, place, store):
    """Runs a query on a database with three records."""
    run(store.apply(batch(*many(3))))

    async def asked(text, **more):
        async with Database(
            place.url, application_name="test query", prepare_threshold=place.prepare_threshold
        ) as database:
            return await query(database, text, **more)

    return lambda text, **more: run(asked(text, **more))


def test_views_need_no_schema(ask):
    answer = ask("SELECT task_id, timestamp, record -> 'task' ->> 'id' AS inside FROM data_points ORDER BY 1 LIMIT 1")
    assert answer.columns == ("task_id", "timestamp", "inside")
    assert answer.rows == [("t-1", NOON + SECOND, "t-1")]


def test_no_rows_have_columns_too(ask):
    assert ask("SELECT task_id, valid FROM data_points WHERE task_id = '%s %'") == (("task_id", "valid"), [])


@pytest.mark.parametrize("text", ["SHOW server_version", "EXPLAIN SELECT 1", "VALUES (1)", "SELECT 1;  -- done"])
def test_whatever_gives_rows_may_be_asked(ask, text):
    assert ask(text).rows


@pytest.mark.parametrize(
    "text",
    [
        "COMMIT; DROP TABLE benchmark_data.points",
        "SELECT 1; SELECT 2",
        "RESET ROLE",
        "DELETE FROM data_points",
        "SELECT * FROM benchmark_data.points",
        "SELECT set_config('role', 'none', true), nextval('benchmark_data.audit_entry_seq')",
        "CREATE TEMP TABLE x ()",
        "nonsense",
        "",
    ],
)
def test_anything_else_is_refused(ask, rows, text):
    with pytest.raises(StoreError) as raised:
        ask(text)
    assert not raised.value.transient
    assert len(rows("SELECT FROM benchmark.data_points")) == 3


def test_a_query_that_takes_too_long_is_ended(ask, full_server):
    with pytest.raises(StoreError, match="statement timeout"):
        ask("SELECT pg_sleep(60)", timeout_seconds=0.1)


@pytest.mark.parametrize(
    ("text", "mending"),
    [
        ("SELECT * FROM datapoints", "the views are agent_statistics, agent_statistics_daily, data_points, .*turns$"),
        ("SELECT tool_name FROM turns", "SELECT \\* FROM view LIMIT 0"),
        ("SELECT task_ids FROM turns", "Perhaps you meant to reference the column"),
        ("DELETE FROM data_points", "may only read the views"),
        (" \n", "try SELECT"),
    ],
)
def test_a_refusal_says_how_to_mend_the_query(ask, text, mending):
    with pytest.raises(StoreError, match=mending) as raised:
        ask(text)
    assert "\n" not in str(raised.value)
