"""The record's sections routing and evaluation: of several facts, which one counts, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from collector_processor.model.facts import (
    Authorship,
    Caws,
    EvaluationFact,
    ExecutionFact,
    Fact,
    Facts,
    QualityGate,
    RoutingFact,
)
from collector_processor.model.record import Evaluation, Routing, SelectedAgent

_F = TypeVar("_F", bound=Fact)
_Section = TypeVar("_Section", Caws, Authorship)
_UNSAID: Final = (None, ())


def newest(facts: Sequence[_F]) -> _F | None:
    """Return the fact that ended last; ties are broken by trace, then span."""
    return max(facts, key=lambda fact: (fact.end, fact.trace_id, fact.span_id, fact.fact_id), default=None)


# -- Routing ---------------------------------------------------------------------------------------


def routing_before(routings: Sequence[RoutingFact], execution: ExecutionFact | None) -> RoutingFact | None:
    """Return the last routing that started before the execution, one that selected somebody if there is any.

    Without an execution it is the last of all; where clocks put all of them after the execution, the first.
    `routings` are in order of start.
    """
    choices = [routing for routing in routings if routing.selected_id is not None] or routings
    if execution is None:
        return choices[-1] if choices else None
    before = [routing for routing in choices if routing.start <= execution.start]
    return before[-1] if before else next(iter(choices), None)


def routing_section(routing: RoutingFact) -> Routing:
    """Write a routing decision; its propensity may stand with the selected candidate alone."""
    propensity = routing.propensity
    if propensity is None and routing.selected_id is not None:
        chosen = (each.propensity for each in routing.candidates if each.agent_id == routing.selected_id)
        propensity = next(chosen, None)
    return Routing(
        selected_agent=SelectedAgent(routing.selected_id, routing.selected_name, routing.model_family),
        strategy=routing.strategy,
        confidence=routing.confidence,
        rationale=routing.rationale,
        alternatives_considered=routing.candidates,
        historical_performance=routing.history,
        explored=routing.explored,
        propensity=propensity,
        policy_version=routing.policy_version,
    )


# -- Evaluation ------------------------------------------------------------------------------------


def current_evaluation(evaluations: Sequence[EvaluationFact], evaluator: str | None) -> EvaluationFact | None:
    """Return the newest evaluation of the evaluator named; of any, the newest with an overall score if there is one."""
    if evaluator is not None:
        return newest([each for each in evaluations if each.evaluator.name == evaluator])
    return newest([each for each in evaluations if each.overall_score is not None]) or newest(evaluations)


def evaluation_section(current: EvaluationFact, facts: Facts, caws: Caws | None) -> Evaluation:
    """Write the evaluation that counts; `caws` is the governance that its task and it report together."""
    gates = _gates(current, facts.evaluations)
    passed = current.passed_all_mandatory
    return Evaluation(
        caws_compliant=caws.compliant if caws else None,
        budget_compliant=caws.budget_usage.budget_compliant if caws else None,
        quality_gates=gates,
        rubric_scores=current.rubric_scores,
        minimal_diff_metrics=current.minimal_diff,
        overall_score=current.overall_score,
        passed_all_mandatory=_all_mandatory(gates) if passed is None else passed,
        evaluator=current.evaluator,
        rubric_version=current.rubric_version,
        span_id=current.span_id,
        fact_id=current.fact_id,
    )


def over(later: _Section | None, earlier: _Section | None) -> _Section | None:
    """Lay what an evaluation says of governance or authorship over what its task says, value by value."""
    if later is None or earlier is None:
        return later or earlier
    said: dict[str, Any] = {}
    for name in later.__struct_fields__:
        mine, below = getattr(later, name), getattr(earlier, name)
        if isinstance(mine, msgspec.Struct):
            pairs = ((part, getattr(mine, part), getattr(below, part)) for part in mine.__struct_fields__)
            said[name] = type(mine)(**{part: low if high in _UNSAID else high for part, high, low in pairs})
        else:
            said[name] = below if mine in _UNSAID else mine
    return type(later)(**said)


def _gates(current: EvaluationFact, evaluations: Sequence[EvaluationFact]) -> tuple[QualityGate, ...]:
    """Return the current evaluation's gates.

    One told by events or log records has those that its evaluator told of the same span, of each name the newest.
    """
    if _is_span(current):
        return current.quality_gates
    together = [
        each
        for each in evaluations
        if not _is_span(each)
        and (each.trace_id, each.span_id) == (current.trace_id, current.span_id)
        and each.evaluator == current.evaluator
    ]
    return tuple({gate.name: gate for each in together for gate in each.quality_gates}.values())


def _is_span(evaluation: EvaluationFact) -> bool:
    return evaluation.fact_id == evaluation.trace_id + evaluation.span_id


def _all_mandatory(gates: Sequence[QualityGate]) -> bool | None:
    """Tell whether every mandatory gate was passed; null without one, or where the rest hangs on an unsaid one."""
    results = [gate.passed for gate in gates if gate.mandatory]
    if False in results:
        return False
    return True if results and None not in results else None
