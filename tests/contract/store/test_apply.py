"""A batch is stored once in effect, whatever is given twice, at once, early or late."""

from __future__ import annotations

import asyncio

import pytest
from support.facts import (
    NOON,
    SECOND,
    batch,
    closed,
    evaluation,
    execution,
    late,
    many,
    task,
    tool_call,
    whole,
)
from support.store import assert_balanced, counts, execute

from collector_processor.model.facts import Facts
from collector_processor.model.record import decode_point
from collector_processor.model.stages import Refused, SpanKey, Undecodable

FORGET = "TRUNCATE benchmark_data.points, benchmark_data.point_keys, benchmark_data.awaited, benchmark_data.batches"

RELEASE = """
    UPDATE benchmark_data.points SET state = 'released', record = jsonb_set(record, '{state}', '"released"')
"""


def test_new_tasks_become_points(run, store, rows):
    applied = run(store.apply(batch(*many(5))))
    assert counts(applied) == {"in_points": 25, "accepted": 5}
    assert [row["task_id"] for row in rows("SELECT task_id FROM benchmark.data_points ORDER BY 1")] == [
        f"t-{number}" for number in range(1, 6)
    ]
    assert_balanced(rows)


def test_a_batch_that_was_applied_is_only_looked_up(run, store, rows):
    given = batch(*many(3), closed(whole(9), foreign=2))
    first = run(store.apply(given))
    assert run(store.apply(given)) == first
    assert len(rows("SELECT FROM benchmark.data_points")) == 4
    assert_balanced(rows)


def test_the_same_spans_in_another_batch_are_duplicates(run, store, rows):
    run(store.apply(batch(closed(whole(), foreign=3))))
    again = run(store.apply(batch(closed(whole(), foreign=3))))
    assert counts(again) == {"duplicate": 8}
    assert rows("SELECT revision FROM benchmark.data_points") == [{"revision": 1}]
    assert_balanced(rows)


def test_one_task_twice_in_a_batch_is_united_before(run, store, rows):
    more = late(Facts(tool_calls=(tool_call(), tool_call(span=6))), foreign=1)
    applied = run(store.apply(batch(closed(whole()), more)))
    assert counts(applied) == {"in_points": 7, "duplicate": 1, "accepted": 1}
    [point] = rows("SELECT tool_call_count, revision FROM benchmark.data_points")
    assert point == {"tool_call_count": 2, "revision": 1}
    assert_balanced(rows)


def test_a_late_fact_revises_its_point(run, store, rows):
    incomplete = Facts(task=task(), executions=(execution(),))
    run(store.apply(batch(closed(incomplete))))
    [before] = rows("SELECT * FROM benchmark.data_points")
    applied = run(store.apply(batch(late(Facts(evaluations=(evaluation(),)), foreign=1))))
    assert counts(applied) == {"in_points": 2, "revised": 1}
    [after] = rows("SELECT * FROM benchmark.data_points")
    assert (before["overall_score"], before["revision"]) == (None, 1)
    assert (after["overall_score"], after["revision"]) == (0.75, 2)
    assert (after["id"], after["timestamp"]) == (before["id"], before["timestamp"])
    assert after["record"]["revision"] == 2
    assert rows("SELECT revision, spans FROM benchmark_data.point_keys") == [{"revision": 2, "spans": 4}]
    assert_balanced(rows)


def test_late_spans_that_say_nothing_new_make_no_revision(run, store, rows):
    run(store.apply(batch(closed(whole()))))
    assert counts(run(store.apply(batch(late(Facts(), foreign=4))))) == {"duplicate": 4}
    assert counts(run(store.apply(batch(late(Facts(tool_calls=(tool_call(),)), foreign=1))))) == {"duplicate": 2}
    assert rows("SELECT revision FROM benchmark.data_points") == [{"revision": 1}]
    assert_balanced(rows)


def test_facts_that_come_before_their_task_wait_for_it(run, store, rows):
    early = run(store.apply(batch(late(Facts(executions=(execution(),)), foreign=2))))
    assert counts(early) == {"in_points": 3}
    assert rows("SELECT FROM benchmark.data_points") == []
    assert rows("SELECT state FROM benchmark_data.point_keys") == [{"state": "awaited"}]
    more = run(store.apply(batch(late(Facts(tool_calls=(tool_call(),))))))
    assert counts(more) == {"in_points": 1}
    applied = run(store.apply(batch(closed(Facts(task=task())))))
    assert counts(applied) == {"in_points": 1, "quarantined": 1}  # nobody routed it
    [point] = rows("SELECT revision, tool_call_count, agent_id FROM benchmark.data_points")
    assert point == {"revision": 1, "tool_call_count": 1, "agent_id": "alpha"}
    assert rows("SELECT FROM benchmark_data.awaited") == []
    assert_balanced(rows)


def test_the_order_of_arrival_makes_no_difference(run, store, rows):
    facts = whole()
    parts = [
        closed(Facts(task=facts.task)),
        late(Facts(routings=facts.routings)),
        late(Facts(executions=facts.executions, evaluations=facts.evaluations)),
        late(Facts(tool_calls=facts.tool_calls)),
    ]
    records = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]):
        for part in order:
            run(store.apply(batch(parts[part])))
        [row] = rows("SELECT record::text AS record FROM benchmark_data.points")
        records.append(decode_point(row["record"]))
        run(execute(store, FORGET))
    assert records[0].facts == records[1].facts == records[2].facts == facts
    assert records[0].execution == records[1].execution == records[2].execution


def test_two_workers_on_one_point_lose_nothing(run, open_store, rows, full_server):
    """Many facts of one point, in batches that two connections apply at the same time, with the task among them."""

    async def both():
        async with open_store(name="one") as one, open_store(name="two") as two:
            work = [batch(late(Facts(tool_calls=(tool_call(span=number),)))) for number in range(10, 40)]
            work.insert(11, batch(closed(whole())))

            async def apply(store, some):
                return [await store.apply(each) for each in some]

            return await asyncio.gather(apply(one, work[::2]), apply(two, work[1::2]))

    outcomes = [applied for some in run(both()) for applied in some]
    assert sum(applied.in_points for applied in outcomes) == 35
    assert sum(applied.duplicate for applied in outcomes) == 0
    [point] = rows("SELECT tool_call_count, revision FROM benchmark.data_points")
    assert point["tool_call_count"] == 31
    assert point["revision"] == 1 + sum(applied.revised for applied in outcomes)
    assert_balanced(rows)


def test_the_same_batch_by_two_workers_is_applied_once(run, open_store, rows, full_server):
    async def both():
        async with open_store(name="one") as one, open_store(name="two") as two:
            given = batch(*many(20))
            return await asyncio.gather(one.apply(given), two.apply(given))

    one, two = run(both())
    assert one == two
    assert counts(one) == {"in_points": 100, "accepted": 20}
    assert_balanced(rows)


def test_overlapping_batches_by_two_workers_do_not_wait_for_each_other(run, open_store, rows, full_server):
    async def both():
        async with open_store(name="one") as one, open_store(name="two") as two:
            tasks = list(many(40))

            async def apply(store, some):
                return [await store.apply(batch(*part)) for part in some]

            return await asyncio.gather(
                apply(one, [tasks[:20], tasks[10:30]]), apply(two, [tasks[15:40][::-1], tasks[:25]])
            )

    outcomes = [applied for some in run(both()) for applied in some]
    assert sum(applied.accepted for applied in outcomes) == 40
    assert sum(applied.in_points for applied in outcomes) == 200
    assert sum(applied.in_points + applied.duplicate for applied in outcomes) == 5 * (20 + 20 + 25 + 25)
    assert_balanced(rows)


def test_undecodable_spans_are_counted_and_their_bytes_stay_out(run, store, rows):
    raw = b"\xff\x00secret"
    bad = Undecodable(SpanKey(b"\1" * 16, b"\2" * 8), raw, "attributes: not UTF-8")
    given = batch(closed(whole(), undecodable=[bad]))
    first = run(store.apply(given))
    assert counts(first) == {"in_points": 5, "undecodable": 1, "accepted": 1}
    assert first.undecodable_spans == ((b"\1" * 16, b"\2" * 8, raw, "attributes: not UTF-8"),)
    assert run(store.apply(given)) == first
    [ledger] = rows("SELECT undecodable_spans AS named FROM benchmark_data.batches")
    [(_, _, kept, reason)] = ledger["named"]
    assert (kept, reason) == ("", "attributes: not UTF-8")


def test_what_conversion_refused_is_in_the_ledger(run, store):
    refused = Refused(b"\1" * 16, b"\2" * 8, 7, "conversion: no")
    given = batch(*many(1))._replace(refused=(refused,))
    assert run(store.apply(given)).refused == (refused,)
    assert run(store.apply(given._replace(refused=()))).refused == (refused,)


@pytest.mark.parametrize("state", ["discarded", "erased"])
def test_nothing_comes_back_to_a_tombstone(run, store, rows, state):
    run(store.apply(batch(closed(whole()))))
    run(execute(store, "UPDATE benchmark_data.point_keys SET state = %s", state))
    run(execute(store, "DELETE FROM benchmark_data.points"))
    again = run(store.apply(batch(closed(whole(), foreign=1), late(Facts(tool_calls=(tool_call(span=6),))))))
    assert counts(again) == {state: 7}
    assert rows("SELECT FROM benchmark.data_points") == []


def test_a_released_record_stays_released_when_facts_come(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))))))
    run(execute(store, RELEASE))
    run(store.apply(batch(late(Facts(tool_calls=(tool_call(),))))))
    [point] = rows("SELECT state, valid, revision, record ->> 'state' AS inside FROM benchmark.data_points")
    assert point == {"state": "released", "valid": False, "revision": 2, "inside": "released"}


def test_the_time_of_a_point_is_cut_not_rounded(run, store, rows):
    run(store.apply(batch(closed(whole(start=NOON + SECOND / 2)))))
    [point] = rows("SELECT timestamp, record ->> 'timestamp' AS exact FROM benchmark.data_points")
    assert point["timestamp"] == NOON + SECOND / 2
    assert point["exact"] == "2026-11-22T12:00:00.500000789Z"
