"""Routing decisions in the `arbiter` convention: a `route` span → RoutingFact."""

from __future__ import annotations

from typing import Any, Final

from collector_processor.convert.decode import Head, Span
from collector_processor.convert.values import Attributes
from collector_processor.model.facts import Candidate, HistoricalPerformance, Problem, RoutingFact
from otel_benchmark import attributes as a

_NO_HISTORY: Final = HistoricalPerformance()
_BANDIT_MOVES: Final = {"-explore": True, "-exploit": False}


def routing_fact(span: Span, head: Head, error_type: str | None) -> RoutingFact:
    """Read a `route` span; `head` holds the fields that every fact begins with."""
    read = span.attributes
    explored = read.boolean(a.ROUTING_EXPLORED)
    strategy, told = split_strategy(read.text(a.ROUTING_STRATEGY))
    return RoutingFact(
        *head,
        task_id=read.text(a.TASK_ID),
        selected_id=read.text(a.ROUTING_SELECTED_ID),
        selected_name=read.text(a.ROUTING_SELECTED_NAME),
        model_family=read.text(a.ROUTING_SELECTED_MODEL_FAMILY),
        strategy=strategy,
        confidence=read.number(a.ROUTING_CONFIDENCE),
        rationale=read.text(a.ROUTING_RATIONALE),
        explored=told if explored is None else explored,
        propensity=read.number(a.ROUTING_PROPENSITY),
        policy_version=read.text(a.ROUTING_POLICY_VERSION),
        candidates=_candidates(read) if b"arbiter.routing.candidate." in span.raw else (),
        history=_history(read) if b"arbiter.routing.history." in span.raw else _NO_HISTORY,
        error_type=error_type,
    )


def split_strategy(strategy: str | None) -> tuple[str | None, bool | None]:
    """Part a strategy from the move that some emitters append: `multi-armed-bandit-explore` → it and True."""
    for suffix, explored in _BANDIT_MOVES.items():
        if strategy and strategy.endswith(suffix):
            return strategy.removesuffix(suffix), explored
    return strategy, None


def _history(read: Attributes) -> HistoricalPerformance:
    return HistoricalPerformance(
        read.number(a.ROUTING_HISTORY_SUCCESS_RATE),
        read.number(a.ROUTING_HISTORY_AVG_QUALITY),
        read.integer(a.ROUTING_HISTORY_TASK_COUNT),
    )


def _candidates(read: Attributes) -> tuple[Candidate, ...]:
    """Read the parallel arrays, all of them or, where one has another length, none."""
    ids = read.texts(a.ROUTING_CANDIDATE_IDS) or ()
    columns: list[tuple[Any, ...] | None] = [
        read.numbers(a.ROUTING_CANDIDATE_SCORES),
        read.texts(a.ROUTING_CANDIDATE_REASONS),
        read.numbers(a.ROUTING_CANDIDATE_CAPABILITY_SCORES),
        read.numbers(a.ROUTING_CANDIDATE_PERFORMANCE_SCORES),
        read.numbers(a.ROUTING_CANDIDATE_LOAD_SCORES),
        read.numbers(a.ROUTING_CANDIDATE_PROPENSITIES),
    ]
    if any(column is not None and len(column) != len(ids) for column in columns):
        lengths = ", ".join(
            f"{field} {len(column)}"
            for field, column in zip(Candidate.__struct_fields__[1:], columns, strict=True)
            if column is not None
        )
        read.flag(a.ROUTING_CANDIDATE_IDS, Problem.LENGTH_MISMATCH, f"{len(ids)} ids, but {lengths}: all left out")
        return ()
    unsaid = (None,) * len(ids)
    rows = zip(ids, *[unsaid if column is None else column for column in columns], strict=True)
    return tuple([Candidate(agent_id, *row) for agent_id, *row in rows if agent_id is not None])
