"""Fields of a tool call and of the turn it belongs to."""

from __future__ import annotations

from typing import Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Value, make
from otel_benchmark.vocabulary.shared import REFERENCE, TURN_SCORES

TOOL: Final = (
    *REFERENCE,
    make("name", a.GEN_AI_TOOL_NAME, Value.IDENTIFIER, parameter="tool_name tool", result="tool_name"),
    make("type", a.GEN_AI_TOOL_TYPE, Value.IDENTIFIER, parameter="tool_type", self="tool_type", result="tool_type"),
    make(
        "call.id",
        a.GEN_AI_TOOL_CALL_ID,
        Value.IDENTIFIER,
        parameter="tool_call_id call_id",
        result="tool_call_id call_id",
    ),
    make("success", a.TOOL_SUCCESS, Value.FLAG, result="success succeeded ok !is_error !failed"),
    make("effective", a.TOOL_EFFECTIVE, Value.FLAG, result="effective was_effective"),
    make("error.type", a.ERROR_TYPE, Value.IDENTIFIER, result="error_type error.type"),
    make(
        "turn.number",
        a.TURN_NUMBER,
        Value.INTEGER,
        parameter="turn_number turn",
        result="turn_number turn.turn_number turn.number turn",
    ),
    *(
        make(f"turn.{name}", attribute, Value.NUMBER, parameter=name, result=f"{name} turn.{name} scores.{name}")
        for name, attribute in TURN_SCORES
    ),
    make(
        "turn.reward",
        a.TURN_REWARD,
        Value.NUMBER,
        parameter="turn_reward",
        result="turn_reward turn.turn_reward turn.reward",
    ),
    make("arguments", a.GEN_AI_TOOL_CALL_ARGUMENTS, Value.CONTENT),
    make("result", a.GEN_AI_TOOL_CALL_RESULT, Value.CONTENT, result="."),
)
