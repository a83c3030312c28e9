"""What came before its task waits within bounds, is counted beside the rest, and goes with a count of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.facts import NOON, batch, closed, evaluation, late, lost, routing, whole
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.model.facts import EvaluationFact, Facts
from collector_processor.store.figures import Waiting, read_figures
from collector_processor.store.waiting import bound_waiting

DAY = timedelta(days=1)


def logged(number: int, *, trace: int = 90, **more) -> EvaluationFact:
    """An evaluation that a log record says: its fact's id is a hash."""
    return evaluation(trace, 9, fact_id=f"{number:048x}", logged=True, **more)


@pytest.fixture
def bound(run, url):
    """Keeps what waits within bounds, as of so many days from now; how many facts went."""
    return lambda *, days=0, most=1000: run(
        bound_waiting(url, before=datetime.now(UTC) + days * DAY - 30 * DAY, most=most)
    )


@pytest.fixture
def waiting(run, store):
    return lambda: run(read_figures(store._database)).waiting


def expired(run, store) -> int:
    ledger = run(read_figures(store._database)).ledger
    assert ledger.spans == sum(ledger[1:])
    return int(ledger.expired)


def test_a_log_record_is_counted_as_a_span_is_while_it_waits_and_when_it_joins(run, store, rows, waiting):
    assert counts(run(store.apply(batch(lost(logged(1), routing(91, 8, task_id="t-1")))))) == {"orphaned": 2}
    assert waiting()[:2] == (2, 1)
    assert counts(run(store.apply(batch(lost(logged(1)))))) == {"duplicate": 1}
    assert_balanced(rows)
    applied = run(store.apply(batch(closed(whole(1, task_id="t-1")))))
    assert counts(applied) == {"in_points": 5, "accepted": 1, "joined": 2}
    assert waiting() == Waiting(0, 0, None)
    [point] = rows("SELECT revision, record FROM benchmark.data_points")
    assert point["revision"] == 1
    assert {each["factId"] for each in point["record"]["facts"]["evaluations"]} >= {f"{1:048x}"}
    [spans] = rows("SELECT spans FROM benchmark_data.point_keys")
    assert spans["spans"] == 7
    assert_balanced(rows)
    assert expired(run, store) == 0


def test_a_late_log_record_counts_in_its_point(run, store, rows):
    run(store.apply(batch(closed(whole(1)))))
    say = late(Facts(evaluations=(logged(1, trace=1),)))
    assert counts(run(store.apply(batch(say)))) == {"in_points": 1, "revised": 1}
    assert counts(run(store.apply(batch(say)))) == {"duplicate": 1}
    assert_balanced(rows)


def test_which_of_a_span_s_evaluations_is_current(run, store, rows):
    run(store.apply(batch(closed(whole(1)))))
    for number, hours in ((1, 2), (2, 3), (3, 1)):
        fact = logged(number, trace=1, overall_score=number / 10, start=NOON + hours * timedelta(hours=1))
        run(store.apply(batch(late(Facts(evaluations=(fact,))))))
    found = rows("SELECT overall_score, is_current FROM benchmark.evaluations ORDER BY overall_score")
    assert [tuple(row.values()) for row in found] == [(0.1, False), (0.2, True), (0.3, False), (0.75, False)]
    [point] = rows("SELECT overall_score, revision FROM benchmark.data_points")
    assert tuple(point.values()) == (0.2, 4)


def test_what_waits_too_long_goes(run, store, rows, bound, waiting):
    run(
        store.apply(
            batch(lost(logged(1)), lost(routing(91, 8, task_id="t-9")), late(Facts(evaluations=(evaluation(),))))
        )
    )
    assert waiting()[0] == 3
    assert bound(days=29) == 0
    assert bound(days=31) == 3
    assert bound(days=31) == 0
    assert waiting() == Waiting(0, 0, None)
    assert rows("SELECT FROM benchmark_data.point_keys") == []
    assert_balanced(rows)
    assert expired(run, store) == 3


def test_above_so_many_the_oldest_go_first(run, store, rows, bound, waiting):
    for number in range(1, 6):
        run(store.apply(batch(lost(logged(number)))))
    assert bound(most=5) == 0
    assert bound(most=2) == 3
    left = rows("SELECT fact_id FROM benchmark_data.strays ORDER BY waiting_since")
    assert [int(row["fact_id"], 16) for row in left] == [4, 5]
    assert waiting()[:2] == (2, 2)
    assert_balanced(rows)
    assert expired(run, store) == 3


def test_what_has_joined_stays_known_however_long_ago(run, store, rows, bound):
    run(store.apply(batch(lost(logged(1)))))
    run(store.apply(batch(closed(whole(1, task_id="t-1")))))
    assert bound(days=1000, most=1) == 0
    assert counts(run(store.apply(batch(lost(logged(1)))))) == {"duplicate": 1}
    assert_balanced(rows)


def test_a_person_s_decision_stands_against_a_late_evaluation(run, store, rows):
    """Released stays released and shows the new score, discarded takes nothing in."""
    run(store.apply(batch(closed(whole(1)), closed(whole(2, task_id="t-2")))))
    for trace, state in ((1, "released"), (2, "discarded")):
        change = (
            "UPDATE benchmark_data.{} SET state = '" + state + "' WHERE id = %s",
            "UPDATE benchmark_data.points SET record = jsonb_set(record, '{state}', '\"" + state + "\"') WHERE id = %s",
        )
        for statement in (change[0].format("points"), change[0].format("point_keys"), change[1]):
            run(execute(store, statement, id_of(trace)))
    both = [
        late(Facts(evaluations=(logged(n, trace=n, overall_score=0.1, start=NOON + DAY),)), trace=n) for n in (1, 2)
    ]
    assert counts(run(store.apply(batch(*both)))) == {"in_points": 1, "discarded": 1, "revised": 1}
    found = rows("SELECT state, revision, overall_score FROM benchmark_data.points ORDER BY state")
    assert [tuple(row.values()) for row in found] == [("discarded", 1, 0.75), ("released", 2, 0.1)]
