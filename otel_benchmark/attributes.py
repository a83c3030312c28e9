"""The span contract: every name that crosses the wire between an application and the processor.

This is the one home of attribute names, span names and value enums. The plugin writes them, the processor
reads them, and an emitter in another language follows the same table (the span contract in README.md here). Standard
library only, so that importing it costs nothing.

Names that OpenTelemetry's GenAI conventions define are used as they are. Followed: the registry of
open-telemetry/semantic-conventions-genai at commit 9f1b0bb4320aba1797371a60f19ab07bad938932 (it has no release yet).
The orchestrator's own facts live under `arbiter.`, the evaluation's governance under `caws.`. Nothing of ours is put
under `otel.` or `gen_ai.`.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from typing import Final

SCOPE_NAME: Final = "otel_benchmark"
"""Instrumentation scope of every span that our plugin emits."""


class Kind(StrEnum):
    """The five lifecycle spans. The value is the first word of the span's name, which a header-only parse sees."""

    TASK = "task"
    ROUTE = "route"
    EXECUTION = "invoke_agent"
    TOOL_CALL = "execute_tool"
    EVALUATION = "evaluate"


# -- Values ----------------------------------------------------------------------------------------


class TaskType(StrEnum):
    """Task types of the strategy document; an operator's `TASK_TYPES` may add others."""

    CODE_EDITING = "code-editing"
    RESEARCH = "research"
    DATA_ANALYSIS = "data-analysis"
    DESIGN = "design"
    PLANNING = "planning"


class Complexity(StrEnum):
    """How hard a task is, as its sender judged."""

    TRIVIAL = "trivial"
    STANDARD = "standard"
    COMPLEX = "complex"


class Strategy(StrEnum):
    """How the router chose. `multi-armed-bandit-explore` and `-exploit` are read as the first plus `explored`."""

    MULTI_ARMED_BANDIT = "multi-armed-bandit"
    CAPABILITY_MATCH = "capability-match"
    LOAD_BALANCE = "load-balance"
    FALLBACK = "fallback"


class EvaluatorKind(StrEnum):
    """Who judged."""

    RULE = "rule"
    MODEL = "model"
    HUMAN = "human"


# -- OpenTelemetry's own names ---------------------------------------------------------------------

DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
ERROR_TYPE: Final = "error.type"
EVENT_NAME: Final = "event.name"
"""Where a log record that is an event said its name before it had a field for it."""
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_TYPE: Final = "exception.type"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"
USER_ID: Final = "user.id"

GEN_AI_PREFIX: Final = "gen_ai."
"""Of the names of all GenAI events: a log record of such a name goes with the task of the span that it names."""
GEN_AI_AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
GEN_AI_AGENT_ID: Final = "gen_ai.agent.id"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
GEN_AI_AGENT_VERSION: Final = "gen_ai.agent.version"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
GEN_AI_EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
GEN_AI_EVALUATION_NAME: Final = "gen_ai.evaluation.name"
GEN_AI_EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
GEN_AI_EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
GEN_AI_TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
GEN_AI_TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
GEN_AI_TOOL_TYPE: Final = "gen_ai.tool.type"
GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

FORMER_DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment"
FORMER_PROVIDER_NAME: Final = "gen_ai.system"
FORMER_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.prompt_tokens"
FORMER_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.completion_tokens"
"""What the conventions called these before: read, never written."""

OPERATION_INVOKE_AGENT: Final = "invoke_agent"
OPERATION_EXECUTE_TOOL: Final = "execute_tool"
MODEL_OPERATIONS: Final = frozenset({"chat", "generate_content", "text_completion"})
"""`gen_ai.operation.name` of a model call: its usage is summed where an execution reports none of its own."""

# -- Messages as others write them: read, never written ---------------------------------------------

GEN_AI_DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
"""Carries the attributes of a model call's messages, as a log record or as an event of its span."""
FORMER_MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""Name of an event that carried one message → the message's role; the choice is the model's answer."""
FORMER_CHOICE_EVENT: Final = "gen_ai.choice"
FORMER_PROMPT: Final = "gen_ai.prompt"
FORMER_COMPLETION: Final = "gen_ai.completion"
"""OpenLLMetry: `gen_ai.prompt.N.{role,content,tool_call_id}`, `….tool_calls.M.{id,name,arguments}`."""

OPENINFERENCE_KIND: Final = "openinference.span.kind"
OPENINFERENCE_INPUT_MESSAGES: Final = "llm.input_messages"
OPENINFERENCE_OUTPUT_MESSAGES: Final = "llm.output_messages"
"""OpenInference: `llm.input_messages.N.message.{role,content,name,tool_call_id}` and what lists below it hold."""
OPENINFERENCE_INPUT: Final = "input.value"
OPENINFERENCE_OUTPUT: Final = "output.value"
OPENINFERENCE_TOOL_NAME: Final = "tool.name"
OPENINFERENCE_TOOL_CALL_ID: Final = "tool_call.id"
OPENINFERENCE_EVALUATOR: Final = "EVALUATOR"
"""The kind of a span that judges another one, to which it links."""
OPENINFERENCE_FEEDBACK: Final = (
    "evaluations.{}.evaluation.",
    "annotations.{}.annotation.",
    "trace.evaluations.{}.evaluation.",
    "trace.annotations.{}.annotation.",
)
"""What stands before `name`, `score`, `label`, `explanation` and `annotator_kind` of a result; numbered from 0."""
OPENINFERENCE_FEEDBACK_NAMES: Final = (".evaluation.name", ".annotation.name")
"""How an attribute ends that every result has."""

TRACELOOP_KIND: Final = "traceloop.span.kind"
TRACELOOP_ENTITY_NAME: Final = "traceloop.entity.name"
TRACELOOP_ENTITY_INPUT: Final = "traceloop.entity.input"
TRACELOOP_ENTITY_OUTPUT: Final = "traceloop.entity.output"
LLM_REQUEST_TYPE: Final = "llm.request.type"
"""OpenLLMetry's mark of a model call: `chat` or `completion`."""

# -- The orchestrator ------------------------------------------------------------------------------

TASK_ID: Final = "arbiter.task.id"
TASK_TYPE: Final = "arbiter.task.type"
TASK_COMPLEXITY: Final = "arbiter.task.complexity"
TASK_REQUIREMENTS: Final = "arbiter.task.requirements"
TASK_DESCRIPTION: Final = "arbiter.task.description"
TASK_PARENT_ID: Final = "arbiter.task.parent_id"
TASK_GROUP_ID: Final = "arbiter.task.group_id"
TASK_ATTEMPT: Final = "arbiter.task.attempt"
TASK_REWARD: Final = "arbiter.task.reward"
TENANT_ID: Final = "arbiter.tenant.id"
TENANT_HASH: Final = "arbiter.tenant.hash"

EMITTER_ID: Final = "arbiter.emitter.id"
EMITTER_SEQUENCE: Final = "arbiter.emitter.sequence"
COLLECTION_OVERHEAD_MS: Final = "arbiter.collection.overhead_ms"
SAMPLER: Final = "arbiter.sampler"

AGENT_ID: Final = "arbiter.agent.id"
AGENT_VERSION: Final = "arbiter.agent.version"

ROUTING_STRATEGY: Final = "arbiter.routing.strategy"
ROUTING_CONFIDENCE: Final = "arbiter.routing.confidence"
ROUTING_RATIONALE: Final = "arbiter.routing.rationale"
ROUTING_EXPLORED: Final = "arbiter.routing.explored"
ROUTING_PROPENSITY: Final = "arbiter.routing.propensity"
ROUTING_POLICY_VERSION: Final = "arbiter.routing.policy.version"
ROUTING_CANDIDATE_IDS: Final = "arbiter.routing.candidate.ids"
ROUTING_CANDIDATE_SCORES: Final = "arbiter.routing.candidate.scores"
ROUTING_CANDIDATE_REASONS: Final = "arbiter.routing.candidate.reasons"
ROUTING_CANDIDATE_PROPENSITIES: Final = "arbiter.routing.candidate.propensities"
ROUTING_CANDIDATE_CAPABILITY_SCORES: Final = "arbiter.routing.candidate.capability_scores"
ROUTING_CANDIDATE_PERFORMANCE_SCORES: Final = "arbiter.routing.candidate.performance_scores"
ROUTING_CANDIDATE_LOAD_SCORES: Final = "arbiter.routing.candidate.load_scores"
ROUTING_SELECTED_ID: Final = "arbiter.routing.selected.id"
ROUTING_SELECTED_NAME: Final = "arbiter.routing.selected.name"
ROUTING_SELECTED_MODEL_FAMILY: Final = "arbiter.routing.selected.model_family"
ROUTING_HISTORY_SUCCESS_RATE: Final = "arbiter.routing.history.success_rate"
ROUTING_HISTORY_AVG_QUALITY: Final = "arbiter.routing.history.avg_quality"
ROUTING_HISTORY_TASK_COUNT: Final = "arbiter.routing.history.task_count"

EXECUTION_SUCCESS: Final = "arbiter.execution.success"
EXECUTION_PARTIAL_SUCCESS: Final = "arbiter.execution.partial_success"
EXECUTION_FAILURE_REASON: Final = "arbiter.execution.failure_reason"
EXECUTION_CPU_TIME_MS: Final = "arbiter.execution.cpu_time_ms"
EXECUTION_MEMORY_PEAK_BYTES: Final = "arbiter.execution.memory_peak_bytes"
EXECUTION_COST_USD: Final = "arbiter.execution.cost_usd"

TURN_EVENT: Final = "arbiter.turn"
"""Event on the execution span: a turn without a tool call."""
TURN_NUMBER: Final = "arbiter.turn.number"
TURN_INFORMATION_GAIN: Final = "arbiter.turn.information_gain"
TURN_FORMAT_CORRECTNESS: Final = "arbiter.turn.format_correctness"
TURN_TASK_PROGRESS: Final = "arbiter.turn.task_progress"
TURN_SAFETY_SCORE: Final = "arbiter.turn.safety_score"
TURN_REWARD: Final = "arbiter.turn.reward"
TOOL_SUCCESS: Final = "arbiter.tool.success"
TOOL_EFFECTIVE: Final = "arbiter.tool.effective"

EVALUATION_OVERALL_SCORE: Final = "arbiter.evaluation.overall_score"
EVALUATION_PASSED_ALL_MANDATORY: Final = "arbiter.evaluation.passed_all_mandatory"
EVALUATOR_NAME: Final = "arbiter.evaluation.evaluator.name"
EVALUATOR_VERSION: Final = "arbiter.evaluation.evaluator.version"
EVALUATOR_KIND: Final = "arbiter.evaluation.evaluator.kind"
RUBRIC_VERSION: Final = "arbiter.evaluation.rubric.version"
RUBRIC_FORMAT: Final = "arbiter.rubric.format"
RUBRIC_TOOL: Final = "arbiter.rubric.tool"
RUBRIC_TASK: Final = "arbiter.rubric.task"
RUBRIC_MINIMAL: Final = "arbiter.rubric.minimal"
RUBRIC_COST: Final = "arbiter.rubric.cost"
RUBRIC_SAFETY: Final = "arbiter.rubric.safety"
DIFF_AST_SIMILARITY: Final = "arbiter.diff.ast_similarity"
DIFF_FILES_TOUCHED: Final = "arbiter.diff.files_touched"
DIFF_LINE_CHANGE_RATIO: Final = "arbiter.diff.line_change_ratio"
DIFF_SCAFFOLDING_PENALTY: Final = "arbiter.diff.scaffolding_penalty"
DIFF_REWARD_MULTIPLIER: Final = "arbiter.diff.reward_multiplier"
GATE_PASSED: Final = "arbiter.gate.passed"
GATE_THRESHOLD: Final = "arbiter.gate.threshold"
GATE_MANDATORY: Final = "arbiter.gate.mandatory"

DIFF_PATCH: Final = "arbiter.diff.patch"
DIFF_BEFORE: Final = "arbiter.diff.before"
DIFF_AFTER: Final = "arbiter.diff.after"
JUDGE_REASONING: Final = "arbiter.judge.reasoning"
SELF_REFLECTION: Final = "arbiter.self_reflection"

PROVENANCE_AI_ASSISTED: Final = "arbiter.provenance.ai_assisted"
PROVENANCE_HUMAN_REVIEWED: Final = "arbiter.provenance.human_reviewed"
PROVENANCE_COMMIT_HASH: Final = "arbiter.provenance.commit_hash"

# -- CAWS: the governance of an evaluation ---------------------------------------------------------

CAWS_COMPLIANT: Final = "caws.compliant"
CAWS_BUDGET_COMPLIANT: Final = "caws.budget_compliant"
CAWS_VERSION: Final = "caws.version"
CAWS_SPEC_ID: Final = "caws.spec.id"
CAWS_VERDICT_ID: Final = "caws.verdict.id"
CAWS_WAIVERS: Final = "caws.waivers"
CAWS_GATES_PASSED: Final = "caws.gates_passed"
CAWS_SIGNATURE: Final = "caws.signature"
CAWS_SCORE_EVIDENCE_COMPLETENESS: Final = "caws.score.evidence_completeness"
CAWS_SCORE_BUDGET_ADHERENCE: Final = "caws.score.budget_adherence"
CAWS_SCORE_GATE_INTEGRITY: Final = "caws.score.gate_integrity"
CAWS_SCORE_PROVENANCE_CLARITY: Final = "caws.score.provenance_clarity"
CAWS_BUDGET_FILES_USED: Final = "caws.budget.files_used"
CAWS_BUDGET_FILES_LIMIT: Final = "caws.budget.files_limit"
CAWS_BUDGET_LOC_USED: Final = "caws.budget.loc_used"
CAWS_BUDGET_LOC_LIMIT: Final = "caws.budget.loc_limit"

CONTENT_ATTRIBUTES: Final = frozenset(
    {
        GEN_AI_INPUT_MESSAGES,
        GEN_AI_OUTPUT_MESSAGES,
        GEN_AI_TOOL_CALL_ARGUMENTS,
        GEN_AI_TOOL_CALL_RESULT,
        DIFF_PATCH,
        DIFF_BEFORE,
        DIFF_AFTER,
        JUDGE_REASONING,
        SELF_REFLECTION,
    }
)
"""Recorded only where the operator opted in (`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`)."""

# -- The data point behind a forwarded span -------------------------------------------------------------------------

POINT_ID: Final = "arbiter.point.id"
POINT_STATE: Final = "arbiter.point.state"
POINT_VALID: Final = "arbiter.point.valid"
POINT_OUTCOME: Final = "arbiter.point.outcome"
POINT_GATES_FAILED: Final = "arbiter.point.gates_failed"

POINT_ATTRIBUTES: Final = frozenset({POINT_ID, POINT_STATE, POINT_VALID, POINT_OUTCOME, POINT_GATES_FAILED})
"""Written by the processor on what it forwards, never read: from a trace they lead to the row, `WHERE id = …`."""

# -- Tenants -----------------------------------------------------------------------------------------------------


def tenant_hash(key: bytes, tenant: str) -> str:
    """Return the keyed hash under which a tenant is known: 64 hex digits of HMAC-SHA256.

    The plugin applies it at the source and the processor to tenants that arrive in clear, so one key gives one
    tenant the same name on both ways. The prefix keeps the key's other uses apart from this one.
    """
    return hmac.digest(key, b"otel-benchmark/tenant\0" + tenant.encode("utf-8", "surrogatepass"), "sha256").hex()
