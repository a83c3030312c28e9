"""Facts without a task span above them find their point: by link, by parent, by task id; else they wait."""

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
    lost,
    revise,
    routing,
    task,
    tool_call,
    whole,
)
from support.store import assert_balanced, counts, execute, id_of

from collector_processor.convert.union import unite
from collector_processor.model.facts import Facts, Source
from collector_processor.store.contribution import group
from collector_processor.store.writing import Work, write


def fact_id(trace: int, span: int) -> str:
    return f"{trace:032x}{span:016x}"


def places(rows) -> dict[int, object]:
    """Span id → point, of every stray."""
    return {int(row["fact_id"][32:], 16): row["id"] for row in rows("SELECT fact_id, id FROM benchmark_data.strays")}


def test_an_orphan_waits_and_is_listed(run, store, rows):
    applied = run(store.apply(batch(lost(routing(2, 9, parent=8), tool_call(2, 10, parent=8, task_id=None)))))
    assert counts(applied) == {"orphaned": 2}
    listed = rows("SELECT * FROM benchmark.orphans ORDER BY span_id")
    assert [(row["kind"], row["task_id"], row["trace_id"]) for row in listed] == [
        ("route", "t-1", f"{2:032x}"),
        ("tool_call", None, f"{2:032x}"),
    ]
    [decided] = rows("SELECT * FROM benchmark.routing_decisions")
    assert (decided["id"], decided["task_id"], decided["agent_id"], decided["propensity"]) == (
        None,
        "t-1",
        "alpha",
        0.25,
    )
    assert run(store.join_orphans()) == 0
    assert_balanced(rows)


def test_a_resent_orphan_is_a_duplicate_before_and_after_it_joined(run, store, rows):
    stray = lost(routing(2, 9))
    run(store.apply(batch(stray)))
    assert counts(run(store.apply(batch(stray, stray)))) == {"duplicate": 2}
    run(store.apply(batch(closed(whole()))))
    assert rows("SELECT FROM benchmark.orphans") == []
    assert counts(run(store.apply(batch(stray)))) == {"duplicate": 1}
    assert rows("SELECT revision FROM benchmark.data_points") == [{"revision": 1}]
    assert_balanced(rows)


@pytest.mark.parametrize("name", ["<WITHHELD:encoded>", "/[PATH]/[FILE].py", "run of /[PATH]/[FILE]"])
def test_nothing_joins_by_an_id_of_which_nothing_is_left(run, store, rows, name):
    """Before the task came and after it."""
    stray = lost(routing(2, 9, task_id=name))
    assert counts(run(store.apply(batch(stray)))) == {"orphaned": 1}
    assert counts(run(store.apply(batch(closed(whole(task_id=name)))))) == {"in_points": 5, "accepted": 1}
    assert counts(run(store.apply(batch(lost(routing(3, 9, task_id=name)))))) == {"orphaned": 1}
    assert run(store.join_orphans()) == 0
    assert_balanced(rows)


def test_orphans_join_the_task_that_comes_with_their_id(run, store, rows):
    run(store.apply(batch(lost(routing(2, 9), evaluation(2, 10, overall_score=0.5)))))
    applied = run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))))))
    assert counts(applied) == {"in_points": 2, "accepted": 1, "joined": 2}
    [point] = rows("SELECT agent_id, strategy, overall_score, revision FROM benchmark.data_points")
    assert point == {"agent_id": "alpha", "strategy": "multi-armed-bandit", "overall_score": 0.5, "revision": 1}
    assert places(rows) == {9: id_of(), 10: id_of()}
    assert rows("SELECT id FROM benchmark.routing_decisions") == [{"id": id_of()}]
    assert_balanced(rows)


def test_a_fact_that_comes_after_its_task_joins_at_once(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))))))
    applied = run(store.apply(batch(lost(routing(2, 9)))))
    assert counts(applied) == {"in_points": 1, "revised": 1}
    assert rows("SELECT strategy, revision FROM benchmark.data_points") == [
        {"strategy": "multi-armed-bandit", "revision": 2}
    ]
    assert_balanced(rows)


def test_task_and_stray_in_one_batch(run, store, rows):
    applied = run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))), lost(routing(2, 9)))))
    assert counts(applied) == {"in_points": 3, "accepted": 1}
    assert rows("SELECT revision FROM benchmark.data_points") == [{"revision": 1}]
    assert_balanced(rows)


@pytest.mark.parametrize(
    ("second", "attempt"),
    [(-0.5, 1), (-5, None), (0, 1), (9, 1), (10.5, 1), (15, 1), (19.5, 1), (20, 2), (25, 2), (30, 2), (1000, 2)],
)
def test_attempts_share_a_task_id_and_time_tells_them_apart(run, store, rows, second, attempt):
    """Attempt 1 runs from 0 to 10 s, attempt 2 from 20 to 30 s; clocks may differ by a second."""
    attempts = [
        closed(Facts(task=task(number, start=NOON + offset * SECOND), executions=()))
        for number, offset in ((1, 0), (2, 20))
    ]
    run(store.apply(batch(*attempts)))
    run(store.apply(batch(lost(routing(7, 9, start=NOON + second * SECOND)))))
    assert places(rows) == {9: attempt and id_of(attempt)}


def test_the_inner_one_of_two_tasks_of_an_id_that_hold_a_fact(run, store, rows):
    run(store.apply(batch(*(closed(Facts(task=task(n, start=NOON + n * SECOND, seconds=60 - 2 * n))) for n in (1, 2)))))
    run(store.apply(batch(lost(routing(7, 9, start=NOON + 5 * SECOND)))))
    assert places(rows) == {9: id_of(2)}


@pytest.mark.parametrize(
    ("namespace", "tenant", "joins"),
    [
        ("a", "x" * 64, True),
        ("b", "x" * 64, False),
        ("a", "y" * 64, False),
        ("a", None, True),
        (None, "x" * 64, True),
        (None, None, True),
    ],
)
def test_a_task_id_means_a_task_of_one_namespace_and_tenant(run, store, rows, namespace, tenant, joins):
    own = task(source=Source(service_namespace="a"), tenant="x" * 64)
    run(store.apply(batch(closed(Facts(task=own)))))
    run(store.apply(batch(lost(routing(2, 9), namespace=namespace, tenant=tenant))))
    assert places(rows) == {9: id_of() if joins else None}


@pytest.mark.parametrize("other", [None, "y" * 64])
def test_without_a_tenant_nobody_is_chosen_between_two(run, store, rows, other):
    mine, strange = task(1, tenant="x" * 64), task(2, tenant=other)
    run(store.apply(batch(closed(Facts(task=mine)), closed(Facts(task=strange)))))
    run(store.apply(batch(lost(routing(7, 9), tenant=None), lost(routing(7, 10), tenant="x" * 64))))
    assert places(rows) == {9: None, 10: id_of(1)}


def test_a_link_goes_before_the_task_id(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task(1))), closed(Facts(task=task(2), executions=(execution(2),))))))
    to_task = evaluation(7, 9, parent=None, links=(fact_id(1, 1),))
    to_execution = evaluation(8, 10, parent=None, links=(fact_id(5, 5), fact_id(2, 3)))
    run(store.apply(batch(lost(to_task), lost(to_execution))))
    assert places(rows) == {9: id_of(1), 10: id_of(2)}


def test_a_linked_evaluation_that_came_first_waits_for_its_task(run, store, rows):
    run(store.apply(batch(lost(evaluation(7, 9, parent=None, task_id=None, links=(fact_id(1, 3),))))))
    applied = run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))))))
    assert counts(applied) == {"in_points": 2, "quarantined": 1, "joined": 1}
    assert places(rows) == {9: id_of()}


def test_a_stored_parent_goes_before_the_task_id(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task(1), executions=(execution(1),))), closed(Facts(task=task(2))))))
    run(store.apply(batch(lost(tool_call(1, 9, parent=3), tool_call(1, 10, parent=1)))))
    assert places(rows) == {9: id_of(1), 10: id_of(1)}


def test_strays_follow_their_parents_among_themselves(run, store, rows):
    """A chain of three: only the first names its task."""
    chain = (
        execution(7, 9, parent=8),
        tool_call(7, 10, parent=9, task_id=None),
        tool_call(7, 11, parent=10, task_id=None, tool_name="grep"),
    )
    run(store.apply(batch(lost(*chain[1:]))))
    assert places(rows) == {10: None, 11: None}
    run(store.apply(batch(lost(chain[0]))))
    run(store.apply(batch(closed(Facts(task=task())))))
    assert run(store.join_orphans()) == 2
    assert places(rows) == {9: id_of(), 10: id_of(), 11: id_of()}
    assert rows("SELECT tool_call_count FROM benchmark.data_points") == [{"tool_call_count": 2}]
    assert_balanced(rows)


def test_the_sweep_joins_what_two_transactions_passed_by(run, open_store, store, rows, full_server):
    """The stray comes while the task's transaction is open: neither sees the other."""

    async def both():
        async with open_store(name="other") as other, store._database.writing() as connection:
            shares = group(batch(closed(Facts(task=task(), executions=(execution(),)))), unite).contributions
            await write(connection, Work(shares), store._rules)
            return await other.apply(batch(lost(routing(2, 9))))

    assert counts(run(both())) == {"orphaned": 1}
    assert run(store.join_orphans()) == 1
    assert run(store.join_orphans()) == 0
    assert rows("SELECT strategy, revision FROM benchmark.data_points") == [
        {"strategy": "multi-armed-bandit", "revision": 2}
    ]


def test_a_sweep_goes_through_all_orphans_page_by_page(run, store, rows):
    """Every third names the task; the others have a parent that is nowhere in a trace that is known."""
    run(store.apply(batch(closed(Facts(task=task())))))
    run(store.apply(batch(lost(*(routing(1, 100 + number, parent=99, task_id="later") for number in range(1200))))))
    run(
        execute(
            store,
            "UPDATE benchmark_data.strays SET task_id = 't-1', fact = jsonb_set(fact, '{taskId}', '\"t-1\"')"
            " WHERE mod(get_byte(span_id, 7), 3) = 0",
        )
    )
    [expected] = rows("SELECT count(*) AS orphans FROM benchmark.orphans WHERE task_id = 't-1'")
    assert expected["orphans"] > 300
    assert run(store.join_orphans()) == expected["orphans"]
    assert len(rows("SELECT FROM benchmark.orphans")) == 1200 - expected["orphans"]
    assert len(rows("SELECT FROM benchmark.routing_decisions WHERE id IS NOT NULL")) == expected["orphans"]
    assert_balanced(rows)


def test_an_orphan_that_its_record_cannot_take_goes_on_waiting(run, open_store, rows):
    def refuses(id_, facts, revision):
        if any(fact.confidence == 0.5 for fact in facts.routings):
            raise ZeroDivisionError("half confident")
        return revise(id_, facts, revision)

    async def scenario():
        async with open_store(revise=refuses) as store:
            await store.apply(batch(lost(*(routing(7, n, confidence=0.5 if n == 13 else 1.0) for n in range(10, 20)))))
            await execute(store, "UPDATE benchmark_data.strays SET task_id = 'hidden'")
            await store.apply(batch(closed(Facts(task=task()))))
            await execute(store, "UPDATE benchmark_data.strays SET task_id = 't-1'")
            return await store.join_orphans()

    assert run(scenario()) == 9
    assert rows("SELECT span_id FROM benchmark.orphans") == [{"span_id": f"{13:016x}"}]
    assert_balanced(rows)


def test_a_late_copy_of_an_orphan_that_waits_takes_it_along(run, store, rows):
    run(store.apply(batch(lost(tool_call(1, 9, parent=8, task_id=None)))))
    run(store.apply(batch(closed(whole()))))
    applied = run(store.apply(batch(late(Facts(tool_calls=(tool_call(1, 9, parent=8, task_id=None),))))))
    assert counts(applied) == {"duplicate": 1, "revised": 1, "joined": 1}
    assert places(rows) == {9: id_of()}
    assert rows("SELECT tool_call_count FROM benchmark.data_points") == [{"tool_call_count": 2}]
    assert_balanced(rows)


def test_a_fact_that_was_given_away_stays_where_it_went(run, store, rows):
    """Its own task span comes after it joined another task by id."""
    run(store.apply(batch(closed(Facts(task=task(2))))))
    run(store.apply(batch(lost(tool_call(1, 9, parent=1)))))
    assert places(rows) == {9: id_of(2)}
    own = Facts(task=task(1, task_id="t-2"), tool_calls=(tool_call(1, 9, parent=1),))
    applied = run(store.apply(batch(closed(own))))
    assert counts(applied) == {"in_points": 1, "duplicate": 1, "quarantined": 1}
    assert rows("SELECT id FROM benchmark.tool_calls") == [{"id": id_of(2)}]
    assert_balanced(rows)


def test_orphans_of_a_discarded_task_are_discarded(run, store, rows):
    run(store.apply(batch(closed(Facts(task=task())))))
    run(execute(store, "UPDATE benchmark_data.point_keys SET state = 'discarded'"))
    assert counts(run(store.apply(batch(lost(routing(2, 9)))))) == {"discarded": 1}
    assert rows("SELECT FROM benchmark.orphans") == []


def test_an_orphan_made_of_an_event_counts_as_no_span(run, store, rows):
    """Its id is a hash: where it belongs, its trace and parent tell."""
    event = evaluation(1, 9, parent=3, task_id=None, fact_id="e" * 48)
    assert counts(run(store.apply(batch(lost(event))))) == {"discarded": 1}  # the span itself said nothing
    listed = rows("SELECT trace_id, span_id, kind FROM benchmark.orphans")
    assert listed == [{"trace_id": f"{1:032x}", "span_id": f"{9:016x}", "kind": "evaluation"}]
    applied = run(store.apply(batch(closed(Facts(task=task(), executions=(execution(),))))))
    assert counts(applied) == {"in_points": 2, "quarantined": 1, "joined": 1}
    assert rows("SELECT overall_score FROM benchmark.data_points") == [{"overall_score": 0.75}]
    assert_balanced(rows)


def test_two_workers_with_the_same_orphans(run, open_store, rows, full_server):
    async def both():
        async with open_store(name="one") as one, open_store(name="two") as two:
            strays = [routing(7, 100 + number) for number in range(30)]
            return await asyncio.gather(
                one.apply(batch(lost(*strays))), two.apply(batch(closed(whole()), lost(*strays[::-1])))
            )

    outcomes = run(both())
    assert sum(each.orphaned + each.in_points + each.duplicate for each in outcomes) == 65
    assert sum(each.duplicate for each in outcomes) == 30

    async def sweep():
        async with open_store() as store:
            return await store.join_orphans()

    run(sweep())
    assert rows("SELECT FROM benchmark.orphans") == []
    assert len(rows("SELECT FROM benchmark.routing_decisions")) == 31
    assert_balanced(rows)


def test_spans_that_come_with_strays_and_say_nothing(run, store):
    assert counts(run(store.apply(batch(lost(routing(2, 9), foreign=3))))) == {"orphaned": 1, "discarded": 3}
