"""Records that are retired while, or before, something is written to them: nothing is lost, and nothing half there."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from support.facts import NOON, batch, closed, evaluation, execution, late, lost, whole
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.errors import StoreError
from collector_processor.model.facts import Facts
from collector_processor.store import maintenance
from collector_processor.store.maintenance import Chunk, Retired, _drop, retire
from collector_processor.store.migrations import connect
from collector_processor.store.statements import statement
from collector_processor.store.tiers import Lifetimes, Tier

DAY = timedelta(days=1)
PLAIN = Tier.POSTGRESQL.value
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
UNPAIRED = """
    SELECT coalesce(point.id, key.id) AS id
    FROM benchmark_data.points AS point
    FULL JOIN benchmark_data.point_keys AS key ON key.id = point.id
    WHERE point.id IS NULL OR key.id IS NULL
"""


@pytest.fixture
def grow_old(run, url):
    """Retires what is older than two days, so many days after noon."""
    return lambda days: run(retire(url, Lifetimes(retain_records=2 * DAY), NOON + days * DAY))


async def until_somebody_waits(rows):
    async with asyncio.timeout(30):
        while not rows(WAITING):  # noqa: ASYNC110 - the event is in a database
            await asyncio.sleep(0.02)


def test_a_stray_that_outlives_its_record_leads_nowhere(run, store, grow_old, rows):
    """It joined late, so it is younger than the task; what hangs on it waits as it would without it."""
    much_later = {"task_id": "t-1", "start": NOON + 3 * DAY}
    run(store.apply(batch(closed(whole()), lost(evaluation(7, 9, **much_later)))))
    assert grow_old(4) == Retired(records=1)
    below = execution(7, 10, parent=9, task_id=None, start=NOON + 3 * DAY)
    assert counts(run(store.apply(batch(lost(below))))) == {"orphaned": 1}
    assert run(store.join_orphans()) == 0
    assert_balanced(rows)


def test_hours_that_another_maintainer_kept_us_from_settling_are_settled_before_they_go(
    run, store, grow_old, rows, monkeypatch
):
    async def kept_from(_):
        return 0

    run(store.apply(batch(closed(whole()))))
    monkeypatch.setattr(maintenance, "_settle", kept_from)
    assert grow_old(4) == Retired(records=1)
    for view in ("agent_statistics", "agent_statistics_daily"):
        assert rows(f"SELECT total_tasks FROM benchmark.{view}") == [{"total_tasks": 1}]


def test_a_record_that_goes_while_facts_come_for_it_is_begun_anew(run, open_store, store, rows, full_server):
    """The writer has found the key row, and waits for its lock; then the row is gone."""
    run(store.apply(batch(closed(whole()))))
    more = batch(late(Facts(evaluations=(evaluation(1, 9),))))

    async def scenario():
        async with open_store(name="retiring") as other:
            async with other._database.owning() as connection:
                await connection.execute("SELECT FROM benchmark_data.point_keys FOR UPDATE")
                writing = asyncio.create_task(store.apply(more))
                await until_somebody_waits(rows)
                await connection.execute("DELETE FROM benchmark_data.point_keys")
                await connection.execute("DELETE FROM benchmark_data.points")
            with pytest.raises(StoreError, match="retired while they were written to") as raised:
                await writing
            assert raised.value.transient
            return await store.apply(more)

    assert counts(run(scenario())) == {"in_points": 1}
    assert rows("SELECT id, state FROM benchmark_data.point_keys") == [{"id": id_of(), "state": "awaited"}]
    assert rows("SELECT FROM benchmark_data.points") == []


def test_a_task_that_comes_as_its_facts_expire_is_kept(run, open_store, store, url, rows, full_server):
    run(store.apply(batch(late(Facts(executions=(execution(),))))))
    run(execute(store, "UPDATE benchmark_data.awaited SET since = %s", NOON))

    async def scenario():
        async with open_store(name="writing") as other:
            retiring = None
            async with other._database.writing() as connection:
                await connection.execute("SELECT FROM benchmark_data.point_keys FOR UPDATE")
                retiring = asyncio.create_task(retire(url, Lifetimes(retain_records=2 * DAY), NOON + 4 * DAY))
                await until_somebody_waits(rows)
                await connection.execute(
                    "UPDATE benchmark_data.point_keys SET state = 'accepted', timestamp = %s", [NOON + 3 * DAY]
                )
                await connection.execute("DELETE FROM benchmark_data.awaited")
            return await retiring

    assert run(scenario()) == Retired()
    assert rows("SELECT state FROM benchmark_data.point_keys") == [{"state": "accepted"}]
    assert_balanced(rows)


@pytest.fixture
def chunks(run, store, rows, tier):
    """Two tasks in two chunks of a day, the older one first; none where there are no chunks."""
    if tier == PLAIN:
        return []
    run(store.apply(batch(closed(whole()), closed(whole(2, task_id="t-2", start=NOON + DAY)))))
    return [Chunk(**row) for row in rows(statement("old_chunks").decode(), {"before": NOON + 9 * DAY})]


def test_a_chunk_that_nobody_spoke_of_stays(run, url, chunks, rows):
    """As one that a late task has made since the chunks were listed."""

    async def drop(chunk):
        async with await connect(url) as connection:
            return await _drop(connection, chunk)

    if chunks:
        assert run(drop(chunks[1])) == 1
        assert rows("SELECT task_id FROM benchmark_data.points") == [{"task_id": "t-1"}]
        assert rows(UNPAIRED) == []
        assert_balanced(rows)


def test_a_task_that_waits_for_a_chunk_that_is_dropped_is_stored_the_next_time(
    run, open_store, store, url, chunks, rows, full_server
):
    new = batch(closed(whole(3, task_id="t-3")))

    async def scenario():
        async with await connect(url) as connection, connection.transaction():
            await connection.execute(statement("close_chunk"), {"chunk": chunks[0].chunk})
            writing = asyncio.create_task(store.apply(new))
            await until_somebody_waits(rows)
            assert await _drop(connection, chunks[0]) == 1
        with pytest.raises(StoreError):
            await writing
        return await store.apply(new)

    if chunks:
        assert run(scenario()).accepted == 1
        assert rows("SELECT task_id FROM benchmark.data_points ORDER BY 1") == [{"task_id": "t-2"}, {"task_id": "t-3"}]
        assert rows(UNPAIRED) == []
        assert_balanced(rows)
