"""What isn't one record's fault: connections that break, databases that aren't there. What passes by is told apart."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from support.facts import batch, execution, late, many, revise
from support.store import assert_balanced, counts, opened

from collector_processor.convert.union import unite
from collector_processor.errors import StoreError
from collector_processor.model.facts import Facts
from collector_processor.store.database import Database
from collector_processor.store.postgres import PostgresStore


def test_a_database_that_is_not_there_is_a_passing_error_that_says_why(run):
    async def scenario():
        nowhere = "postgresql://nobody:sesame@127.0.0.1:1/none"
        async with Database(nowhere, application_name="test", patience=0.2) as database:
            await PostgresStore(database, revise, unite).apply(batch(*many(1)))

    with pytest.raises(StoreError, match="onnection refused") as raised:
        run(scenario())
    assert raised.value.transient
    assert "sesame" not in str(raised.value)


WAITING = "SELECT FROM pg_stat_activity WHERE application_name = 'test worker' AND wait_event_type = 'Lock'"


def test_a_connection_that_breaks_leaves_nothing_and_the_next_try_succeeds(run, url, store, rows):
    given = batch(*many(3), *(late(Facts(executions=(execution(n, 20),)), trace=n) for n in (1, 2)))
    run(store.apply(batch(*many(1))))

    async def scenario(other):
        applying = asyncio.create_task(store.apply(given))
        while not applying.done() and not rows(WAITING):  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.01)
        rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test worker'")
        with pytest.raises(StoreError) as raised:
            await applying
        other.rollback()
        return raised.value.transient, await store.apply(given)

    with psycopg.connect(url) as other:
        other.execute("SELECT FROM benchmark_data.point_keys FOR UPDATE")
        transient, applied = run(scenario(other))
    assert transient
    assert counts(applied) == {"in_points": 12, "duplicate": 5, "accepted": 2, "revised": 1}
    assert_balanced(rows)


def test_opening_ends_what_a_dead_worker_left(run, url, store, rows):
    with psycopg.connect(url, application_name="test worker") as dead, psycopg.connect(url) as bystander:
        dead.execute("SELECT 1")

        async def scenario():
            async with opened(url):
                pass

        run(scenario())
        with pytest.raises(psycopg.OperationalError):
            dead.execute("SELECT 1")
        bystander.execute("SELECT 1")


def test_a_schema_that_is_not_there_will_not_pass(run, postgres_url):
    async def scenario():
        async with opened(postgres_url) as store:
            await store.apply(batch(*many(1)))

    with pytest.raises(StoreError) as raised:
        run(scenario())
    assert not raised.value.transient
