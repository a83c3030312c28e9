"""Fields of the entries of lists: candidates of a routing, gates of an evaluation, turns of an execution."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Field, Value, make
from otel_benchmark.vocabulary.shared import TURN_SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping

CANDIDATES: Final = "candidates"
GATES: Final = "gates"
TURNS: Final = "turns"
"""Keys of the fields that are lists of objects; they become parallel arrays or events (`composites.py`)."""

ITEM_FIELDS: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {
        CANDIDATES: (
            make(
                "id",
                a.ROUTING_CANDIDATE_IDS,
                Value.IDENTIFIER,
                item="agent_id id candidate_id agent name . agent.id agent.agent_id",
            ),
            make("score", a.ROUTING_CANDIDATE_SCORES, Value.NUMBER, item="score value utility weight"),
            make("reason", a.ROUTING_CANDIDATE_REASONS, Value.TEXT, item="reason rationale explanation"),
            make("propensity", a.ROUTING_CANDIDATE_PROPENSITIES, Value.NUMBER, item="propensity probability"),
            make("capability_score", a.ROUTING_CANDIDATE_CAPABILITY_SCORES, Value.NUMBER, item="capability_score"),
            make("performance_score", a.ROUTING_CANDIDATE_PERFORMANCE_SCORES, Value.NUMBER, item="performance_score"),
            make("load_score", a.ROUTING_CANDIDATE_LOAD_SCORES, Value.NUMBER, item="load_score"),
        ),
        GATES: (
            make("name", a.GEN_AI_EVALUATION_NAME, Value.IDENTIFIER, item="name gate criterion id check . gate.name"),
            make("passed", a.GATE_PASSED, Value.FLAG, item="passed pass ok success !failed"),
            make("score", a.GEN_AI_EVALUATION_SCORE_VALUE, Value.NUMBER, item="score value"),
            make("threshold", a.GATE_THRESHOLD, Value.NUMBER, item="threshold min_score minimum"),
            make("mandatory", a.GATE_MANDATORY, Value.FLAG, item="mandatory required is_mandatory !optional"),
            make("label", a.GEN_AI_EVALUATION_SCORE_LABEL, Value.IDENTIFIER, item="label status verdict"),
            make("explanation", a.GEN_AI_EVALUATION_EXPLANATION, Value.TEXT, item="explanation reason message details"),
        ),
        TURNS: (
            make("number", a.TURN_NUMBER, Value.INTEGER, item="turn_number number turn index"),
            *(make(name, attribute, Value.NUMBER, item=f"{name} scores.{name}") for name, attribute in TURN_SCORES),
            make("reward", a.TURN_REWARD, Value.NUMBER, item="turn_reward reward"),
            make("tool", a.GEN_AI_TOOL_NAME, Value.IDENTIFIER, item="tool_called tool_name tool"),
        ),
    }
)
"""Fields of one entry of a list; in a mapping file `gates.passed` and the like, relative to the entry."""
