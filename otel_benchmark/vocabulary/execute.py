"""Fields of an execution: the agent, its outcome, what it cost."""

from __future__ import annotations

from typing import Final

from otel_benchmark import attributes as a
from otel_benchmark.fields import Value, make
from otel_benchmark.vocabulary.items import TURNS
from otel_benchmark.vocabulary.shared import REFERENCE, selected


def _usage(*names: str) -> str:
    nested = ("usage", "token_usage", "tokens", "metrics")
    return " ".join((*names, *(f"{part}.{name}" for part in nested for name in names)))


def _metric(*names: str) -> str:
    nested = ("metrics", "resources", "usage")
    return " ".join((*names, *(f"{part}.{name}" for part in nested for name in names)))


EXECUTE: Final = (
    *REFERENCE,
    make(
        "agent.id",
        a.GEN_AI_AGENT_ID,
        Value.IDENTIFIER,
        a.AGENT_ID,
        parameter="agent_id agent",
        agent="agent_id id",
        decision="agent_id selected_agent_id selected_id " + selected("id"),
        result="agent_id agent.id",
    ),
    make(
        "agent.name",
        a.GEN_AI_AGENT_NAME,
        Value.IDENTIFIER,
        parameter="agent_name",
        agent="agent_name name",
        decision="agent_name " + selected("name"),
        result="agent_name agent.name",
    ),
    make(
        "agent.version",
        a.AGENT_VERSION,
        Value.IDENTIFIER,
        a.GEN_AI_AGENT_VERSION,
        parameter="agent_version",
        agent="agent_version version",
        result="agent_version agent.version",
    ),
    make(
        "model",
        a.GEN_AI_REQUEST_MODEL,
        Value.IDENTIFIER,
        parameter="model model_name",
        agent="model_name model_id model model.name",
        decision="model " + selected("model"),
        result="model_name model usage.model",
    ),
    make(
        "provider",
        a.GEN_AI_PROVIDER_NAME,
        Value.IDENTIFIER,
        parameter="provider",
        agent="provider model_provider",
        result="provider",
    ),
    make(
        "input_tokens",
        a.GEN_AI_USAGE_INPUT_TOKENS,
        Value.INTEGER,
        result=_usage("input_tokens", "prompt_tokens", "input"),
    ),
    make(
        "output_tokens",
        a.GEN_AI_USAGE_OUTPUT_TOKENS,
        Value.INTEGER,
        result=_usage("output_tokens", "completion_tokens", "output"),
    ),
    make(
        "thinking_tokens",
        a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
        Value.INTEGER,
        result=_usage("thinking_tokens", "reasoning_tokens", "thinking", "reasoning"),
    ),
    make(
        "cached_tokens",
        a.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
        Value.INTEGER,
        result=_usage("cached_tokens", "cache_read_input_tokens", "cached"),
    ),
    make("success", a.EXECUTION_SUCCESS, Value.FLAG, result="success succeeded is_success ok !failed"),
    make("partial_success", a.EXECUTION_PARTIAL_SUCCESS, Value.FLAG, result="partial_success partially_succeeded"),
    make(
        "failure_reason",
        a.EXECUTION_FAILURE_REASON,
        Value.TEXT,
        result="failure_reason error_message error error.message",
    ),
    make("cpu_time_ms", a.EXECUTION_CPU_TIME_MS, Value.NUMBER, result=_metric("cpu_time_ms")),
    make("memory_peak_bytes", a.EXECUTION_MEMORY_PEAK_BYTES, Value.INTEGER, result=_metric("memory_peak_bytes")),
    make("cost_usd", a.EXECUTION_COST_USD, Value.NUMBER, result=_metric("cost_usd", "total_cost_usd")),
    make("error.type", a.ERROR_TYPE, Value.IDENTIFIER, result="error_type error.type"),
    make(TURNS, "turns", Value.ITEMS, result="turns"),
    make(
        "input_messages",
        a.GEN_AI_INPUT_MESSAGES,
        Value.CONTENT,
        parameter="messages input_messages",
        result="input_messages",
    ),
    make(
        "output_messages",
        a.GEN_AI_OUTPUT_MESSAGES,
        Value.CONTENT,
        result="output_messages messages conversation transcript",
    ),
    make("patch", a.DIFF_PATCH, Value.CONTENT, result="patch diff diff.patch"),
    make("before", a.DIFF_BEFORE, Value.CONTENT, result="before before_content diff.before"),
    make("after", a.DIFF_AFTER, Value.CONTENT, result="after after_content diff.after"),
    make("self_reflection", a.SELF_REFLECTION, Value.CONTENT, result="self_reflection reflection"),
)
