"""From a test's spans to facts and records, by the real conversion and guard."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.convert import FoldSettings, convert, fold
from collector_processor.guard import GateSettings, Protector, judge
from collector_processor.model.facts import Facts
from collector_processor.model.record import BenchmarkDataPoint, Verdict, point_id
from collector_processor.model.stages import RawTask
from support.lifecycle import TRACE, sealed, span_id

POINT = point_id(TRACE, span_id(1))


def facts_of(*spans: Span, **more: Any) -> Facts:
    """The facts of a task of these spans."""
    return facts_from(sealed(*spans, **more))


def facts_from(raw: RawTask) -> Facts:
    facts = convert(raw).facts
    assert facts is not None
    return facts


def record_from(facts: Facts, *, evaluator: str | None = None, revision: int = 1) -> BenchmarkDataPoint:
    return fold(POINT, facts, revision, FoldSettings(evaluator))


def record_of(*spans: Span, evaluator: str | None = None) -> BenchmarkDataPoint:
    """The record of a task of these spans, not judged yet."""
    return record_from(facts_of(*spans), evaluator=evaluator)


def verdict_of(*spans: Span, key: bytes | None = None, settings: GateSettings | None = None) -> Verdict:
    """What the guard says of a task of these spans."""
    facts = Protector(key, None).protect(convert(sealed(*spans))).facts
    assert facts is not None
    verdict = judge(record_from(facts), settings or GateSettings()).point.verdict
    assert verdict is not None
    return verdict


def failed(verdict: Verdict) -> dict[str, str]:
    """Failed gates → their reasons."""
    return {each.gate: each.reason for each in verdict.gates_failed}
