"""Facts: what the spans of one task say, each with the identity of the span that said it.

A record is a pure fold of its facts. Facts are united by `fact_id` (first wins), so a late or resent span can
only add. Times are RFC 3339 UTC strings with nine digits (`2026-11-22T12:00:00.123456789Z`), which sort as
they should; durations are milliseconds; ids are lower-case hex. A missing value is null, never invented.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Ending(StrEnum):
    """How a task was closed."""

    TASK_ENDED = "task_ended"
    FLUSH = "flush"


class Convention(StrEnum):
    """The vocabulary that a task's spans followed."""

    ARBITER = "arbiter"
    GEN_AI = "gen_ai"
    OPENINFERENCE = "openinference"
    OPENLLMETRY = "openllmetry"


class Problem(StrEnum):
    """Why something that a span said is not in its fact as it was said."""

    NOT_FINITE = "not_finite"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_VALUE = "unknown_value"
    LENGTH_MISMATCH = "length_mismatch"
    NUL_REMOVED = "nul_removed"
    SHORTENED = "shortened"
    UNREADABLE = "unreadable"
    TENANT_WITHOUT_KEY = "tenant_without_key"
    CHILDREN_GIVEN_AWAY = "children_given_away"
    CYCLE = "cycle"
    CORRECTION_UNFIT = "correction_unfit"
    REDACTED = "redacted"
    PERSONAL_DATA = "personal_data"
    CREDENTIAL = "credential"
    TEXT_WITHHELD = "text_withheld"
    CONDEMNED = "condemned"


class Wire(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Base of everything in the wire form: camelCase keys, all of them always present.

    Frozen values hold no cycles, so the garbage collector need not walk the hundreds that a batch is made of.
    """


class Anomaly(Wire, frozen=True):
    """A value that was cleaned or left out. `field` is the attribute's name; `detail` shows it, shortened.

    Of the problem CONDEMNED `field` is the gate that fails critically until a person has decided about the record.
    """

    span_id: str
    field: str
    problem: Problem
    detail: str | None = None


class Agent(Wire, frozen=True):
    """Who executes."""

    id: str | None
    name: str | None = None
    version: str | None = None


class BudgetUsage(Wire, frozen=True):
    """CAWS budget: files and lines of code used against their limits."""

    files_used: int | None = None
    files_limit: int | None = None
    loc_used: int | None = None
    loc_limit: int | None = None
    budget_compliant: bool | None = None


class CawsScores(Wire, frozen=True):
    """Scores of the CAWS verdict, each 0..1."""

    evidence_completeness: float | None = None
    budget_adherence: float | None = None
    gate_integrity: float | None = None
    provenance_clarity: float | None = None


class Caws(Wire, frozen=True):
    """The governance of an evaluation."""

    spec_id: str | None = None
    verdict_id: str | None = None
    version: str | None = None
    compliant: bool | None = None
    waivers_used: tuple[str, ...] = ()
    gates_passed: tuple[str, ...] = ()
    scores: CawsScores = CawsScores()
    arbiter_signature: str | None = None
    budget_usage: BudgetUsage = BudgetUsage()


class Authorship(Wire, frozen=True):
    """`arbiter.provenance.*` as a span reports it."""

    ai_assisted: bool | None = None
    human_reviewed: bool | None = None
    commit_hash: str | None = None


class Source(Wire, frozen=True):
    """Where a span comes from: its resource and instrumentation scope."""

    service_name: str | None = None
    service_namespace: str | None = None
    service_version: str | None = None
    sdk_name: str | None = None
    sdk_language: str | None = None
    sdk_version: str | None = None
    scope_name: str | None = None
    scope_version: str | None = None


class Fact(Wire, frozen=True):
    """What every fact carries.

    `fact_id` is trace id + span id in hex; for an event or log record a hash of what identifies it.
    """

    fact_id: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    start: str
    end: str


class TaskFact(Fact, frozen=True):
    """The task span itself."""

    received_at: str
    convention: Convention
    source: Source
    task_id: str | None
    type: str | None
    complexity: str | None
    conversation_id: str | None = None
    group_id: str | None = None
    attempt: int | None = None
    requirements: tuple[str, ...] = ()
    description: str | None = None
    parent_task_id: str | None = None
    reward: float | None = None
    tenant: str | None = None
    """Keyed hash (64 hex). Conversion alone sees it in clear; the guard hashes it before anything is stored."""
    emitter_id: str | None = None
    emitter_sequence: int | None = None
    overhead_ms: float | None = None
    sampler: str | None = None
    trace_state: str | None = None
    error_type: str | None = None
    caws: Caws | None = None
    authorship: Authorship | None = None


class Candidate(Wire, frozen=True):
    """An agent that the router considered."""

    agent_id: str
    score: float | None = None
    reason: str | None = None
    capability_score: float | None = None
    performance_score: float | None = None
    load_score: float | None = None
    propensity: float | None = None


class HistoricalPerformance(Wire, frozen=True):
    """What the router knew of the selected agent: rates 0..1 and a count."""

    agent_success_rate: float | None = None
    agent_avg_quality: float | None = None
    agent_task_count: int | None = None


class RoutingFact(Fact, frozen=True):
    """One routing decision."""

    task_id: str | None
    selected_id: str | None
    selected_name: str | None = None
    model_family: str | None = None
    strategy: str | None = None
    confidence: float | None = None
    rationale: str | None = None
    explored: bool | None = None
    propensity: float | None = None
    policy_version: str | None = None
    candidates: tuple[Candidate, ...] = ()
    history: HistoricalPerformance = HistoricalPerformance()
    error_type: str | None = None
    joined: bool = False
    """True where no trace shows it below its task: it was found by task id or link."""


class TurnScores(Wire, frozen=True):
    """What an evaluator gave one turn, each 0..1 or null; `reward` is the application's own."""

    number: int | None = None
    information_gain: float | None = None
    format_correctness: float | None = None
    task_progress: float | None = None
    safety_score: float | None = None
    reward: float | None = None


class TurnFact(Wire, frozen=True):
    """An `arbiter.turn` event of an execution span: a turn without a tool."""

    time: str
    scores: TurnScores


class ExecutionFact(Fact, frozen=True):
    """One run of an agent on the task. Tokens: output includes thinking, input includes cached and cache writes."""

    task_id: str | None
    agent: Agent
    latency_ms: float
    model: str | None = None
    provider: str | None = None
    success: bool | None = None
    """As reported, else false where the span's status is an error or an exception was recorded, else null."""
    partial_success: bool | None = None
    failure_reason: str | None = None
    error_type: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost_usd: float | None = None
    cpu_time_ms: float | None = None
    memory_peak_bytes: int | None = None
    turns: tuple[TurnFact, ...] = ()
    same_as: str | None = None
    """Fact id of the span that stands for the same run: this one is not counted (a host's own instrumentation)."""
    joined: bool = False
    """True where no trace shows it below its task: it was found by task id or link."""


class ToolCallFact(Fact, frozen=True):
    """One tool call. `execution_span_id` is the nearest execution above it, where the trace shows one."""

    task_id: str | None
    execution_span_id: str | None
    tool_name: str | None
    latency_ms: float
    tool_type: str | None = None
    call_id: str | None = None
    success: bool | None = None
    effective: bool | None = None
    error_type: str | None = None
    scores: TurnScores = TurnScores()
    same_as: str | None = None
    """Fact id of the span that stands for the same call: this one is not counted."""
    joined: bool = False
    """True where no trace shows it below its task: it was found by task id or link."""


class ModelCallFact(Fact, frozen=True):
    """A model call below an execution: its usage counts where the execution reports none of its own."""

    execution_span_id: str | None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost_usd: float | None = None


class QualityGate(Wire, frozen=True):
    """A gate or criterion of an evaluation (`gen_ai.evaluation.result`)."""

    name: str
    passed: bool | None = None
    score: float | None = None
    threshold: float | None = None
    mandatory: bool | None = None
    label: str | None = None
    explanation: str | None = None


class RubricScores(Wire, frozen=True):
    """The CAWS rubric, each 0..1; all six are required for training."""

    format: float | None = None
    tool: float | None = None
    task: float | None = None
    minimal: float | None = None
    cost: float | None = None
    safety: float | None = None


class MinimalDiffMetrics(Wire, frozen=True):
    """How small the change was: similarity and penalty 0..1, multiplier 0.1..1.0."""

    ast_similarity: float | None = None
    file_touch_count: int | None = None
    line_change_ratio: float | None = None
    scaffolding_penalty: float | None = None
    reward_multiplier: float | None = None


class Evaluator(Wire, frozen=True):
    """Who judged; kind is rule, model or human."""

    name: str | None = None
    version: str | None = None
    kind: str | None = None


class EvaluationFact(Fact, frozen=True):
    """One evaluation of the task."""

    task_id: str | None
    evaluator: Evaluator
    rubric_version: str | None = None
    overall_score: float | None = None
    rubric_scores: RubricScores = RubricScores()
    minimal_diff: MinimalDiffMetrics | None = None
    quality_gates: tuple[QualityGate, ...] = ()
    caws_compliant: bool | None = None
    budget_compliant: bool | None = None
    passed_all_mandatory: bool | None = None
    caws: Caws | None = None
    authorship: Authorship | None = None
    links: tuple[str, ...] = ()
    """Fact ids of the spans that a late evaluation points at."""
    logged: bool = False
    """True where a log record says it: `span_id` is the span that the record names, empty where it names none."""
    error_type: str | None = None
    joined: bool = False
    """True where no trace shows it below its task: it was found by task id or link."""


class Correction(Wire, frozen=True):
    """A person's correction: a JSON patch (RFC 6902) on the record, with author and reason; applied last."""

    fact_id: str
    time: str
    author: str
    reason: str
    patch: tuple[dict[str, Any], ...]


class Spread(Wire, frozen=True):
    """How one number was spread over the tasks of a window, from counts in buckets of 2 %.

    `deviation` is the robust standard deviation of the logarithm: 1.4826 median absolute deviations.
    """

    tasks: int
    median: float
    deviation: float
    p99: float


class Baseline(Wire, frozen=True):
    """What was usual for tasks of this type before this one came: what the outlier gates compare it with.

    It stays with the task, so that a revision is not measured by a window that holds the task itself.
    """

    task_type: str
    window_start: str
    window_end: str
    latency_ms: Spread | None = None
    tokens_used: Spread | None = None


class Facts(Wire, frozen=True):
    """All that is known of one task. `task` is null only while the task's own span is awaited."""

    task: TaskFact | None = None
    routings: tuple[RoutingFact, ...] = ()
    executions: tuple[ExecutionFact, ...] = ()
    tool_calls: tuple[ToolCallFact, ...] = ()
    model_calls: tuple[ModelCallFact, ...] = ()
    evaluations: tuple[EvaluationFact, ...] = ()
    corrections: tuple[Correction, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    baseline: Baseline | None = None
    ended_by: Ending = Ending.TASK_ENDED
    truncated: bool = False
