"""The span contract as a table: what an emitter in any language writes so that the processor understands it.

`attributes` spells the names, this module says which span carries them, of which type, and what they mean. A test
holds the two together. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from otel_benchmark import attributes as a

STRING: Final = "string"
STRINGS: Final = "string[]"
DOUBLE: Final = "double"
DOUBLES: Final = "double[]"
INT: Final = "int"
BOOL: Final = "boolean"


class Attribute(NamedTuple):
    """One attribute: its name, its OTLP type and what it says."""

    name: str
    type: str
    meaning: str


class Carrier(NamedTuple):
    """A span, or an event on it: how it is named, what confirms it, and the attributes that it carries.

    `confirmed_by` are attributes of which one has to be there beside the name.
    """

    kind: str
    name: str
    confirmed_by: tuple[str, ...]
    meaning: str
    attributes: tuple[Attribute, ...]


def _of(*rows: tuple[str, str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(*row) for row in rows)


def _join(names: Sequence[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


_ON_EVERY_SPAN: Final = _of(
    (a.TASK_ID, STRING, "the task's id in the application; joins spans that come without the task's context"),
    (a.TENANT_ID, STRING, "the tenant in clear: the processor hashes it before anything is stored"),
    (a.TENANT_HASH, STRING, "the tenant, keyed-hashed at the source: 64 hex digits"),
    (a.ERROR_TYPE, STRING, "the class of the error that ended it"),
)

_GOVERNANCE: Final = _of(
    (a.CAWS_COMPLIANT, BOOL, "the evaluation complies with CAWS"),
    (a.CAWS_BUDGET_COMPLIANT, BOOL, "the change stayed within its budget"),
    (a.CAWS_VERSION, STRING, "version of CAWS"),
    (a.CAWS_SPEC_ID, STRING, "the working specification"),
    (a.CAWS_VERDICT_ID, STRING, "the verdict"),
    (a.CAWS_WAIVERS, STRINGS, "waivers that were used"),
    (a.CAWS_GATES_PASSED, STRINGS, "gates that were passed"),
    (a.CAWS_SIGNATURE, STRING, "the arbiter's signature"),
    (a.CAWS_SCORE_EVIDENCE_COMPLETENESS, DOUBLE, "0..1"),
    (a.CAWS_SCORE_BUDGET_ADHERENCE, DOUBLE, "0..1"),
    (a.CAWS_SCORE_GATE_INTEGRITY, DOUBLE, "0..1"),
    (a.CAWS_SCORE_PROVENANCE_CLARITY, DOUBLE, "0..1"),
    (a.CAWS_BUDGET_FILES_USED, INT, "files changed"),
    (a.CAWS_BUDGET_FILES_LIMIT, INT, "files that may be changed"),
    (a.CAWS_BUDGET_LOC_USED, INT, "lines changed"),
    (a.CAWS_BUDGET_LOC_LIMIT, INT, "lines that may be changed"),
    (a.PROVENANCE_AI_ASSISTED, BOOL, "a model had a part in it"),
    (a.PROVENANCE_HUMAN_REVIEWED, BOOL, "a person reviewed it"),
    (a.PROVENANCE_COMMIT_HASH, STRING, "the commit that it was about"),
)

_DIFF_CONTENT: Final = _of(
    (a.DIFF_PATCH, STRING, "unified diff; opt-in"),
    (a.DIFF_BEFORE, STRING, "content before; opt-in"),
    (a.DIFF_AFTER, STRING, "content after; opt-in"),
)

_TURN: Final = _of(
    (a.TURN_NUMBER, INT, "number of the turn, from 1; parallel calls share one"),
    (a.TURN_INFORMATION_GAIN, DOUBLE, "0..1"),
    (a.TURN_FORMAT_CORRECTNESS, DOUBLE, "0..1"),
    (a.TURN_TASK_PROGRESS, DOUBLE, "0..1"),
    (a.TURN_SAFETY_SCORE, DOUBLE, "0..1"),
    (a.TURN_REWARD, DOUBLE, "the application's own reward of the turn"),
)

_AGENT: Final = _of(
    (a.GEN_AI_AGENT_ID, STRING, "who executes"),
    (a.AGENT_ID, STRING, "the same; the GenAI conventions dropped theirs on this span"),
    (a.GEN_AI_AGENT_NAME, STRING, "its name"),
    (a.GEN_AI_AGENT_VERSION, STRING, "its version"),
    (a.AGENT_VERSION, STRING, "the same"),
)

_TASK_ATTRIBUTES: Final = _of(
    (a.TASK_TYPE, STRING, ", ".join(a.TaskType) + " or a type of your own"),
    (a.TASK_COMPLEXITY, STRING, ", ".join(a.Complexity)),
    (a.TASK_REQUIREMENTS, STRINGS, "what was asked for"),
    (a.TASK_DESCRIPTION, STRING, "free text; redacted, cut at 2 kB"),
    (a.TASK_PARENT_ID, STRING, "the task that delegated this one"),
    (a.TASK_GROUP_ID, STRING, "several attempts at one task share it"),
    (a.TASK_ATTEMPT, INT, "which of them this is, from 1"),
    (a.TASK_REWARD, DOUBLE, "the application's own reward; else it is computed"),
    (a.GEN_AI_CONVERSATION_ID, STRING, "the conversation or session"),
    (a.USER_ID, STRING, "pseudonymised by the processor"),
    (a.EMITTER_ID, STRING, "random, one a process"),
    (a.EMITTER_SEQUENCE, INT, "1, 2, 3 … of the process's recording task spans: gaps are lost tasks"),
    (a.COLLECTION_OVERHEAD_MS, DOUBLE, "time that the instrumentation itself took"),
    (a.SAMPLER, STRING, "description of the root sampler, from which weights are derived"),
)

_ROUTE_ATTRIBUTES: Final = _of(
    (a.ROUTING_SELECTED_ID, STRING, "the agent that was chosen"),
    (a.ROUTING_SELECTED_NAME, STRING, "its name"),
    (a.ROUTING_SELECTED_MODEL_FAMILY, STRING, "its model family"),
    (a.ROUTING_STRATEGY, STRING, ", ".join(a.Strategy)),
    (a.ROUTING_CONFIDENCE, DOUBLE, "0..1"),
    (a.ROUTING_RATIONALE, STRING, "free text; redacted, cut at 2 kB"),
    (a.ROUTING_EXPLORED, BOOL, "chosen to learn, not because it was thought best"),
    (a.ROUTING_PROPENSITY, DOUBLE, "(0, 1]: the policy's probability of this choice"),
    (a.ROUTING_POLICY_VERSION, STRING, "version of the policy"),
    (a.ROUTING_CANDIDATE_IDS, STRINGS, "all that were considered, the chosen one among them"),
    (a.ROUTING_CANDIDATE_SCORES, DOUBLES, "in parallel with the ids"),
    (a.ROUTING_CANDIDATE_REASONS, STRINGS, "in parallel with the ids"),
    (a.ROUTING_CANDIDATE_PROPENSITIES, DOUBLES, "in parallel with the ids; they sum to 1"),
    (a.ROUTING_CANDIDATE_CAPABILITY_SCORES, DOUBLES, "in parallel with the ids"),
    (a.ROUTING_CANDIDATE_PERFORMANCE_SCORES, DOUBLES, "in parallel with the ids"),
    (a.ROUTING_CANDIDATE_LOAD_SCORES, DOUBLES, "in parallel with the ids"),
    (a.ROUTING_HISTORY_SUCCESS_RATE, DOUBLE, "0..1: what the router knew of the chosen one"),
    (a.ROUTING_HISTORY_AVG_QUALITY, DOUBLE, "0..1"),
    (a.ROUTING_HISTORY_TASK_COUNT, INT, "tasks that this is based on"),
)

_EXECUTION_ATTRIBUTES: Final = _of(
    (a.GEN_AI_OPERATION_NAME, STRING, f"`{a.OPERATION_INVOKE_AGENT}`"),
    *_AGENT,
    (a.GEN_AI_REQUEST_MODEL, STRING, "the model"),
    (a.GEN_AI_PROVIDER_NAME, STRING, "who serves it"),
    (a.GEN_AI_USAGE_INPUT_TOKENS, INT, "cached ones included"),
    (a.GEN_AI_USAGE_OUTPUT_TOKENS, INT, "reasoning included"),
    (a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, INT, "part of the output"),
    (a.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, INT, "part of the input"),
    (a.EXECUTION_SUCCESS, BOOL, "absent is unknown, unless the span's status is an error"),
    (a.EXECUTION_PARTIAL_SUCCESS, BOOL, "some of it was done"),
    (a.EXECUTION_FAILURE_REASON, STRING, "free text; redacted, cut at 2 kB"),
    (a.EXECUTION_COST_USD, DOUBLE, "US dollars"),
    (a.EXECUTION_CPU_TIME_MS, DOUBLE, "milliseconds"),
    (a.EXECUTION_MEMORY_PEAK_BYTES, INT, "bytes"),
    (a.GEN_AI_INPUT_MESSAGES, STRING, "JSON; opt-in"),
    (a.GEN_AI_OUTPUT_MESSAGES, STRING, "JSON; opt-in"),
    (a.SELF_REFLECTION, STRING, "the agent on its own work; opt-in"),
    *_DIFF_CONTENT,
)

_TOOL_ATTRIBUTES: Final = _of(
    (a.GEN_AI_OPERATION_NAME, STRING, f"`{a.OPERATION_EXECUTE_TOOL}`"),
    (a.GEN_AI_TOOL_NAME, STRING, "the tool"),
    (a.GEN_AI_TOOL_TYPE, STRING, "function, extension or datastore"),
    (a.GEN_AI_TOOL_CALL_ID, STRING, "the call's id: two spans of one id are one call"),
    (a.TOOL_SUCCESS, BOOL, "absent: the span's status decides"),
    (a.TOOL_EFFECTIVE, BOOL, "it helped the task"),
    *_TURN,
    (a.GEN_AI_TOOL_CALL_ARGUMENTS, STRING, "JSON; opt-in"),
    (a.GEN_AI_TOOL_CALL_RESULT, STRING, "JSON; opt-in"),
)

_EVALUATION_ATTRIBUTES: Final = _of(
    (a.EVALUATION_OVERALL_SCORE, DOUBLE, "0..1"),
    (a.EVALUATION_PASSED_ALL_MANDATORY, BOOL, "absent: derived from the mandatory gates"),
    (a.EVALUATOR_NAME, STRING, "who judged"),
    (a.EVALUATOR_VERSION, STRING, "its version"),
    (a.EVALUATOR_KIND, STRING, ", ".join(a.EvaluatorKind)),
    (a.RUBRIC_VERSION, STRING, "version of the rubric"),
    (a.RUBRIC_FORMAT, DOUBLE, "0..1"),
    (a.RUBRIC_TOOL, DOUBLE, "0..1"),
    (a.RUBRIC_TASK, DOUBLE, "0..1"),
    (a.RUBRIC_MINIMAL, DOUBLE, "0..1"),
    (a.RUBRIC_COST, DOUBLE, "0..1"),
    (a.RUBRIC_SAFETY, DOUBLE, "0..1; below 0.5 the reward is 0"),
    (a.DIFF_AST_SIMILARITY, DOUBLE, "0..1"),
    (a.DIFF_FILES_TOUCHED, INT, "files"),
    (a.DIFF_LINE_CHANGE_RATIO, DOUBLE, "changed lines over lines"),
    (a.DIFF_SCAFFOLDING_PENALTY, DOUBLE, "0..1"),
    (a.DIFF_REWARD_MULTIPLIER, DOUBLE, "0.1..1"),
    (a.JUDGE_REASONING, STRING, "why it judged so; opt-in"),
    *_DIFF_CONTENT,
)

_GATE_ATTRIBUTES: Final = _of(
    (a.GEN_AI_EVALUATION_NAME, STRING, "the criterion or gate"),
    (a.GEN_AI_EVALUATION_SCORE_VALUE, DOUBLE, "its score"),
    (a.GEN_AI_EVALUATION_SCORE_LABEL, STRING, "its verdict in a word"),
    (a.GEN_AI_EVALUATION_EXPLANATION, STRING, "free text; redacted, cut at 2 kB"),
    (a.GATE_PASSED, BOOL, "passed or not"),
    (a.GATE_THRESHOLD, DOUBLE, "the bound"),
    (a.GATE_MANDATORY, BOOL, "it has to pass"),
)

CONTRACT: Final = (
    Carrier(
        a.Kind.TASK,
        "task {type}",
        (a.TASK_ID,),
        "one task from request to end, nested ones too; every record starts from one",
        (*_ON_EVERY_SPAN, *_TASK_ATTRIBUTES, *_GOVERNANCE),
    ),
    Carrier(
        a.Kind.ROUTE,
        "route {router}",
        (a.ROUTING_SELECTED_ID, a.TASK_ID),
        "one decision which agent gets the task",
        (*_ON_EVERY_SPAN, *_ROUTE_ATTRIBUTES),
    ),
    Carrier(
        a.Kind.EXECUTION,
        "invoke_agent {agent}",
        (a.GEN_AI_OPERATION_NAME, a.TASK_ID),
        "one run of an agent on the task",
        (*_ON_EVERY_SPAN, *_EXECUTION_ATTRIBUTES),
    ),
    Carrier(
        "event on invoke_agent",
        a.TURN_EVENT,
        (),
        "a turn without a tool call",
        _TURN,
    ),
    Carrier(
        a.Kind.TOOL_CALL,
        "execute_tool {tool}",
        (a.GEN_AI_OPERATION_NAME, a.TASK_ID),
        "one call of a tool",
        (*_ON_EVERY_SPAN, *_TOOL_ATTRIBUTES),
    ),
    Carrier(
        a.Kind.EVALUATION,
        "evaluate {evaluator}",
        (a.EVALUATION_OVERALL_SCORE, a.GEN_AI_EVALUATION_EVENT, a.TASK_ID),
        "one judgement; a late one is a root span with a link to the task's span",
        (*_ON_EVERY_SPAN, *_EVALUATION_ATTRIBUTES, *_GOVERNANCE),
    ),
    Carrier(
        "event on evaluate",
        a.GEN_AI_EVALUATION_EVENT,
        (),
        "one criterion or gate of the evaluation",
        _GATE_ATTRIBUTES,
    ),
)
"""Every lifecycle span and event, in the order of a task's life."""


def as_json(contract: Sequence[Carrier]) -> list[dict[str, Any]]:
    """The contract as plain values."""
    return [
        {**carrier._asdict(), "attributes": [attribute._asdict() for attribute in carrier.attributes]}
        for carrier in contract
    ]


def as_markdown(contract: Sequence[Carrier]) -> str:
    """The contract as a section with a table for each span and event."""
    blocks = []
    for carrier in contract:
        confirmed = f" Confirmed by {_join(carrier.confirmed_by)}." if carrier.confirmed_by else ""
        rows = "".join(f"| `{row.name}` | {row.type} | {row.meaning} |\n" for row in carrier.attributes)
        blocks.append(
            f"### `{carrier.name}`\n\n{carrier.kind}: {carrier.meaning}.{confirmed}\n\n"
            f"| attribute | type | meaning |\n|---|---|---|\n{rows}"
        )
    return "\n".join(blocks)
