"""Union of facts: by id, first wins, whatever the order and portions; and what is counted once."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lifecycle import TRACE, execution, raw_task, sealed, span_id, task, tool_call, whole_task
from support.records import facts_from, facts_of, record_from

from collector_processor.convert import convert, unite
from collector_processor.convert.union import arrange
from collector_processor.model.facts import (
    Agent,
    Anomaly,
    Correction,
    Ending,
    ExecutionFact,
    Facts,
    Problem,
    ToolCallFact,
    TurnScores,
)
from collector_processor.model.stages import SealKind
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a

HOST = {a.TASK_ID: None}
"""A host's own instrumentation does not know the task."""


# -- Algebra ---------------------------------------------------------------------------------------


def head(number: int, parent: int, start: int, end: int) -> dict[str, Any]:
    return {
        "fact_id": TRACE.hex() + span_id(number).hex(),
        "trace_id": TRACE.hex(),
        "span_id": span_id(number).hex(),
        "parent_span_id": span_id(parent).hex() or None,
        "start": to_text(10**18 + start),
        "end": to_text(10**18 + end),
    }


NUMBERS = st.integers(1, 12)
SPANS = {"parent": st.integers(0, 12), "start": st.integers(0, 9), "end": st.integers(0, 19)}


@st.composite
def tool_calls(draw: st.DrawFn, number: int) -> ToolCallFact:
    return ToolCallFact(
        **head(number, **{name: draw(values) for name, values in SPANS.items()}),
        task_id=draw(st.sampled_from([None, "t"])),
        execution_span_id=draw(st.sampled_from([None, span_id(1).hex(), span_id(2).hex()])),
        tool_name=draw(st.sampled_from([None, "read", "edit"])),
        latency_ms=1.0,
        call_id=draw(st.sampled_from([None, "c-1", "c-2"])),
        scores=TurnScores(number=draw(st.sampled_from([None, 1, 2])), reward=draw(st.sampled_from([None, 0.5]))),
    )


@st.composite
def executions(draw: st.DrawFn, number: int) -> ExecutionFact:
    return ExecutionFact(
        **head(number, **{name: draw(values) for name, values in SPANS.items()}),
        task_id=draw(st.sampled_from([None, "t"])),
        agent=Agent(draw(st.sampled_from([None, "a", "b"])), draw(st.sampled_from([None, "A"]))),
        latency_ms=1.0,
        input_tokens=draw(st.sampled_from([None, 10])),
        output_tokens=draw(st.sampled_from([None, 20])),
    )


@st.composite
def fact_sets(draw: st.DrawFn) -> Facts:
    """Facts of one task in which parents, names and call ids meet often."""
    numbers = draw(st.sets(NUMBERS, max_size=9))
    calls, runs = [], []
    for number in sorted(numbers):
        if draw(st.booleans()):
            calls.append(draw(tool_calls(number)))
        else:
            runs.append(draw(executions(number)))
    anomalies = [Anomaly(span_id(number).hex(), a.TASK_ID, Problem.WRONG_TYPE) for number in sorted(numbers)[:2]]
    return Facts(
        task=facts_of(task()).task,
        executions=tuple(runs),
        tool_calls=tuple(calls),
        anomalies=tuple(anomalies),
        truncated=draw(st.booleans()),
    )


def portion(facts: Facts, keep: set[str]) -> Facts:
    """The facts whose ids are kept, as a late fragment would bring them."""
    return msgspec.structs.replace(
        facts,
        executions=tuple(each for each in facts.executions if each.fact_id in keep),
        tool_calls=tuple(each for each in facts.tool_calls if each.fact_id in keep),
        anomalies=tuple(each for each in facts.anomalies if TRACE.hex() + each.span_id in keep),
    )


@given(fact_sets(), st.data())
def test_portions_in_any_order_make_the_same_facts_and_the_same_record(facts: Facts, data: st.DataObject) -> None:
    whole = arrange(facts)
    ids = [each.fact_id for each in (*facts.executions, *facts.tool_calls)]
    portions = data.draw(st.lists(st.sets(st.sampled_from(ids)), max_size=4)) if ids else []
    rest = set(ids).difference(*portions)
    united = Facts(task=facts.task, truncated=facts.truncated)
    for keep in data.draw(st.permutations([*portions, rest])):
        part = arrange(portion(facts, keep))
        united = unite(united, part) if data.draw(st.booleans()) else unite(part, united)
    assert united == whole
    assert record_from(united) == record_from(whole)


@given(fact_sets())
def test_union_is_idempotent(facts: Facts) -> None:
    once = arrange(facts)
    assert unite(once, once) == once
    assert unite(once, Facts()) == once
    assert unite(Facts(), once) == once


@given(fact_sets(), fact_sets(), fact_sets())
def test_union_is_associative(one: Facts, two: Facts, three: Facts) -> None:
    assert unite(unite(one, two), three) == unite(one, unite(two, three))


@given(fact_sets())
def test_what_another_stands_for_is_stood_for_by_one_that_counts(facts: Facts) -> None:
    whole = arrange(facts)
    for group in (whole.executions, whole.tool_calls):
        counting = {each.fact_id for each in group if each.same_as is None}
        assert all(each.same_as in counting for each in group if each.same_as is not None)


def test_the_first_of_two_facts_with_one_id_wins() -> None:
    one = facts_of(task(), execution(attributes={a.EXECUTION_COST_USD: 1.0}))
    other = facts_of(task(attributes={a.TASK_TYPE: "research"}), execution(attributes={a.EXECUTION_COST_USD: 2.0}))
    united = unite(one, other)
    assert united.task == one.task
    assert [each.cost_usd for each in united.executions] == [1.0]


def test_a_task_that_comes_after_its_late_spans_brings_its_ending() -> None:
    late = convert(sealed(execution(), kind=SealKind.LATE)).facts
    assert late is not None
    whole = facts_of(task(), ended_by=Ending.FLUSH)
    for united in (unite(late, whole), unite(whole, late)):
        assert united.task == whole.task
        assert united.ended_by is Ending.FLUSH
        assert len(united.executions) == 1


def test_corrections_are_united_in_order_of_time() -> None:
    early, late = (Correction(name, f"2025-11-22T12:00:0{name}.000000000Z", "me", "r", ()) for name in "12")
    united = unite(Facts(corrections=(late,)), Facts(corrections=(early, late)))
    assert united.corrections == (early, late)


def test_a_resent_fragment_never_makes_a_record_poorer() -> None:
    whole = facts_from(raw_task(whole_task()))
    resent = convert(sealed(execution(3, attributes={a.AGENT_ID: None}), kind=SealKind.LATE)).facts
    assert resent is not None
    united = unite(whole, resent)
    assert united.executions == whole.executions


# -- Counted once ----------------------------------------------------------------------------------


def standing(*spans: Any) -> dict[int, int | None]:
    """Number of each tool call's and execution's span → number of the span that stands for it."""
    facts = facts_of(task(), *spans)
    calls: list[ExecutionFact | ToolCallFact] = [*facts.executions, *facts.tool_calls]
    return {int(each.span_id, 16): int(each.same_as[32:], 16) if each.same_as else None for each in calls}


def with_id(call_id: str, **more: Any) -> dict[str, Any]:
    return {a.GEN_AI_TOOL_CALL_ID: call_id, **more}


@pytest.mark.parametrize(("own", "host"), [(4, 5), (5, 4)], ids=["ours outside", "ours inside"])
def test_a_hosts_span_of_the_same_call_is_not_counted_ours_wins(own: int, host: int) -> None:
    outer, inner = (tool_call(4), tool_call(5, parent=4, start=101, end=149))
    for span in (outer, inner):
        if int.from_bytes(span.span_id, "big") == host:
            del span.attributes[0]
    assert standing(outer, inner) == {own: None, host: own}


def test_calls_of_one_id_are_one_also_side_by_side_and_under_other_names() -> None:
    own = tool_call(4, attributes=with_id("c"))
    host = tool_call(5, start=400, end=410, attributes=with_id("c", **HOST, **{a.GEN_AI_TOOL_NAME: "ReadFile"}))
    assert standing(own, host) == {4: None, 5: 4}


def test_an_id_that_a_model_gives_anew_each_turn_is_not_one_call() -> None:
    first = tool_call(4, start=100, end=150, attributes=with_id("c"))
    second = tool_call(5, start=200, end=250, attributes=with_id("c"))
    inner = tool_call(6, parent=5, start=210, end=220, attributes=with_id("c", **HOST))
    assert standing(first, second) == {4: None, 5: None}
    assert standing(first, second, inner) == {4: None, 5: None, 6: 5}


def test_overlapping_spans_of_one_emitter_and_id_are_one_call() -> None:
    first = tool_call(4, start=100, end=200, attributes=with_id("c"))
    second = tool_call(5, start=110, end=120, attributes=with_id("c"))
    third = tool_call(6, start=150, end=160, attributes=with_id("c"))
    assert standing(first, second, third) == {4: None, 5: 4, 6: 4}


def test_nested_calls_of_one_tool_with_different_ids_are_two() -> None:
    assert standing(tool_call(4, attributes=with_id("c")), tool_call(5, parent=4, attributes=with_id("d"))) == {
        4: None,
        5: None,
    }


def test_nested_calls_of_different_tools_are_two() -> None:
    other = tool_call(5, parent=4, attributes={a.GEN_AI_TOOL_NAME: "edit_file"})
    assert standing(tool_call(4), other) == {4: None, 5: None}


def test_three_spans_of_one_call_are_one_whatever_came_first() -> None:
    spans = [tool_call(4), tool_call(5, parent=4, attributes=HOST), tool_call(6, parent=5, attributes=HOST)]
    parts = [convert(sealed(each, kind=SealKind.LATE)).facts for each in spans]
    united = facts_of(task())
    for part in (parts[0], parts[2], parts[1]):
        assert part is not None
        united = unite(united, part)
    assert [each.same_as is None for each in united.tool_calls] == [True, False, False]


@pytest.mark.parametrize("seed", range(5))
def test_a_long_chain_of_one_tool_is_one_call(seed: int) -> None:
    starts = random.Random(seed).sample(range(100, 200), 40)
    chain = [tool_call(4, start=1)] + [tool_call(4 + n, parent=3 + n, start=starts[n]) for n in range(1, 40)]
    stands = standing(*chain)
    assert stands.pop(4) is None
    assert set(stands.values()) == {4}


def test_an_execution_directly_inside_one_of_the_same_agent_is_the_same() -> None:
    inner = execution(5, parent=3, start=31, end=520, attributes=HOST)
    assert standing(execution(), inner) == {3: None, 5: 3}


def test_a_host_may_know_only_the_agents_name() -> None:
    inner = execution(5, parent=3, attributes={**HOST, a.AGENT_ID: None})
    assert standing(execution(), inner) == {3: None, 5: 3}


def test_a_sub_agent_is_an_execution_of_its_own() -> None:
    other = execution(5, parent=3, attributes={a.AGENT_ID: "beta", a.GEN_AI_AGENT_NAME: "Beta"})
    assert standing(execution(), other) == {3: None, 5: None}
    assert standing(execution(), execution(6, parent=1)) == {3: None, 6: None}
