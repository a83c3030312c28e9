"""The quality gates: each a pure function of a record that yields what it finds wrong.

A reason names the field in wire form, the value and the bound. A finding may carry a severity of its own where a
gate knows a case that differs; otherwise the gate's configured one holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from collector_processor.guard.bounds import numeric_bounds
from collector_processor.guard.disclosures import pii, secrets, text_withheld
from collector_processor.guard.findings import Context, Finding
from collector_processor.guard.outliers import latency_outlier, token_outlier
from collector_processor.guard.tenants import HASH
from collector_processor.guard.timing import time_window, timing
from collector_processor.model.facts import Convention, Problem
from collector_processor.model.record import BenchmarkDataPoint, GateName, Section, Severity
from otel_benchmark.attributes import Complexity, EvaluatorKind, Strategy

LOW_QUALITY: Final = 0.5
HIGH_QUALITY: Final = 0.8
TOKENS_WITHOUT_WORK: Final = 100
PROPENSITY_TOLERANCE: Final = 1e-3
"""How far the propensities of a decision may sum up beside 1: routers round them."""

_COMPLEXITIES: Final = frozenset(Complexity)
_STRATEGIES: Final = frozenset(Strategy)
_EVALUATOR_KINDS: Final = frozenset(EvaluatorKind)


class Gate(NamedTuple):
    """A gate's name, its severity unless configured otherwise, its check, and the severity of special cases it knows.

    Those are milder, or what a later scan found: that is critical whatever is configured.
    """

    name: GateName
    severity: Severity
    check: Callable[[BenchmarkDataPoint, Context], Iterator[Finding]]
    special: Severity | None = None


def required_sections(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail without task or execution, or without routing in our own convention; the evaluation may come late."""
    seen = point.completeness.seen
    for section in Section:
        if section in seen:
            continue
        if section is Section.EVALUATION:
            yield Finding("evaluation is missing, it may come late", Severity.INCOMPLETE)
        elif section is Section.ROUTING and point.provenance.convention is not Convention.ARBITER:
            yield Finding(f"routing is missing, as {point.provenance.convention} spans have none", Severity.INCOMPLETE)
        else:
            yield Finding(f"{section} is missing")


def required_fields(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail where what every query groups by is missing."""
    if point.task.id is None:
        yield Finding("task.id is missing")
    if point.task.type is None:
        yield Finding("task.type is missing")
    if not point.timestamp:
        yield Finding("timestamp is missing")
    if point.routing is not None and point.routing.selected_agent.id is None:
        yield Finding("routing.selectedAgent.id is missing")


def reported(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail where a learner would have no signal: such a record is valid, but not ready for RL."""
    if point.execution is None or point.execution.success is None:
        yield Finding("execution.success is not reported")
    evaluation = point.evaluation
    if evaluation is None or evaluation.overall_score is None:
        yield Finding("evaluation.overallScore is not reported")
    if evaluation is None:
        yield Finding("evaluation.rubricScores are not reported")
        return
    rubric = evaluation.rubric_scores
    missing = [name for name in rubric.__struct_fields__ if getattr(rubric, name) is None]
    if missing:
        yield Finding(f"evaluation.rubricScores lack {', '.join(missing)}")


def enums(point: BenchmarkDataPoint, context: Context) -> Iterator[Finding]:
    """Fail on a value outside the lists that are known or configured."""
    task = point.task
    if task.type is not None and task.type not in context.task_types:
        yield Finding(f"task.type = {task.type!r} is not among {_listed(context.task_types)}")
    if task.complexity is not None and task.complexity not in _COMPLEXITIES:
        yield Finding(f"task.complexity = {task.complexity!r} is not among {_listed(_COMPLEXITIES)}")
    routing = point.routing
    if routing is not None:
        if routing.strategy is not None and routing.strategy not in _STRATEGIES:
            yield Finding(f"routing.strategy = {routing.strategy!r} is not among {_listed(_STRATEGIES)}")
        agent = routing.selected_agent.id
        if context.agents and agent is not None and agent not in context.agents:
            yield Finding(f"routing.selectedAgent.id = {agent!r} is not among {_listed(context.agents)}")
    if context.agents and point.execution is not None:
        agent = point.execution.agent.id
        if agent is not None and agent not in context.agents:
            yield Finding(f"execution.agent.id = {agent!r} is not among {_listed(context.agents)}")
    kind = point.evaluation.evaluator.kind if point.evaluation else None
    if kind is not None and kind not in _EVALUATOR_KINDS:
        yield Finding(f"evaluation.evaluator.kind = {kind!r} is not among {_listed(_EVALUATOR_KINDS)}")


def tenant_hash(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on a tenant in clear. One that was left out for want of a key is a warning."""
    if point.tenant_id is not None and not HASH.fullmatch(point.tenant_id):
        yield Finding("tenantId is neither null nor 64 hex digits")
    if any(anomaly.problem is Problem.TENANT_WITHOUT_KEY for anomaly in point.facts.anomalies):
        yield Finding("tenantId = null: the tenant came in clear and TENANT_KEY is not set", Severity.WARNING)


def propensity(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail where a routing decision can't be weighted: its propensities are no distribution over its candidates."""
    routing = point.routing
    if routing is None:
        return
    if routing.propensity is not None and not 0 < routing.propensity <= 1:
        yield Finding(f"routing.propensity = {routing.propensity!r} is not in (0, 1]")
    candidates = routing.alternatives_considered
    if not candidates:
        return
    selected = routing.selected_agent.id
    if selected is not None and all(each.agent_id != selected for each in candidates):
        yield Finding(f"routing.selectedAgent.id = {selected!r} is not among routing.alternativesConsidered")
    propensities = [each.propensity for each in candidates if each.propensity is not None]
    if len(propensities) == len(candidates) and abs(sum(propensities) - 1) > PROPENSITY_TOLERANCE:
        yield Finding(f"routing.alternativesConsidered[].propensity sum to {sum(propensities):.6g}, not to 1")


def success_quality(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on a success that was scored low."""
    success, score = _outcome(point)
    if success is True and score is not None and score < LOW_QUALITY:
        yield Finding(f"execution.success = true with evaluation.overallScore = {score!r} below {LOW_QUALITY}")


def failure_quality(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on a failure that was scored high."""
    success, score = _outcome(point)
    if success is False and score is not None and score > HIGH_QUALITY:
        yield Finding(f"execution.success = false with evaluation.overallScore = {score!r} above {HIGH_QUALITY}")


def tokens_without_work(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on tokens that went neither into a tool call nor into thinking."""
    execution = point.execution
    if execution is None or execution.tokens_used is None or execution.tokens_used <= TOKENS_WITHOUT_WORK:
        return
    if not execution.tool_call_count and not execution.thinking_tokens:
        yield Finding(
            f"execution.tokensUsed = {execution.tokens_used} above {TOKENS_WITHOUT_WORK}"
            " with no tool call and no thinkingTokens"
        )


GATES: Final = (
    Gate(GateName.REQUIRED_SECTIONS, Severity.ERROR, required_sections, special=Severity.INCOMPLETE),
    Gate(GateName.REQUIRED_FIELDS, Severity.ERROR, required_fields),
    Gate(GateName.REPORTED, Severity.INCOMPLETE, reported),
    Gate(GateName.NUMERIC_BOUNDS, Severity.ERROR, numeric_bounds),
    Gate(GateName.ENUMS, Severity.WARNING, enums),
    Gate(GateName.TIME_WINDOW, Severity.ERROR, time_window),
    Gate(GateName.PII, Severity.CRITICAL, pii, special=Severity.CRITICAL),
    Gate(GateName.SECRETS, Severity.CRITICAL, secrets, special=Severity.CRITICAL),
    Gate(GateName.TEXT_WITHHELD, Severity.WARNING, text_withheld, special=Severity.CRITICAL),
    Gate(GateName.TENANT_HASH, Severity.CRITICAL, tenant_hash, special=Severity.WARNING),
    Gate(GateName.TIMING, Severity.ERROR, timing),
    Gate(GateName.PROPENSITY, Severity.WARNING, propensity),
    Gate(GateName.SUCCESS_QUALITY, Severity.ERROR, success_quality),
    Gate(GateName.FAILURE_QUALITY, Severity.WARNING, failure_quality),
    Gate(GateName.TOKENS_WITHOUT_WORK, Severity.WARNING, tokens_without_work),
    Gate(GateName.LATENCY_OUTLIER, Severity.WARNING, latency_outlier),
    Gate(GateName.TOKEN_OUTLIER, Severity.WARNING, token_outlier),
)


def _outcome(point: BenchmarkDataPoint) -> tuple[bool | None, float | None]:
    return (
        point.execution.success if point.execution else None,
        point.evaluation.overall_score if point.evaluation else None,
    )


def _listed(values: frozenset[str]) -> str:
    return ", ".join(sorted(values))
