"""Whatever order, portions and repetitions facts come in: the record is the fold of them all, the counts are true."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.facts import batch, closed, late, lost, revise, routing, whole
from support.store import assert_balanced, execute, id_of

from collector_processor.convert.union import arrange, unite
from collector_processor.model.facts import Facts
from collector_processor.model.record import decode_point

FACTS = whole()
STRAY = routing(7, 9)
PORTIONS = {
    "task": closed(Facts(task=FACTS.task), foreign=2),
    "routing": late(Facts(routings=FACTS.routings)),
    "execution": late(Facts(executions=FACTS.executions), foreign=1),
    "tools": late(Facts(tool_calls=FACTS.tool_calls, executions=FACTS.executions)),
    "evaluation": late(Facts(evaluations=FACTS.evaluations)),
    "stray": lost(STRAY),
    "stray in its tree": late(Facts(routings=(STRAY,))),
}
TABLES = ("points", "point_keys", "awaited", "strays", "batches")
batches_of_portions = st.lists(st.lists(st.sampled_from([*PORTIONS]), min_size=1, max_size=4), max_size=6)


@pytest.mark.timeout(300)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches_of_portions)
def test_the_record_is_the_fold_of_all_that_came(run, store, rows, names):
    run(execute(store, f"TRUNCATE {', '.join(f'benchmark_data.{table}' for table in TABLES)}"))
    given_spans = 0
    for some in [*names, [*PORTIONS]]:
        portions = [PORTIONS[name] for name in some]
        applied = run(store.apply(batch(*portions)))
        spans = sum(portion.spans for portion in portions)
        assert applied.in_points + applied.duplicate + applied.orphaned == spans
        given_spans += spans
        assert_balanced(rows)
    run(store.join_orphans())
    assert_balanced(rows)

    [row] = rows("SELECT record::text AS record, revision FROM benchmark_data.points")
    record = decode_point(row["record"])
    expected = unite(arrange(FACTS), Facts(routings=(STRAY,)))
    assert record == revise(id_of(), expected, row["revision"]).point
    assert rows("SELECT FROM benchmark.orphans") == []
    assert rows("SELECT FROM benchmark_data.awaited") == []
    [ledger] = rows("SELECT sum(in_points + duplicate + orphaned)::int AS spans FROM benchmark_data.batches")
    assert ledger["spans"] == given_spans


def test_portions_by_two_workers(run, open_store, rows, full_server):
    """The same, with every portion given by two workers at once, again and again."""

    async def scenario():
        async with open_store(name="one") as one, open_store(name="two") as two:
            for _ in range(4):
                order = [*PORTIONS.values()]
                await asyncio.gather(one.apply(batch(*order)), two.apply(batch(*order[::-1])))
            return await one.join_orphans()

    run(scenario())
    [row] = rows("SELECT record::text AS record, revision FROM benchmark_data.points")
    expected = unite(arrange(FACTS), Facts(routings=(STRAY,)))
    assert decode_point(row["record"]) == revise(id_of(), expected, row["revision"]).point
    assert_balanced(rows)
