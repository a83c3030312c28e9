"""Evaluations in the words of OpenInference: as its library writes them, captured once, and as it may write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData
from support.lifecycle import TRACE, evaluation, event, execution, sealed, span, span_id, task
from support.records import facts_of, record_of

from collector_processor.convert import convert
from collector_processor.model.facts import EvaluationFact, QualityGate
from collector_processor.model.stages import SealKind
from otel_benchmark import attributes as a

CAPTURED = Path(__file__).with_name("captured") / "openinference-0.1.72.spans.json"


@pytest.fixture
def captured() -> tuple[Span, Span]:
    """A chain that was judged while it ran, in a task's trace, and the span that judged it afterwards."""
    traces = Parse(CAPTURED.read_text(encoding="utf-8"), TracesData())
    chain, carrier = traces.resource_spans[0].scope_spans[0].spans
    chain.trace_id, chain.parent_span_id = TRACE, span_id(3)
    return chain, carrier


def judged(attributes: dict[str, Any], **more: Any) -> tuple[EvaluationFact, ...]:
    """The evaluations of a task with a chain that says this."""
    chain = span(5, "chain", {a.OPENINFERENCE_KIND: "CHAIN", **attributes}, parent=3, end=900, **more)
    return facts_of(task(), execution(), chain).evaluations


def test_what_the_library_writes_on_a_span_is_said_of_it(captured: tuple[Span, Span]) -> None:
    chain, _ = captured
    facts = facts_of(task(), execution(), chain)
    assert {(each.quality_gates, each.evaluator.kind) for each in facts.evaluations} == {
        ((QualityGate("relevance", score=0.8, label="relevant", explanation="It answers the question."),), "model"),
        ((QualityGate("length", score=1.0),), "rule"),
        ((QualityGate("thumbs", label="up"),), "human"),
        ((QualityGate("goal reached", score=0.5),), "model"),
    }
    assert {(each.span_id, each.overall_score, each.joined) for each in facts.evaluations} == {
        (chain.span_id.hex(), None, False)
    }
    record = record_of(task(), execution(), chain)
    assert record.evaluation is not None
    assert {gate.name for gate in record.evaluation.quality_gates} == {"relevance", "goal reached"}  # of one judge
    assert record.evaluation.overall_score is None


def test_what_the_library_writes_afterwards_is_said_of_the_span_that_it_links_to(captured: tuple[Span, Span]) -> None:
    chain, carrier = captured
    (stray,) = convert(sealed(carrier, kind=SealKind.ORPHAN)).strays
    fact = stray.fact
    assert isinstance(fact, EvaluationFact)
    (link,) = carrier.links
    assert fact.links == (link.trace_id.hex() + chain.span_id.hex(),)
    assert fact.quality_gates == (
        QualityGate("hallucination", score=0.0, label="factual", explanation="Every claim is supported."),
    )
    assert (fact.evaluator.kind, fact.task_id, fact.joined) == ("human", None, True)


def test_a_result_that_stands_there_twice_counts_once() -> None:
    both = {
        "evaluations.0.evaluation.name": "harm",
        "evaluations.0.evaluation.score": 0.1,
        "annotations.0.annotation.name": "harm",
        "annotations.0.annotation.score": 0.1,
    }
    said = event(a.GEN_AI_EVALUATION_EVENT, {a.GEN_AI_EVALUATION_NAME: "harm", a.GEN_AI_EVALUATION_SCORE_VALUE: 0.1})
    assert [each.quality_gates for each in judged(both)] == [(QualityGate("harm", score=0.1),)]
    assert len(judged(both, events=[said])) == 1
    assert len(judged(both | {"annotations.0.annotation.score": 0.2}, events=[said])) == 2


def test_a_judge_of_another_kind_is_called_as_it_calls_itself() -> None:
    (fact,) = judged({"evaluations.0.evaluation.name": "harm", "evaluations.0.evaluation.annotator_kind": "JURY"})
    assert fact.evaluator.kind == "JURY"


def test_only_an_evaluator_that_judges_is_an_evaluation_of_its_own() -> None:
    said = {"evaluations.0.evaluation.name": "harm", "evaluations.0.evaluation.label": "none"}
    event_of_it = event(a.GEN_AI_EVALUATION_EVENT, {a.GEN_AI_EVALUATION_NAME: "harm"})

    def found(name: str, attributes: dict[str, Any], **more: Any) -> list[str]:
        facts = facts_of(task(), span(5, name, attributes, parent=1, **more)).evaluations
        return [each.fact_id for each in facts]

    own = [TRACE.hex() + span_id(5).hex()]
    kind = {a.OPENINFERENCE_KIND: a.OPENINFERENCE_EVALUATOR}
    assert found("harm evaluation", kind | said) == found("evaluate harm", kind | said) == own
    assert found("harm evaluation", kind, events=[event_of_it]) == own
    assert found("harm evaluation", kind | {"arbiter.x": 1}) == []
    assert found("harm evaluation", said) != own


def test_an_evaluation_of_ours_takes_feedback_as_criteria() -> None:
    sent = evaluation(attributes={"evaluations.0.evaluation.name": "harm", "evaluations.0.evaluation.label": "none"})
    (fact,) = facts_of(task(), sent).evaluations
    assert (fact.overall_score, fact.quality_gates) == (0.9, (QualityGate("harm", label="none"),))
