"""Evaluations: spans with gates and criteria, and events on the spans that were judged."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import TRACE, evaluation, event, execution, model_call, span_id, task
from support.records import facts_of, record_of

from collector_processor.model.facts import QualityGate
from otel_benchmark import attributes as a


def result(name: str, *, at: float = 650, **said: object) -> Span.Event:
    names = {
        "score": a.GEN_AI_EVALUATION_SCORE_VALUE,
        "label": a.GEN_AI_EVALUATION_SCORE_LABEL,
        "explanation": a.GEN_AI_EVALUATION_EXPLANATION,
        "passed": a.GATE_PASSED,
        "threshold": a.GATE_THRESHOLD,
        "mandatory": a.GATE_MANDATORY,
        "evaluator": a.EVALUATOR_NAME,
        "overall": a.EVALUATION_OVERALL_SCORE,
    }
    return event(
        a.GEN_AI_EVALUATION_EVENT, {a.GEN_AI_EVALUATION_NAME: name} | {names[k]: v for k, v in said.items()}, at=at
    )


def test_events_of_an_evaluation_are_gates_and_criteria() -> None:
    sent = evaluation(
        events=[
            result("tests", passed=True, score=1.0, threshold=0.9, mandatory=True),
            result("style", score=0.4, label="poor", explanation="long lines"),
        ]
    )
    (judged,) = facts_of(task(), sent).evaluations
    assert judged.quality_gates == (
        QualityGate("tests", passed=True, score=1.0, threshold=0.9, mandatory=True),
        QualityGate("style", score=0.4, label="poor", explanation="long lines"),
    )


def test_all_mandatory_gates_decide_unless_reported() -> None:
    def passed(*events: Span.Event, reported: bool | None = None) -> bool | None:
        said = {} if reported is None else {a.EVALUATION_PASSED_ALL_MANDATORY: reported}
        section = record_of(task(), execution(), evaluation(events=events, attributes=said)).evaluation
        assert section is not None
        return section.passed_all_mandatory

    yes = result("a", passed=True, mandatory=True)
    no = result("b", passed=False, mandatory=True)
    optional = result("c", passed=False, mandatory=False)
    unsaid = result("d", mandatory=True)
    assert passed() is None
    assert passed(optional) is None
    assert passed(yes, optional) is True
    assert passed(yes, no) is False
    assert passed(yes, unsaid) is None
    assert passed(no, unsaid) is False
    assert passed(no, reported=True) is True


def test_links_of_a_late_evaluation_are_fact_ids() -> None:
    sent = evaluation(links=[Span.Link(trace_id=TRACE, span_id=span_id(1))])
    (judged,) = facts_of(task(), sent).evaluations
    assert judged.links == (TRACE.hex() + span_id(1).hex(),)


def test_an_event_on_the_judged_span_is_an_evaluation() -> None:
    facts = facts_of(task(), execution(events=[result("relevance", score=0.8, evaluator="judge")]))
    (judged,) = facts.evaluations
    assert judged.evaluator.name == "judge"
    assert judged.overall_score is None
    assert judged.quality_gates == (QualityGate("relevance", score=0.8),)
    assert (judged.span_id, judged.start) == (span_id(3).hex(), "2025-11-22T12:00:00.650000000Z")
    assert judged.fact_id != facts.executions[0].fact_id
    assert len(bytes.fromhex(judged.fact_id)) == 24


def test_equal_events_are_one_fact_and_others_are_not() -> None:
    one = result("relevance", score=0.8)
    assert len(facts_of(task(), execution(events=[one, one])).evaluations) == 1
    assert len(facts_of(task(), execution(events=[one, result("relevance", score=0.7)])).evaluations) == 2
    assert len(facts_of(task(events=[one]), execution(events=[one])).evaluations) == 2


def test_events_on_model_calls_are_evaluations() -> None:
    assert len(facts_of(task(), execution(), model_call(20, events=[result("toxicity", score=0.0)])).evaluations) == 1


def test_a_record_shows_all_that_one_evaluator_told_of_one_span_by_events() -> None:
    events = [result("relevance", at=640, score=0.8), result("tone", score=0.6), result("x", evaluator="other", at=600)]
    section = record_of(task(), execution(events=events)).evaluation
    assert section is not None
    assert [gate.name for gate in section.quality_gates] == ["relevance", "tone"]


def test_governance_and_authorship_are_laid_over_those_of_the_task() -> None:
    point = record_of(
        task(
            attributes={
                a.CAWS_SPEC_ID: "FEAT-1",
                a.CAWS_COMPLIANT: False,
                a.CAWS_BUDGET_FILES_LIMIT: 5,
                a.PROVENANCE_AI_ASSISTED: True,
                a.PROVENANCE_COMMIT_HASH: "aaa",
            }
        ),
        execution(),
        evaluation(
            attributes={
                a.CAWS_COMPLIANT: True,
                a.CAWS_BUDGET_FILES_USED: 2,
                a.CAWS_BUDGET_COMPLIANT: True,
                a.PROVENANCE_COMMIT_HASH: "bbb",
            }
        ),
    )
    assert point.caws is not None
    assert (point.caws.spec_id, point.caws.compliant) == ("FEAT-1", True)
    assert (point.caws.budget_usage.files_used, point.caws.budget_usage.files_limit) == (2, 5)
    assert point.task.caws_spec_id == "FEAT-1"
    assert (point.provenance.ai_assisted, point.provenance.commit_hash) == (True, "bbb")
    assert point.evaluation is not None
    assert (point.evaluation.caws_compliant, point.evaluation.budget_compliant) == (True, True)


def test_without_governance_there_is_none() -> None:
    point = record_of(task(), execution(), evaluation())
    assert point.caws is None
    assert point.evaluation is not None
    assert point.evaluation.caws_compliant is None
    assert point.evaluation.minimal_diff_metrics is None
