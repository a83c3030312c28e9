"""Tasks that take hours, under a clock that the test moves."""

from __future__ import annotations

import asyncio

from support.clocked import clocked_path
from support.lifecycle import evaluation, execution, foreign, route, span_id, task, tool_call
from support.processor import anomalies, fact_spans, own, select


def test_a_task_whose_span_comes_an_hour_after_its_children_is_whole(tmp_path, postgres_url):
    mine = own(task(), route(), execution(), tool_call(), foreign(5), evaluation())

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans[1:])
            for _ in range(4):
                await path.wait(15 * 60)
                await path.assert_balanced()
            assert path.front.counters.open == 5
            await path.send(mine.spans[0])
            await path.wait(11)
            await path.assert_balanced()
            assert path.front.counters.open == 0

    asyncio.run(run())
    (row,) = select(postgres_url, "SELECT record, ended_by FROM data_points")
    assert fact_spans(row["record"]) == {span_id(number).hex() for number in (1, 2, 3, 4, 9)}
    assert (row["ended_by"], anomalies(row["record"])) == ("task_ended", set())


def test_what_waits_longer_than_max_task_age_is_an_orphan_and_joins_a_task_that_comes_after_all(tmp_path, postgres_url):
    mine = own(task(), route(), execution(), foreign(5))

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans[1:])
            await path.wait(23 * 3600)
            assert select(postgres_url, "SELECT * FROM orphans") == []
            await path.wait(2 * 3600)
            waiting = select(postgres_url, "SELECT span_id, kind, task_id FROM orphans ORDER BY kind")
            assert [(row["kind"], row["task_id"]) for row in waiting] == [
                ("execution", mine.task_id),
                ("route", mine.task_id),
            ]
            assert path.front.counters.foreign == 1
            (decision,) = select(postgres_url, "SELECT id, task_id, agent_id FROM routing_decisions")
            assert decision == {"id": None, "task_id": mine.task_id, "agent_id": "alpha"}
            await path.assert_balanced()
            await path.send(mine.spans[0])
            await path.wait(11)
            await path.assert_balanced()

    asyncio.run(run())
    (row,) = select(postgres_url, "SELECT record FROM data_points")
    assert fact_spans(row["record"]) == {span_id(number).hex() for number in (1, 2, 3)}
    assert ("parent_span_id", "children_given_away") in anomalies(row["record"])
    assert select(postgres_url, "SELECT * FROM orphans") == []


def test_spans_without_any_root_or_task_leave_by_their_timers(tmp_path, postgres_url):
    """No root: a lifecycle span waits MAX_TASK_AGE for its task; a trace of foreign spans FOREIGN_TIMEOUT."""
    lifecycle = own(execution(3, parent=98), tool_call(4))
    strangers = own(foreign(5, parent=97), foreign(6, parent=5))

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*lifecycle.spans, *strangers.spans)
            await path.wait(11 * 60)
            assert (path.front.counters.open, path.front.counters.foreign) == (2, 2)
            await path.wait(24 * 3600)
            assert (path.front.counters.open, path.front.counters.orphaned) == (0, 2)
            await path.assert_balanced()

    asyncio.run(run())
    assert len(select(postgres_url, "SELECT * FROM orphans")) == 2
