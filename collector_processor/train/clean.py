"""Clean a batch of records: leave out what would mislead a learner, write alike what means the same, tell every step.

Pure. A cleaned record is a copy whose sections may be written otherwise; facts, verdict and reward with its terms are
those of the stored one. Hence scores are left alone: `quarantine correct` changes them and what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from math import isfinite
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from collector_processor.model.facts import Candidate
from collector_processor.model.record import BenchmarkDataPoint, Execution, GateName, RlLabels, Routing, ToolUse
from collector_processor.train.spelling import as_listed, bandit_move, tool_name, united
from otel_benchmark.attributes import Complexity, EvaluatorKind, Strategy, TaskType

_Part = TypeVar("_Part", bound=msgspec.Struct)

_OUTLIERS: Final = frozenset({GateName.LATENCY_OUTLIER, GateName.TOKEN_OUTLIER})
_PERCENT: Final = 100.0
_SURELY_PERCENT: Final = 2.0
"""A rate above it is no rate that is a little out of range, but one in percent."""
_SUM_TOLERANCE: Final = 0.1
"""How far propensities in percent may sum up beside 100: routers round them."""


class Kind(StrEnum):
    """What was done: a record left out, a record only marked, a field written otherwise."""

    EXCLUDED = "excluded"
    FLAGGED = "flagged"
    NORMALISED = "normalised"


class Action(NamedTuple):
    """One step. `field` is in wire form; `after` is null where the record was left out or only marked."""

    kind: Kind
    id: UUID
    field: str
    before: Any
    after: Any
    why: str


class Cleaned(NamedTuple):
    """The records that are left, in their order, and every step that led to them."""

    points: tuple[BenchmarkDataPoint, ...]
    actions: tuple[Action, ...]


class CleanSettings(NamedTuple):
    """Task types that are known; and whether outliers, which the gates have found, are kept and only marked."""

    task_types: frozenset[str] = frozenset(TaskType)
    keep_outliers: bool = False


_DEFAULT: Final = CleanSettings()


def clean(points: Iterable[BenchmarkDataPoint], settings: CleanSettings = _DEFAULT) -> Cleaned:
    """Clean records, each by itself: none depends on the others of its batch. Doing it again changes nothing."""
    left: list[BenchmarkDataPoint] = []
    actions: list[Action] = []
    for point in points:
        excluded = list(_exclusions(point))
        outliers = list(_outliers(point, settings))
        actions += excluded + outliers
        if not excluded and all(action.kind is Kind.FLAGGED for action in outliers):
            steps = _Steps(point.id)
            left.append(_normalised(point, settings, steps))
            actions += steps.taken
    return Cleaned(tuple(left), tuple(actions))


# -- Leaving out ---------------------------------------------------------------------------------------------


def _exclusions(point: BenchmarkDataPoint) -> Iterator[Action]:
    execution = point.execution
    if execution is None:
        yield Action(Kind.EXCLUDED, point.id, "execution", None, None, "nobody executed the task")
        return
    latency = execution.latency_ms
    if not (isfinite(latency) and latency > 0):
        yield Action(Kind.EXCLUDED, point.id, "execution.latencyMs", latency, None, "a latency has to be above 0")
    if execution.tokens_used == 0 and _uses_a_model(point):
        why = "an agent that uses a model uses tokens"
        yield Action(Kind.EXCLUDED, point.id, "execution.tokensUsed", 0, None, why)


def _uses_a_model(point: BenchmarkDataPoint) -> bool:
    """Tell model agents from those that follow rules: a model was named, or called."""
    named = point.execution is not None and point.execution.model is not None
    return named or bool(point.facts.model_calls) or any(run.model is not None for run in point.facts.executions)


def _outliers(point: BenchmarkDataPoint, settings: CleanSettings) -> Iterator[Action]:
    if point.verdict is None or point.execution is None:
        return
    kind = Kind.FLAGGED if settings.keep_outliers else Kind.EXCLUDED
    values = {
        GateName.LATENCY_OUTLIER.value: ("execution.latencyMs", point.execution.latency_ms),
        GateName.TOKEN_OUTLIER.value: ("execution.tokensUsed", point.execution.tokens_used),
    }
    for failed in point.verdict.gates_failed:
        if failed.gate in _OUTLIERS:
            yield Action(kind, point.id, *values[failed.gate], None, f"{failed.gate}: {failed.reason}")


# -- Writing alike -------------------------------------------------------------------------------------------


def _as_it_is(value: Any) -> Any:
    return value


class _Steps:
    """Changes fields of one record and writes down each change."""

    def __init__(self, id_: UUID) -> None:
        self._id = id_
        self.taken: list[Action] = []

    def set(self, owner: _Part, path: str, why: str, told: Callable[[Any], Any] = _as_it_is, **fields: Any) -> _Part:
        """Return the part of a record with these fields, of which those that differ are told, by what `told` makes."""
        changed = {name: value for name, value in fields.items() if getattr(owner, name) != value}
        if not changed:
            return owner
        wire = dict(zip(owner.__struct_fields__, owner.__struct_encode_fields__, strict=True))
        for name, value in changed.items():
            field = f"{path}.{wire[name]}"
            self.taken.append(Action(Kind.NORMALISED, self._id, field, told(getattr(owner, name)), told(value), why))
        return msgspec.structs.replace(owner, **changed)


def _normalised(point: BenchmarkDataPoint, settings: CleanSettings, steps: _Steps) -> BenchmarkDataPoint:
    spelling = "spelt as in the list of known values"
    task = steps.set(
        point.task,
        "task",
        spelling,
        type=as_listed(point.task.type, settings.task_types),
        complexity=as_listed(point.task.complexity, Complexity),
    )
    evaluation = point.evaluation
    if evaluation is not None:
        kind = as_listed(evaluation.evaluator.kind, EvaluatorKind)
        evaluator = steps.set(evaluation.evaluator, "evaluation.evaluator", spelling, kind=kind)
        evaluation = msgspec.structs.replace(evaluation, evaluator=evaluator)
    return msgspec.structs.replace(
        point,
        task=task,
        routing=_routing(point, steps),
        execution=_execution(point, steps),
        evaluation=evaluation,
        rl_labels=_labels(point, steps),
    )


def _routing(point: BenchmarkDataPoint, steps: _Steps) -> Routing | None:
    routing = point.routing
    if routing is None:
        return None
    strategy, explored = bandit_move(routing.strategy)
    routing = steps.set(
        routing,
        "routing",
        "spelt as in the list of known values; what follows it says whether the router explored",
        strategy=as_listed(strategy, Strategy),
        explored=explored if routing.explored is None else routing.explored,
    )
    routing = steps.set(routing, "routing", "a share of 1, not percent", confidence=_share(routing.confidence))
    routing = _propensities(routing, steps)
    history = steps.set(
        routing.historical_performance,
        "routing.historicalPerformance",
        "a share of 1, not percent",
        agent_success_rate=_share(routing.historical_performance.agent_success_rate),
        agent_avg_quality=_share(routing.historical_performance.agent_avg_quality),
    )
    return msgspec.structs.replace(routing, historical_performance=history)


def _propensities(routing: Routing, steps: _Steps) -> Routing:
    """Write propensities as shares where those of all candidates sum to 100; the chosen one's, where it agrees."""
    candidates = routing.alternatives_considered
    shares = {each.agent_id: each.propensity for each in candidates if each.propensity is not None}
    if not shares or len(shares) < len(candidates) or abs(sum(shares.values()) - _PERCENT) > _SUM_TOLERANCE:
        return routing
    why = "a share of 1, not percent: those of all candidates sum to 100"
    chosen = routing.propensity
    if chosen is not None and chosen == shares.get(routing.selected_agent.id or ""):
        routing = steps.set(routing, "routing", why, propensity=chosen / _PERCENT)
    alternatives = tuple(
        msgspec.structs.replace(each, propensity=shares[each.agent_id] / _PERCENT) for each in candidates
    )
    return steps.set(routing, "routing", why, _propensities_of, alternatives_considered=alternatives)


def _propensities_of(candidates: tuple[Candidate, ...]) -> dict[str, float | None]:
    return {each.agent_id: each.propensity for each in candidates}


def _execution(point: BenchmarkDataPoint, steps: _Steps) -> Execution | None:
    execution = point.execution
    if execution is None:
        return None
    why = "tools by one name each, in snake case"
    return steps.set(execution, "execution", why, _names_of, tools_used=united(execution.tools_used))


def _names_of(tools: tuple[ToolUse, ...]) -> list[str]:
    return [use.tool_name for use in tools]


def _labels(point: BenchmarkDataPoint, steps: _Steps) -> RlLabels:
    turns = tuple(
        steps.set(turn, f"rlLabels.turns[{place}]", "tools in snake case", tool_called=tool_name(turn.tool_called))
        for place, turn in enumerate(point.rl_labels.turns)
    )
    return msgspec.structs.replace(point.rl_labels, turns=turns)


def _share(value: float | None) -> float | None:
    """Return a rate as a share of 1; what is between a share and percent is left as it is."""
    return value / _PERCENT if value is not None and _SURELY_PERCENT < value <= _PERCENT else value
