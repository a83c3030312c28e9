"""Sealed tasks by kind: what becomes facts, what strays, and that every span is counted."""

from __future__ import annotations

import math

import pytest
from support.lifecycle import (
    RESOURCE,
    TRACE,
    evaluation,
    execution,
    foreign,
    payload,
    raw_task,
    route,
    sealed,
    span,
    span_id,
    task,
    tool_call,
    whole_task,
)

from collector_processor.convert import convert
from collector_processor.model.facts import Ending, Problem
from collector_processor.model.stages import SealKind
from otel_benchmark import attributes as a

PARTS = (route(), execution(), tool_call(), evaluation())


def test_a_whole_task_becomes_facts() -> None:
    converted = convert(raw_task(whole_task()))
    facts = converted.facts
    assert facts is not None
    assert facts.task is not None
    counts = [len(each) for each in (facts.routings, facts.executions, facts.tool_calls, facts.evaluations)]
    assert counts == [1, 1, 4, 1]
    assert facts.anomalies == ()
    assert (converted.strays, converted.undecodable, converted.spans) == ((), [], 8)


def test_late_spans_are_facts_without_a_task() -> None:
    converted = convert(sealed(*PARTS, kind=SealKind.LATE))
    facts = converted.facts
    assert facts is not None
    assert facts.task is None
    assert len(facts.routings) == len(facts.executions) == len(facts.tool_calls) == len(facts.evaluations) == 1
    assert converted.strays == ()


def test_late_spans_that_say_nothing_are_no_facts_but_counted() -> None:
    converted = convert(sealed(foreign(50), foreign(51), kind=SealKind.LATE))
    assert converted.facts is not None
    assert converted.facts.task is None
    assert converted.spans == 2


def test_orphans_become_strays_that_may_find_their_task() -> None:
    clear = route(parent=77, attributes={a.TENANT_ID: "acme", a.ROUTING_STRATEGY: "fallback"})
    converted = convert(sealed(clear, execution(parent=0), tool_call(), foreign(50), kind=SealKind.ORPHAN))
    assert converted.facts is None
    assert converted.spans == 4
    strays = {stray.key.span_id: stray for stray in converted.strays}
    assert set(strays) == {span_id(2), span_id(3), span_id(4)}
    routed = strays[span_id(2)]
    assert (routed.key.trace_id, routed.parent_id) == (TRACE, span_id(77))
    assert (routed.namespace, routed.tenant) == (RESOURCE[a.SERVICE_NAMESPACE], "acme")
    assert strays[span_id(3)].parent_id == bytes(8)
    assert strays[span_id(3)].tenant is None
    for stray in converted.strays:
        assert stray.fact.fact_id == stray.key.hex
        assert stray.fact.joined
        assert stray.fact.task_id == "task-1"


def test_a_task_whose_own_span_cannot_be_decoded_leaves_strays() -> None:
    bad = task()
    raw = payload([bad, *PARTS]).replace(b"task code-editing", b"task \xff\xfede-editing")
    whole = sealed(bad, *PARTS)
    converted = convert(whole._replace(payloads=[(0, raw, tuple(range(5)))]))
    assert converted.facts is None
    assert [each.key.span_id for each in converted.undecodable] == [span_id(1)]
    assert len(converted.strays) == 4
    assert converted.spans == 4


@pytest.mark.parametrize("kind", list(SealKind))
def test_every_span_is_counted_or_undecodable(kind: SealKind) -> None:
    raw = sealed(task(), *PARTS, *PARTS, *(foreign(50 + each) for each in range(9)), kind=kind)
    converted = convert(raw)
    assert converted.spans + len(converted.undecodable) == raw.sealed.spans == 18


def test_what_the_assembler_noticed_is_on_the_record() -> None:
    noticed = sealed(task(), *PARTS, ended_by=Ending.FLUSH, truncated=True, children_given_away=True)
    facts = convert(noticed).facts
    assert facts is not None
    assert (facts.ended_by, facts.truncated) == (Ending.FLUSH, True)
    (noticed_there,) = facts.anomalies
    assert (noticed_there.span_id, noticed_there.problem) == (span_id(1).hex(), Problem.CHILDREN_GIVEN_AWAY)


def test_what_was_noticed_of_a_stray_goes_with_it() -> None:
    circle = (
        tool_call(4, parent=5),
        tool_call(5, parent=4, attributes={a.TURN_REWARD: math.nan}),
        foreign(50, parent=5),
    )
    strays = convert(sealed(*circle, kind=SealKind.ORPHAN, cyclic=True)).strays
    assert [{(each.span_id, each.problem) for each in stray.anomalies} for stray in strays] == [
        {(span_id(4).hex(), Problem.CYCLE)},
        {(span_id(5).hex(), Problem.CYCLE), (span_id(5).hex(), Problem.NOT_FINITE)},
    ]


def test_facts_know_their_span_and_times() -> None:
    facts = convert(sealed(task(), span(5, "route x", {a.TASK_ID: "t"}, parent=1, start=1.5, end=2.000001))).facts
    assert facts is not None
    (routing,) = facts.routings
    assert routing.fact_id == TRACE.hex() + span_id(5).hex()
    assert (routing.trace_id, routing.span_id, routing.parent_span_id) == (
        TRACE.hex(),
        span_id(5).hex(),
        span_id(1).hex(),
    )
    assert (routing.start, routing.end) == ("2025-11-22T12:00:00.001500000Z", "2025-11-22T12:00:00.002000001Z")
    assert facts.task is not None
    assert facts.task.parent_span_id is None
    assert facts.task.received_at == "2025-11-22T12:00:05.000000000Z"


def test_conversion_is_a_function_of_the_bytes() -> None:
    assert convert(raw_task(whole_task())) == convert(raw_task(whole_task()))
