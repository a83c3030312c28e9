"""BenchmarkDataPoint: the record that this project exists to produce, in its wire form.

JSON keys are the camelCase of the names below and always present (null, not omitted). Scores are 0..1,
durations milliseconds, times RFC 3339 UTC with nine digits. Every section is a pure fold of `facts`.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha1
from uuid import UUID

import msgspec

from collector_processor.model.facts import (
    Agent,
    Candidate,
    Caws,
    Convention,
    Ending,
    Evaluator,
    Facts,
    HistoricalPerformance,
    MinimalDiffMetrics,
    QualityGate,
    RubricScores,
    Source,
    Wire,
)

SCHEMA_VERSION = 1
POINT_NAMESPACE = UUID("18966b4a-2ac9-52b9-b732-7282cc7d254d")
"""Namespace of every data point's id: uuid5(namespace, hex trace id + hex task span id)."""
_NAMESPACE_DIGEST = sha1(POINT_NAMESPACE.bytes, usedforsecurity=False)


def point_id(trace_id: bytes, span_id: bytes) -> UUID:
    """Id of the data point whose task span this is."""
    # As uuid5(), whose digest of the namespace is the same every time.
    named = _NAMESPACE_DIGEST.copy()
    named.update(b"%s%s" % (trace_id.hex().encode(), span_id.hex().encode()))
    return UUID(bytes=named.digest()[:16], version=5)


class Section(StrEnum):
    """The four sections that make a record complete."""

    TASK = "task"
    ROUTING = "routing"
    EXECUTION = "execution"
    EVALUATION = "evaluation"


class State(StrEnum):
    """Work state of a record; the verdict stands beside it."""

    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    DISCARDED = "discarded"


class Severity(StrEnum):
    """What a failed gate means: `error` and `critical` make a record invalid, `incomplete` not ready for RL."""

    INCOMPLETE = "incomplete"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class GateName(StrEnum):
    """The quality gates, in the order in which they are checked."""

    REQUIRED_SECTIONS = "required-sections"
    REQUIRED_FIELDS = "required-fields"
    REPORTED = "reported"
    NUMERIC_BOUNDS = "numeric-bounds"
    ENUMS = "enums"
    TIME_WINDOW = "time-window"
    PII = "pii"
    SECRETS = "secrets"
    TEXT_WITHHELD = "text-withheld"
    TENANT_HASH = "tenant-hash"
    TIMING = "timing"
    PROPENSITY = "propensity"
    SUCCESS_QUALITY = "success-quality"
    FAILURE_QUALITY = "failure-quality"
    TOKENS_WITHOUT_WORK = "tokens-without-work"
    LATENCY_OUTLIER = "latency-outlier"
    TOKEN_OUTLIER = "token-outlier"  # noqa: S105 - the name of a gate


class OutlierRule(StrEnum):
    """From where on a number is an outlier: so many robust standard deviations, or the 99th percentile."""

    MAD = "mad"
    P99 = "p99"


class Outcome(StrEnum):
    """How a task came out."""

    SUCCESS = "success"
    FAILURE = "failure"
    PARTIAL = "partial"


class Completeness(Wire, frozen=True):
    """Which sections were seen, how the task was closed, and whether spans were shed by a limit."""

    seen: tuple[Section, ...]
    ended_by: Ending
    truncated: bool


class FailedGate(Wire, frozen=True):
    """A gate that failed; `reason` names the field, the value and the bound."""

    gate: str
    severity: Severity
    reason: str


class Verdict(Wire, frozen=True):
    """The gates' judgement. Valid: none of error or critical; rlReady: valid and none of incomplete."""

    valid: bool
    rl_ready: bool
    gates_failed: tuple[FailedGate, ...] = ()


class FacetSampling(Wire, frozen=True):
    """Why a deep facet was kept and with which probability that happens."""

    facet: str
    inclusion_probability: float
    policy: str


class Sampling(Wire, frozen=True):
    """Weights: deep facets kept, and the head sampler's adjusted count (null = unknown)."""

    facets: tuple[FacetSampling, ...] = ()
    adjusted_count: float | None = None


class Task(Wire, frozen=True):
    """What was asked."""

    id: str | None
    conversation_id: str | None
    type: str | None
    complexity: str | None
    group_id: str | None
    attempt: int | None
    requirements: tuple[str, ...]
    description: str | None
    caws_spec_id: str | None
    parent_task_id: str | None


class SelectedAgent(Wire, frozen=True):
    """The agent that the router chose."""

    id: str | None
    name: str | None
    model_family: str | None


class Routing(Wire, frozen=True):
    """The last routing before the execution. `propensity` is the policy's probability of its choice."""

    selected_agent: SelectedAgent
    strategy: str | None
    confidence: float | None
    rationale: str | None
    alternatives_considered: tuple[Candidate, ...]
    historical_performance: HistoricalPerformance
    explored: bool | None
    propensity: float | None
    policy_version: str | None


class ToolUse(Wire, frozen=True):
    """One tool's calls within a task; rates 0..1 over the calls that say so, null where none does."""

    tool_name: str
    call_count: int
    success_rate: float | None
    effective_rate: float | None
    avg_latency_ms: float


class Execution(Wire, frozen=True):
    """What the agent did: the execution that ended last decides, tokens and cost are sums."""

    agent: Agent
    model: str | None
    provider: str | None
    success: bool | None
    partial_success: bool | None
    failure_reason: str | None
    latency_ms: float
    tokens_used: int | None
    input_tokens: int | None
    output_tokens: int | None
    thinking_tokens: int | None
    cached_tokens: int | None
    tokens_derived: bool
    """True where the tokens are the sum of model calls, not the execution's own report."""
    cost_usd: float | None
    tool_call_count: int
    tool_call_success_rate: float | None
    tools_used: tuple[ToolUse, ...]
    token_efficiency: float | None
    """Overall score per 1,000 tokens."""
    time_to_first_action_ms: float | None
    cpu_time_ms: float | None
    memory_peak_bytes: int | None


class Evaluation(Wire, frozen=True):
    """How good it was: the newest evaluation of the configured evaluator."""

    caws_compliant: bool | None
    budget_compliant: bool | None
    quality_gates: tuple[QualityGate, ...]
    rubric_scores: RubricScores
    minimal_diff_metrics: MinimalDiffMetrics | None
    overall_score: float | None
    passed_all_mandatory: bool | None
    evaluator: Evaluator
    rubric_version: str | None
    span_id: str
    fact_id: str | None = None


class Turn(Wire, frozen=True):
    """One turn of the agent; a score that nobody gave is null."""

    turn_number: int
    tool_called: str | None
    information_gain: float | None
    format_correctness: float | None
    task_progress: float | None
    safety_score: float | None
    turn_reward: float | None


class RewardTerm(Wire, frozen=True):
    """One weighted rubric score, or the multiplier, of a reward."""

    name: str
    value: float | None
    weight: float


class RlLabels(Wire, frozen=True):
    """What a learner reads."""

    turns: tuple[Turn, ...]
    final_outcome: Outcome | None
    total_reward: float | None
    reward_terms: tuple[RewardTerm, ...]
    reward_version: str


class Emitter(Wire, frozen=True):
    """The process that sent the task, and the task's number in it: gaps are lost tasks."""

    id: str | None
    sequence: int | None


class Provenance(Wire, frozen=True):
    """Where the record comes from."""

    trace_id: str
    span_id: str
    ai_assisted: bool | None
    human_reviewed: bool | None
    commit_hash: str | None
    caws_version: str | None
    emitter: Emitter
    overhead_ms: float | None
    sampler: str | None
    source: Source
    convention: Convention


class BenchmarkDataPoint(Wire, frozen=True):
    """One task, from request to reward."""

    id: UUID
    timestamp: str
    tenant_id: str | None
    schema_version: int
    revision: int
    completeness: Completeness
    state: State
    verdict: Verdict | None
    """Null only between fold and guard."""
    sampling: Sampling
    task: Task
    routing: Routing | None
    execution: Execution | None
    evaluation: Evaluation | None
    rl_labels: RlLabels
    provenance: Provenance
    caws: Caws | None
    facts: Facts


encode_point = msgspec.json.Encoder().encode
decode_point = msgspec.json.Decoder(BenchmarkDataPoint).decode
