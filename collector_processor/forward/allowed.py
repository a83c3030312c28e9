"""Which attributes may leave with a forwarded span, and as what: names of the contract that hold no free text.

Each name has one form; a value of another form is left out, so that no text travels where a number belongs. A name
that stands nowhere here stays: what is not known to be harmless is not forwarded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from collector_processor.model.ranges import BEYOND
from otel_benchmark import attributes as a

MAX_TEXT: Final = 256
"""Characters of an identifier or a name; what is longer is no such thing."""
MAX_ITEMS: Final = 256

Form = Callable[[Any], bool]
"""Whether an AnyValue has this form."""


def is_name(text: str) -> bool:
    """Whether a text could be an identifier or a name: short, on one line, nothing that can't be printed."""
    return 0 < len(text) <= MAX_TEXT and text.isprintable()


def _text(value: Any) -> bool:
    return value.WhichOneof("value") == "string_value" and is_name(value.string_value)


def _number(value: Any) -> bool:
    # What is infinite or not a number, or as long as a card's, stands in no record; the former make Jaeger's query API
    # fail for the whole trace.
    kind = value.WhichOneof("value")
    return kind in ("int_value", "double_value") and -BEYOND < getattr(value, kind) < BEYOND


def _flag(value: Any) -> bool:
    return bool(value.WhichOneof("value") == "bool_value")


def _list_of(form: Form) -> Form:
    def is_list(value: Any) -> bool:
        if value.WhichOneof("value") != "array_value":
            return False
        items = value.array_value.values
        # An empty value stands for an entry that has none.
        return len(items) <= MAX_ITEMS and all(item.WhichOneof("value") is None or form(item) for item in items)

    return is_list


_NAMES: Final[Mapping[Form, tuple[str, ...]]] = {
    _text: (
        a.AGENT_ID,
        a.AGENT_VERSION,
        a.CAWS_SIGNATURE,
        a.CAWS_SPEC_ID,
        a.CAWS_VERDICT_ID,
        a.CAWS_VERSION,
        a.EMITTER_ID,
        a.ERROR_TYPE,
        a.EVALUATOR_KIND,
        a.EVALUATOR_NAME,
        a.EVALUATOR_VERSION,
        a.FORMER_PROVIDER_NAME,
        a.GEN_AI_AGENT_ID,
        a.GEN_AI_AGENT_NAME,
        a.GEN_AI_AGENT_VERSION,
        a.GEN_AI_CONVERSATION_ID,
        a.GEN_AI_EVALUATION_NAME,
        a.GEN_AI_EVALUATION_SCORE_LABEL,
        a.GEN_AI_OPERATION_NAME,
        a.GEN_AI_PROVIDER_NAME,
        a.GEN_AI_REQUEST_MODEL,
        a.GEN_AI_RESPONSE_MODEL,
        a.GEN_AI_TOOL_CALL_ID,
        a.GEN_AI_TOOL_NAME,
        a.GEN_AI_TOOL_TYPE,
        a.PROVENANCE_COMMIT_HASH,
        a.ROUTING_POLICY_VERSION,
        a.ROUTING_SELECTED_ID,
        a.ROUTING_SELECTED_MODEL_FAMILY,
        a.ROUTING_SELECTED_NAME,
        a.ROUTING_STRATEGY,
        a.RUBRIC_VERSION,
        a.SAMPLER,
        a.TASK_COMPLEXITY,
        a.TASK_GROUP_ID,
        a.TASK_ID,
        a.TASK_PARENT_ID,
        a.TASK_TYPE,
    ),
    _list_of(_text): (a.CAWS_GATES_PASSED, a.CAWS_WAIVERS, a.ROUTING_CANDIDATE_IDS),
    _number: (
        a.CAWS_BUDGET_FILES_LIMIT,
        a.CAWS_BUDGET_FILES_USED,
        a.CAWS_BUDGET_LOC_LIMIT,
        a.CAWS_BUDGET_LOC_USED,
        a.CAWS_SCORE_BUDGET_ADHERENCE,
        a.CAWS_SCORE_EVIDENCE_COMPLETENESS,
        a.CAWS_SCORE_GATE_INTEGRITY,
        a.CAWS_SCORE_PROVENANCE_CLARITY,
        a.COLLECTION_OVERHEAD_MS,
        a.DIFF_AST_SIMILARITY,
        a.DIFF_FILES_TOUCHED,
        a.DIFF_LINE_CHANGE_RATIO,
        a.DIFF_REWARD_MULTIPLIER,
        a.DIFF_SCAFFOLDING_PENALTY,
        a.EMITTER_SEQUENCE,
        a.EVALUATION_OVERALL_SCORE,
        a.EXECUTION_COST_USD,
        a.EXECUTION_CPU_TIME_MS,
        a.EXECUTION_MEMORY_PEAK_BYTES,
        a.FORMER_USAGE_INPUT_TOKENS,
        a.FORMER_USAGE_OUTPUT_TOKENS,
        a.GATE_THRESHOLD,
        a.GEN_AI_EVALUATION_SCORE_VALUE,
        a.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
        a.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
        a.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
        a.GEN_AI_USAGE_INPUT_TOKENS,
        a.GEN_AI_USAGE_OUTPUT_TOKENS,
        a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
        a.ROUTING_CONFIDENCE,
        a.ROUTING_HISTORY_AVG_QUALITY,
        a.ROUTING_HISTORY_SUCCESS_RATE,
        a.ROUTING_HISTORY_TASK_COUNT,
        a.ROUTING_PROPENSITY,
        a.RUBRIC_COST,
        a.RUBRIC_FORMAT,
        a.RUBRIC_MINIMAL,
        a.RUBRIC_SAFETY,
        a.RUBRIC_TASK,
        a.RUBRIC_TOOL,
        a.TASK_ATTEMPT,
        a.TASK_REWARD,
        a.TURN_FORMAT_CORRECTNESS,
        a.TURN_INFORMATION_GAIN,
        a.TURN_NUMBER,
        a.TURN_REWARD,
        a.TURN_SAFETY_SCORE,
        a.TURN_TASK_PROGRESS,
    ),
    _list_of(_number): (
        a.ROUTING_CANDIDATE_CAPABILITY_SCORES,
        a.ROUTING_CANDIDATE_LOAD_SCORES,
        a.ROUTING_CANDIDATE_PERFORMANCE_SCORES,
        a.ROUTING_CANDIDATE_PROPENSITIES,
        a.ROUTING_CANDIDATE_SCORES,
    ),
    _flag: (
        a.CAWS_BUDGET_COMPLIANT,
        a.CAWS_COMPLIANT,
        a.EVALUATION_PASSED_ALL_MANDATORY,
        a.EXECUTION_PARTIAL_SUCCESS,
        a.EXECUTION_SUCCESS,
        a.GATE_MANDATORY,
        a.GATE_PASSED,
        a.PROVENANCE_AI_ASSISTED,
        a.PROVENANCE_HUMAN_REVIEWED,
        a.ROUTING_EXPLORED,
        a.TOOL_EFFECTIVE,
        a.TOOL_SUCCESS,
    ),
}

SPAN: Final[Mapping[str, Form]] = {name: form for form, names in _NAMES.items() for name in names}
"""Attributes of spans. Tenants are no part of it: `redact` hashes them."""

EVENTS: Final[Mapping[str, Mapping[str, Form]]] = {
    a.GEN_AI_EVALUATION_EVENT: SPAN,
    a.TURN_EVENT: SPAN,
    a.EXCEPTION_EVENT: {a.EXCEPTION_TYPE: _text},
}
"""Events that leave, each with its attributes."""

RESOURCE: Final[Mapping[str, Form]] = dict.fromkeys(
    (
        a.DEPLOYMENT_ENVIRONMENT_NAME,
        a.FORMER_DEPLOYMENT_ENVIRONMENT,
        a.SERVICE_NAME,
        a.SERVICE_NAMESPACE,
        a.SERVICE_VERSION,
        a.TELEMETRY_SDK_LANGUAGE,
        a.TELEMETRY_SDK_NAME,
        a.TELEMETRY_SDK_VERSION,
    ),
    _text,
)
