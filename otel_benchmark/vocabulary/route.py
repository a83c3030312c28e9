"""Fields of a routing decision: who was chosen among whom, how, and with which probability."""

from __future__ import annotations

from typing import Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Value, make
from otel_benchmark.vocabulary.items import CANDIDATES
from otel_benchmark.vocabulary.shared import REFERENCE, selected


def _history(name: str, *short: str) -> str:
    nested = ("history", "historical_performance", "agent_history", "agent.history")
    return " ".join((name, *short, *(f"{part}.{word}" for part in nested for word in (name, *short))))


ROUTE: Final = (
    *REFERENCE,
    make(
        "strategy",
        a.ROUTING_STRATEGY,
        Value.IDENTIFIER,
        parameter="strategy",
        result="strategy routing_strategy",
        self="strategy",
    ),
    make("confidence", a.ROUTING_CONFIDENCE, Value.NUMBER, result="confidence"),
    make("rationale", a.ROUTING_RATIONALE, Value.TEXT, result="rationale reason explanation"),
    make("explored", a.ROUTING_EXPLORED, Value.FLAG, result="explored explore exploration is_exploration"),
    make("propensity", a.ROUTING_PROPENSITY, Value.NUMBER, result="propensity selection_probability probability"),
    make(
        "policy.version",
        a.ROUTING_POLICY_VERSION,
        Value.IDENTIFIER,
        result="policy_version policy.version",
        self="policy_version version",
    ),
    make(
        CANDIDATES,
        "candidates",
        Value.ITEMS,
        parameter="candidates",
        result="alternatives_considered alternatives candidates considered options scores",
    ),
    make("candidate.ids", a.ROUTING_CANDIDATE_IDS, Value.TEXTS, result="candidate_ids"),
    make("candidate.scores", a.ROUTING_CANDIDATE_SCORES, Value.AMOUNTS, result="candidate_scores"),
    make("candidate.reasons", a.ROUTING_CANDIDATE_REASONS, Value.TEXTS, result="candidate_reasons"),
    make("candidate.propensities", a.ROUTING_CANDIDATE_PROPENSITIES, Value.AMOUNTS, result="candidate_propensities"),
    make(
        "candidate.capability_scores",
        a.ROUTING_CANDIDATE_CAPABILITY_SCORES,
        Value.AMOUNTS,
        result="candidate_capability_scores",
    ),
    make(
        "candidate.performance_scores",
        a.ROUTING_CANDIDATE_PERFORMANCE_SCORES,
        Value.AMOUNTS,
        result="candidate_performance_scores",
    ),
    make("candidate.load_scores", a.ROUTING_CANDIDATE_LOAD_SCORES, Value.AMOUNTS, result="candidate_load_scores"),
    make(
        "selected.id",
        a.ROUTING_SELECTED_ID,
        Value.IDENTIFIER,
        result=(
            "agent_id selected_agent_id selected_id agent selected_agent selected chosen winner "
            f"{selected('id', 'agent_id')} id ."
        ),
    ),
    make(
        "selected.name",
        a.ROUTING_SELECTED_NAME,
        Value.IDENTIFIER,
        result=f"agent_name selected_agent_name name {selected('name')}",
    ),
    make(
        "selected.model_family",
        a.ROUTING_SELECTED_MODEL_FAMILY,
        Value.IDENTIFIER,
        result=f"model_family {selected('model_family', 'family')}",
    ),
    make(
        "history.success_rate",
        a.ROUTING_HISTORY_SUCCESS_RATE,
        Value.NUMBER,
        result=_history("agent_success_rate", "success_rate"),
    ),
    make(
        "history.avg_quality",
        a.ROUTING_HISTORY_AVG_QUALITY,
        Value.NUMBER,
        result=_history("agent_avg_quality", "avg_quality"),
    ),
    make(
        "history.task_count",
        a.ROUTING_HISTORY_TASK_COUNT,
        Value.INTEGER,
        result=_history("agent_task_count", "task_count"),
    ),
)
