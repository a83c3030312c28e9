"""Facts as conversion makes them, for tests of what comes after it. Small numbers stand for trace and span ids."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.union import arrange
from collector_processor.guard.judge import GateSettings, judge
from collector_processor.model.facts import (
    Agent,
    Baseline,
    Candidate,
    Convention,
    EvaluationFact,
    Evaluator,
    ExecutionFact,
    Facts,
    HistoricalPerformance,
    QualityGate,
    RoutingFact,
    RubricScores,
    Source,
    Spread,
    TaskFact,
    ToolCallFact,
    TurnScores,
)
from collector_processor.model.stages import (
    Converted,
    GuardedPoint,
    LifecycleFact,
    PreparedBatch,
    SealedTask,
    SealKind,
    SpanKey,
    Stray,
    Undecodable,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BASELINE = Baseline(
    task_type="code-editing",
    window_start="2026-11-15T12:00:00.000000000Z",
    window_end="2026-11-22T12:00:00.000000000Z",
    latency_ms=Spread(tasks=1000, median=8000.0, deviation=0.5, p99=40_000.0),
    tokens_used=Spread(tasks=800, median=1000.0, deviation=0.25, p99=4000.0),
)
"""What is usual for a task of these tests: latencies up to 35,853 ms, tokens up to 2,117."""


def revise(id_: uuid.UUID, facts: Facts, revision: int) -> GuardedPoint:
    """Fold and judge, with every setting at its default."""
    return judge(fold(id_, facts, revision, FoldSettings()), GateSettings())


def written(moment: datetime) -> str:
    """A time as facts hold it: nine digits, the last three of which PostgreSQL can't keep."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"


def identity(trace: int, span: int, parent: int | None, start: datetime, seconds: float) -> dict[str, Any]:
    """What every fact carries."""
    return {
        "fact_id": f"{trace:032x}{span:016x}",
        "trace_id": f"{trace:032x}",
        "span_id": f"{span:016x}",
        "parent_span_id": None if parent is None else f"{parent:016x}",
        "start": written(start),
        "end": written(start + timedelta(seconds=seconds)),
    }


def task(
    trace: int = 1,
    span: int = 1,
    *,
    task_id: str | None = "t-1",
    start: datetime = NOON,
    seconds: float = 10,
    **more: Any,
) -> TaskFact:
    fields = {"type": "code-editing", "complexity": "standard", "source": Source(service_name="arbiter")} | more
    return TaskFact(
        **identity(trace, span, None, start, seconds),
        received_at=written(start + timedelta(seconds=seconds)),
        convention=Convention.ARBITER,
        task_id=task_id,
        **fields,
    )


def routing(
    trace: int = 1, span: int = 2, *, parent: int = 1, task_id: str | None = "t-1", start: datetime = NOON, **more: Any
) -> RoutingFact:
    fields = {
        "selected_id": "alpha",
        "selected_name": "Alpha",
        "model_family": "small",
        "strategy": "multi-armed-bandit",
        "confidence": 0.75,
        "explored": True,
        "propensity": 0.25,
        "policy_version": "7",
        "rationale": "untested",
        "candidates": (Candidate("alpha", 0.5, propensity=0.25), Candidate("beta", 0.75, propensity=0.75)),
        "history": HistoricalPerformance(0.5, 0.625, 12),
    } | more
    return RoutingFact(task_id=task_id, **identity(trace, span, parent, start, 0.5) | fields)


def execution(
    trace: int = 1, span: int = 3, *, parent: int = 1, task_id: str | None = "t-1", start: datetime = NOON, **more: Any
) -> ExecutionFact:
    fields = {
        "agent": Agent("alpha", "Alpha", "1"),
        "latency_ms": 8000.0,
        "success": True,
        "partial_success": False,
        "input_tokens": 900,
        "output_tokens": 100,
        "thinking_tokens": 40,
        "cost_usd": 0.125,
        "cpu_time_ms": 20.0,
        "memory_peak_bytes": 4096,
    } | more
    return ExecutionFact(task_id=task_id, **identity(trace, span, parent, start + SECOND, 8) | fields)


def tool_call(
    trace: int = 1,
    span: int = 4,
    *,
    parent: int = 3,
    task_id: str | None = "t-1",
    start: datetime = NOON,
    number: int | None = 1,
    **more: Any,
) -> ToolCallFact:
    fields = {
        "execution_span_id": f"{3:016x}",
        "tool_name": "read_file",
        "latency_ms": 500.0,
        "success": True,
        "effective": False,
        "scores": TurnScores(number, 0.5, 1.0, 0.25, 0.875, 0.5),
    } | more
    return ToolCallFact(task_id=task_id, **identity(trace, span, parent, start + 2 * SECOND, 0.5) | fields)


def evaluation(
    trace: int = 1, span: int = 5, *, parent: int = 1, task_id: str | None = "t-1", start: datetime = NOON, **more: Any
) -> EvaluationFact:
    fields = {
        "evaluator": Evaluator("rubric", "2", "rule"),
        "rubric_version": "3",
        "overall_score": 0.75,
        "rubric_scores": RubricScores(1.0, 0.5, 0.75, 0.5, 0.25, 1.0),
        "caws_compliant": True,
        "budget_compliant": True,
        "quality_gates": (QualityGate("tests", passed=True, score=1.0, threshold=0.9, mandatory=True),),
    } | more
    return EvaluationFact(task_id=task_id, **identity(trace, span, parent, start + 9 * SECOND, 0.5) | fields)


def whole(trace: int = 1, *, task_id: str = "t-1", start: datetime = NOON, **more: Any) -> Facts:
    """A task with one fact of each kind: five spans, 1 to 5. `more` goes to the task."""
    each = {"task_id": task_id, "start": start}
    return Facts(
        task=task(trace, **each, **more),
        routings=(routing(trace, **each),),
        executions=(execution(trace, **each),),
        tool_calls=(tool_call(trace, **each),),
        evaluations=(evaluation(trace, **each),),
    )


# -- As a batch --------------------------------------------------------------------------------------------


def spans_of(facts: Facts) -> int:
    return sum(
        map(len, (facts.routings, facts.executions, facts.tool_calls, facts.model_calls, facts.evaluations))
    ) + int(facts.task is not None)


def closed(facts: Facts, *, foreign: int = 0, undecodable: Sequence[Undecodable] = ()) -> Converted:
    """A task that was closed, with so many spans that say nothing of it."""
    assert facts.task is not None
    sealed = SealedTask(SealKind.TASK, *key_of(facts.task.trace_id, facts.task.span_id), ())
    return Converted(sealed, arrange(facts), (), undecodable, spans_of(facts) + foreign)


def late(facts: Facts, *, trace: int = 1, span: int = 1, foreign: int = 0, tenant: str | None = None) -> Converted:
    """Spans that come for a task after it was closed."""
    sealed = SealedTask(SealKind.LATE, trace.to_bytes(16, "big"), span.to_bytes(8, "big"), ())
    return Converted(sealed, arrange(facts), (), (), spans_of(facts) + foreign, tenant)


def lost(*facts: LifecycleFact, namespace: str | None = None, tenant: str | None = None, foreign: int = 0) -> Converted:
    """Lifecycle spans of one trace that found no task."""
    strays = [
        Stray(
            key_of(fact.fact_id[:32], fact.fact_id[32:]),
            bytes.fromhex(fact.parent_span_id) if fact.parent_span_id else bytes(8),
            fact,
            namespace,
            tenant,
        )
        for fact in facts
    ]
    sealed = SealedTask(SealKind.ORPHAN, bytes.fromhex(facts[0].trace_id), b"", ())
    return Converted(sealed, None, strays, (), len(strays) + foreign)


def key_of(trace_id: str, span_id: str) -> SpanKey:
    return SpanKey(bytes.fromhex(trace_id), bytes.fromhex(span_id))


def batch(*tasks: Converted, id_: uuid.UUID | None = None) -> PreparedBatch:
    return PreparedBatch(id_ or uuid.uuid4(), tasks)


def many(count: int, *, first: int = 1) -> Iterable[Converted]:
    """Whole tasks in traces of their own, a second apart."""
    for number in range(first, first + count):
        yield closed(whole(number, task_id=f"t-{number}", start=NOON + number * SECOND))
