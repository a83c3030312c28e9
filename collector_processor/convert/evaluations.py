"""Evaluations: an `evaluate` span, or what stands on the span that was judged, an event or OpenInference's feedback.

Span and event carry the same attributes. The events of an evaluation span are its gates and criteria; an event
elsewhere, or a log record that names the span, is an evaluation of its own, known by a hash of what it says, so that a
copy in the other form counts once. So is feedback, unless an event of its span says the same.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from collector_processor.convert.decode import Head, Record, Span
from collector_processor.convert.feedback import Feedback, feedback_of
from collector_processor.convert.values import Attributes
from collector_processor.model.facts import (
    Authorship,
    BudgetUsage,
    Caws,
    CawsScores,
    EvaluationFact,
    Evaluator,
    MinimalDiffMetrics,
    QualityGate,
    RubricScores,
)
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a

_NO_RUBRIC = RubricScores()
_NO_DIFF = MinimalDiffMetrics()
_NO_CAWS = Caws()
_NO_AUTHORSHIP = Authorship()


def from_span(span: Span, head: Head, error_type: str | None) -> EvaluationFact:
    """Read an `evaluate` span; `head` holds the fields that every fact begins with."""
    said = _said(span.attributes, span.raw)
    feedback = feedback_of(span)
    if feedback and said["evaluator"].kind is None:
        said["evaluator"] = msgspec.structs.replace(said["evaluator"], kind=feedback[0].kind)
    gates = [_gate(span.attributes.within(event.attributes)) for event in span.events(a.GEN_AI_EVALUATION_EVENT)]
    gates += [each.gate for each in feedback if each.gate not in gates]
    links = tuple([link.trace_id.hex() + link.span_id.hex() for link in span.message.links])
    return EvaluationFact(*head, **said, quality_gates=tuple(gates), links=links, error_type=error_type)


def beside(span: Span, trace_id: str) -> list[EvaluationFact]:
    """Read what events and feedback of a span that is no evaluation itself say of it."""
    events, feedback = span.events(a.GEN_AI_EVALUATION_EVENT), feedback_of(span)
    if not (events or feedback):
        return []
    place = _Place(trace_id, span.span_hex, span.parent_hex, span.end)
    found = [
        _from_event(
            span.attributes.within(event.attributes),
            span.raw,
            place._replace(time=event.time_unix_nano or span.end),
        )
        for event in events
    ]
    if feedback:
        known = {gate for each in found for gate in each.quality_gates}
        found += [_from_feedback(each, place) for each in feedback if each.gate not in known]
    return found


def from_record(record: Record, trace_id: str) -> EvaluationFact:
    """Read a log record that evaluates. One without a time is of the moment when it arrived."""
    place = _Place(trace_id, record.span_id.hex(), None, record.time)
    fact = msgspec.structs.replace(_from_event(record.attributes, record.raw, place), logged=True)
    if record.time:
        return fact
    arrived = to_text(record.arrived)
    return msgspec.structs.replace(fact, start=arrived, end=arrived)


def caws_of(read: Attributes, raw: bytes) -> Caws | None:
    """Read the governance that a task or an evaluation reports, None where it reports none."""
    if b"caws." not in raw:
        return None
    budget_compliant = read.boolean(a.CAWS_BUDGET_COMPLIANT)
    caws = Caws(
        spec_id=read.text(a.CAWS_SPEC_ID),
        verdict_id=read.text(a.CAWS_VERDICT_ID),
        version=read.text(a.CAWS_VERSION),
        compliant=read.boolean(a.CAWS_COMPLIANT),
        waivers_used=read.said(a.CAWS_WAIVERS),
        gates_passed=read.said(a.CAWS_GATES_PASSED),
        scores=CawsScores(
            read.number(a.CAWS_SCORE_EVIDENCE_COMPLETENESS),
            read.number(a.CAWS_SCORE_BUDGET_ADHERENCE),
            read.number(a.CAWS_SCORE_GATE_INTEGRITY),
            read.number(a.CAWS_SCORE_PROVENANCE_CLARITY),
        ),
        arbiter_signature=read.text(a.CAWS_SIGNATURE),
        budget_usage=BudgetUsage(
            read.integer(a.CAWS_BUDGET_FILES_USED),
            read.integer(a.CAWS_BUDGET_FILES_LIMIT),
            read.integer(a.CAWS_BUDGET_LOC_USED),
            read.integer(a.CAWS_BUDGET_LOC_LIMIT),
            budget_compliant,
        ),
    )
    return None if caws == _NO_CAWS else caws


def authorship_of(read: Attributes, raw: bytes) -> Authorship | None:
    """Read `arbiter.provenance.*` of a task or an evaluation, None where there is none."""
    if b"arbiter.provenance." not in raw:
        return None
    authorship = Authorship(
        read.boolean(a.PROVENANCE_AI_ASSISTED),
        read.boolean(a.PROVENANCE_HUMAN_REVIEWED),
        read.text(a.PROVENANCE_COMMIT_HASH),
    )
    return None if authorship == _NO_AUTHORSHIP else authorship


def _said(read: Attributes, raw: bytes) -> dict[str, Any]:
    """Read what an evaluation says of itself, as keyword arguments of its fact."""
    caws = caws_of(read, raw)
    return {
        "task_id": read.text(a.TASK_ID),
        "evaluator": Evaluator(
            read.text(a.EVALUATOR_NAME), read.text(a.EVALUATOR_VERSION), read.text(a.EVALUATOR_KIND)
        ),
        "rubric_version": read.text(a.RUBRIC_VERSION),
        "overall_score": read.number(a.EVALUATION_OVERALL_SCORE),
        "rubric_scores": _rubric(read) if b"arbiter.rubric." in raw else _NO_RUBRIC,
        "minimal_diff": _diff(read) if b"arbiter.diff." in raw else None,
        "caws_compliant": caws.compliant if caws else None,
        "budget_compliant": caws.budget_usage.budget_compliant if caws else None,
        "passed_all_mandatory": read.boolean(a.EVALUATION_PASSED_ALL_MANDATORY),
        "caws": caws,
        "authorship": authorship_of(read, raw),
    }


def _rubric(read: Attributes) -> RubricScores:
    return RubricScores(
        read.number(a.RUBRIC_FORMAT),
        read.number(a.RUBRIC_TOOL),
        read.number(a.RUBRIC_TASK),
        read.number(a.RUBRIC_MINIMAL),
        read.number(a.RUBRIC_COST),
        read.number(a.RUBRIC_SAFETY),
    )


def _diff(read: Attributes) -> MinimalDiffMetrics | None:
    diff = MinimalDiffMetrics(
        read.number(a.DIFF_AST_SIMILARITY),
        read.integer(a.DIFF_FILES_TOUCHED),
        read.number(a.DIFF_LINE_CHANGE_RATIO),
        read.number(a.DIFF_SCAFFOLDING_PENALTY),
        read.number(a.DIFF_REWARD_MULTIPLIER),
    )
    return None if diff == _NO_DIFF else diff


def _gate(read: Attributes) -> QualityGate:
    """Read one evaluation event: a gate where it says whether it was passed, a criterion otherwise."""
    return QualityGate(
        name=read.text(a.GEN_AI_EVALUATION_NAME) or "",
        passed=read.boolean(a.GATE_PASSED),
        score=read.number(a.GEN_AI_EVALUATION_SCORE_VALUE),
        threshold=read.number(a.GATE_THRESHOLD),
        mandatory=read.boolean(a.GATE_MANDATORY),
        label=read.text(a.GEN_AI_EVALUATION_SCORE_LABEL),
        explanation=read.text(a.GEN_AI_EVALUATION_EXPLANATION),
    )


class _Place(NamedTuple):
    """Where and when (ns) an event was recorded: its span and that one's parent, in hex."""

    trace_id: str
    span_id: str
    parent_id: str | None
    time: int


def _from_event(read: Attributes, raw: bytes, place: _Place) -> EvaluationFact:
    gate = _gate(read)
    said = _said(read, raw)
    return EvaluationFact(*_head(place, said["evaluator"], gate), **said, quality_gates=(gate,))


def _from_feedback(feedback: Feedback, place: _Place) -> EvaluationFact:
    evaluator = Evaluator(kind=feedback.kind)
    head = _head(place, evaluator, feedback.gate)
    return EvaluationFact(*head, task_id=None, evaluator=evaluator, quality_gates=(feedback.gate,))


def _head(place: _Place, evaluator: Evaluator, gate: QualityGate) -> Head:
    time = to_text(place.time)
    identity = msgspec.json.encode((place.trace_id, place.span_id, "evaluation", evaluator.name, gate, time))
    fact_id = sha256(identity).hexdigest()[:48]  # as long as a trace id with a span id
    return fact_id, place.trace_id, place.span_id, place.parent_id, time, time
