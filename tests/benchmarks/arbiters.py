"""The arbiter of the plugin's benchmark, three times: as it is, traced by hand, and its async forms.

A task is 1 route, 1 execution with 4 tool calls, and 1 evaluation: 8 spans, about 130 attributes, 3 events. By hand is
as the SDK's documentation shows it, `start_as_current_span` and `set_attribute`; or with a thought to speed, the
outcome in one `set_attributes`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otel_benchmark import attributes as a

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer


TOOL_WAITS_S = 0.0
"""How long a tool call waits, in seconds."""


@dataclass
class Task:
    id: str
    type: str = "code-editing"
    complexity: str = "standard"
    requirements: list[str] = field(default_factory=lambda: ["python", "tests"])
    description: str = "Mend the function so that its tests pass"
    tenant_id: str = "acme"
    group_id: str = "g-1"
    attempt: int = 1
    conversation_id: str = "c-1"
    caws_spec_id: str = "FEAT-1"


@dataclass
class Agent:
    id: str = "agent-1"
    name: str = "Ada"
    version: str = "1.2.0"
    model: str = "gpt-x"
    provider: str = "openai"
    model_family: str = "gpt"


@dataclass
class Alternative:
    agent_id: str
    score: float
    reason: str
    propensity: float


@dataclass
class History:
    success_rate: float = 0.9
    avg_quality: float = 0.8
    task_count: int = 120


@dataclass
class Decision:
    agent: Agent
    strategy: str = "multi-armed-bandit"
    confidence: float = 0.8
    rationale: str = "highest posterior mean"
    explored: bool = False
    propensity: float = 0.9
    policy_version: str = "7"
    alternatives: list[Alternative] = field(
        default_factory=lambda: [
            Alternative("agent-1", 0.8, "best", 0.9),
            Alternative("agent-2", 0.5, "slower", 0.05),
            Alternative("agent-3", 0.4, "dearer", 0.05),
        ]
    )
    history: History = field(default_factory=History)


@dataclass
class Usage:
    input_tokens: int = 1200
    output_tokens: int = 300
    thinking_tokens: int = 100
    cached_tokens: int = 800


@dataclass
class Outcome:
    success: bool = True
    partial_success: bool = False
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.01
    cpu_time_ms: float = 12.5
    memory_peak_bytes: int = 1048576


@dataclass
class ToolResult:
    turn_number: int
    success: bool = True
    effective: bool = True
    information_gain: float = 0.5
    format_correctness: float = 1.0
    task_progress: float = 0.25
    safety_score: float = 1.0
    turn_reward: float = 0.4


@dataclass
class Gate:
    name: str
    passed: bool
    score: float
    threshold: float
    mandatory: bool


@dataclass
class Rubric:
    format: float = 1.0
    tool: float = 0.9
    task: float = 0.8
    minimal: float = 0.9
    cost: float = 0.7
    safety: float = 1.0


@dataclass
class Diff:
    ast_similarity: float = 0.95
    files_touched: int = 1
    line_change_ratio: float = 0.1
    scaffolding_penalty: float = 0.0
    reward_multiplier: float = 1.0


@dataclass
class Verdict:
    overall_score: float = 0.85
    rubric: Rubric = field(default_factory=Rubric)
    minimal_diff: Diff = field(default_factory=Diff)
    gates: list[Gate] = field(
        default_factory=lambda: [
            Gate("tests", True, 1.0, 1.0, True),
            Gate("lint", True, 0.9, 0.8, False),
            Gate("types", True, 1.0, 1.0, True),
        ]
    )
    evaluator_name: str = "rubric"
    evaluator_version: str = "3"
    evaluator_kind: str = "rule"
    rubric_version: str = "2025-1"
    caws_compliant: bool = True
    budget_compliant: bool = True
    passed_all_mandatory: bool = True
    ai_assisted: bool = True
    human_reviewed: bool = False
    commit_hash: str = "0123456789abcdef"


def plain() -> Any:
    """The arbiter as its authors wrote it, fresh each time: the plugin wraps what it finds in the module."""
    arbiter: Any = ModuleType("arbiter")

    def read(path: str, number: int) -> ToolResult:
        wait()
        return ToolResult(number)

    def route(task: Task) -> Decision:
        return Decision(Agent())

    def execute(agent: Agent, task: Task) -> Outcome:
        for number in range(4):
            arbiter.read("/src/x.py", number)
        return Outcome()

    def evaluate(task: Task, result: Outcome) -> Verdict:
        return Verdict()

    def handle(task: Task) -> Any:
        decision = arbiter.route(task)
        return arbiter.evaluate(task, arbiter.execute(decision.agent, task))

    async def read_async(path: str, number: int) -> ToolResult:
        await asyncio.sleep(TOOL_WAITS_S)
        return ToolResult(number)

    async def route_async(task: Task) -> Decision:
        return Decision(Agent())

    async def execute_async(agent: Agent, task: Task) -> Outcome:
        for number in range(4):
            await arbiter.read_async("/src/x.py", number)
        return Outcome()

    async def evaluate_async(task: Task, result: Outcome) -> Verdict:
        await asyncio.sleep(0)
        return Verdict()

    async def handle_async(task: Task) -> Any:
        decision = await arbiter.route_async(task)
        return await arbiter.evaluate_async(task, await arbiter.execute_async(decision.agent, task))

    arbiter.__dict__.update({name: value for name, value in locals().items() if name != "arbiter"})
    return arbiter


def wait() -> None:
    if TOOL_WAITS_S:
        time.sleep(TOOL_WAITS_S)


def set_one_by_one(span: Any, attributes: dict[str, Any]) -> None:
    """`span.set_attribute("operation.value", 1)`, line by line, as the documentation has it."""
    for name, value in attributes.items():
        span.set_attribute(name, value)


def set_at_once(span: Any, attributes: dict[str, Any]) -> None:
    span.set_attributes(attributes)


def by_hand(tracer: Tracer, record: Callable[[Any, dict[str, Any]], None] = set_one_by_one) -> Any:
    """The same arbiter with its spans written by hand; what is known at the start is given at the start."""
    arbiter: Any = ModuleType("arbiter")
    span = tracer.start_as_current_span

    def read(path: str, number: int, task: Task) -> ToolResult:
        with span("execute_tool read", attributes=tool_start(task)) as current:
            wait()
            result = ToolResult(number)
            record(current, tool_end(result))
            return result

    def route(task: Task) -> Decision:
        with span("route route", attributes=identity(task)) as current:
            decision = Decision(Agent())
            record(current, route_end(decision))
            return decision

    def execute(agent: Agent, task: Task) -> Outcome:
        with span(f"invoke_agent {agent.name}", attributes=execute_start(agent, task)) as current:
            for number in range(4):
                arbiter.read("/src/x.py", number, task)
            outcome = Outcome()
            record(current, execute_end(outcome))
            return outcome

    def evaluate(task: Task, result: Outcome) -> Verdict:
        with span("evaluate rubric", attributes={**identity(task), a.CAWS_SPEC_ID: task.caws_spec_id}) as current:
            verdict = Verdict()
            add_gates(current, verdict)
            record(current, evaluate_end(verdict))
            return verdict

    def handle(task: Task) -> Any:
        with span(f"task {task.type}", attributes=task_start(task)) as current:
            decision = arbiter.route(task)
            verdict = arbiter.evaluate(task, arbiter.execute(decision.agent, task))
            record(current, governance(verdict))
            return verdict

    async def read_async(path: str, number: int, task: Task) -> ToolResult:
        with span("execute_tool read", attributes=tool_start(task)) as current:
            await asyncio.sleep(TOOL_WAITS_S)
            result = ToolResult(number)
            record(current, tool_end(result))
            return result

    async def route_async(task: Task) -> Decision:
        with span("route route", attributes=identity(task)) as current:
            decision = Decision(Agent())
            record(current, route_end(decision))
            return decision

    async def execute_async(agent: Agent, task: Task) -> Outcome:
        with span(f"invoke_agent {agent.name}", attributes=execute_start(agent, task)) as current:
            for number in range(4):
                await arbiter.read_async("/src/x.py", number, task)
            outcome = Outcome()
            record(current, execute_end(outcome))
            return outcome

    async def evaluate_async(task: Task, result: Outcome) -> Verdict:
        with span("evaluate rubric", attributes={**identity(task), a.CAWS_SPEC_ID: task.caws_spec_id}) as current:
            await asyncio.sleep(0)
            verdict = Verdict()
            add_gates(current, verdict)
            record(current, evaluate_end(verdict))
            return verdict

    async def handle_async(task: Task) -> Any:
        with span(f"task {task.type}", attributes=task_start(task)) as current:
            decision = await arbiter.route_async(task)
            verdict = await arbiter.evaluate_async(task, await arbiter.execute_async(decision.agent, task))
            record(current, governance(verdict))
            return verdict

    arbiter.__dict__.update(
        {name: value for name, value in locals().items() if name not in {"arbiter", "tracer", "record"}}
    )
    return arbiter


# -- What a developer writes into the spans ----------------------------------------------------------------------

_SEQUENCE = iter(range(1, 10**9))
_SAMPLER = (
    "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"
    "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
)


def identity(task: Task) -> dict[str, Any]:
    return {a.TASK_ID: task.id, a.TENANT_ID: task.tenant_id}


def task_start(task: Task) -> dict[str, Any]:
    return {
        a.TASK_ID: task.id,
        a.TASK_TYPE: task.type,
        a.TASK_COMPLEXITY: task.complexity,
        a.TASK_REQUIREMENTS: task.requirements,
        a.TASK_DESCRIPTION: task.description,
        a.TENANT_ID: task.tenant_id,
        a.TASK_GROUP_ID: task.group_id,
        a.TASK_ATTEMPT: task.attempt,
        a.GEN_AI_CONVERSATION_ID: task.conversation_id,
        a.CAWS_SPEC_ID: task.caws_spec_id,
        a.SAMPLER: _SAMPLER,
        a.EMITTER_ID: "0123456789abcdef",
        a.EMITTER_SEQUENCE: next(_SEQUENCE),
        a.COLLECTION_OVERHEAD_MS: 0.0,
    }


def tool_start(task: Task) -> dict[str, Any]:
    return {
        a.TASK_ID: task.id,
        a.TENANT_ID: task.tenant_id,
        a.GEN_AI_OPERATION_NAME: a.OPERATION_EXECUTE_TOOL,
        a.GEN_AI_TOOL_NAME: "read",
        a.GEN_AI_TOOL_TYPE: "function",
    }


def tool_end(result: ToolResult) -> dict[str, Any]:
    return {
        a.TOOL_SUCCESS: result.success,
        a.TOOL_EFFECTIVE: result.effective,
        a.TURN_NUMBER: result.turn_number,
        a.TURN_INFORMATION_GAIN: result.information_gain,
        a.TURN_FORMAT_CORRECTNESS: result.format_correctness,
        a.TURN_TASK_PROGRESS: result.task_progress,
        a.TURN_SAFETY_SCORE: result.safety_score,
        a.TURN_REWARD: result.turn_reward,
    }


def route_end(decision: Decision) -> dict[str, Any]:
    return {
        a.ROUTING_STRATEGY: decision.strategy,
        a.ROUTING_CONFIDENCE: decision.confidence,
        a.ROUTING_RATIONALE: decision.rationale,
        a.ROUTING_EXPLORED: decision.explored,
        a.ROUTING_PROPENSITY: decision.propensity,
        a.ROUTING_POLICY_VERSION: decision.policy_version,
        a.ROUTING_SELECTED_ID: decision.agent.id,
        a.ROUTING_SELECTED_NAME: decision.agent.name,
        a.ROUTING_SELECTED_MODEL_FAMILY: decision.agent.model_family,
        a.ROUTING_HISTORY_SUCCESS_RATE: decision.history.success_rate,
        a.ROUTING_HISTORY_AVG_QUALITY: decision.history.avg_quality,
        a.ROUTING_HISTORY_TASK_COUNT: decision.history.task_count,
        a.ROUTING_CANDIDATE_IDS: [each.agent_id for each in decision.alternatives],
        a.ROUTING_CANDIDATE_SCORES: [each.score for each in decision.alternatives],
        a.ROUTING_CANDIDATE_REASONS: [each.reason for each in decision.alternatives],
        a.ROUTING_CANDIDATE_PROPENSITIES: [each.propensity for each in decision.alternatives],
    }


def execute_start(agent: Agent, task: Task) -> dict[str, Any]:
    return {
        a.TASK_ID: task.id,
        a.TENANT_ID: task.tenant_id,
        a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT,
        a.GEN_AI_AGENT_ID: agent.id,
        a.AGENT_ID: agent.id,
        a.GEN_AI_AGENT_NAME: agent.name,
        a.AGENT_VERSION: agent.version,
        a.GEN_AI_AGENT_VERSION: agent.version,
        a.GEN_AI_REQUEST_MODEL: agent.model,
        a.GEN_AI_PROVIDER_NAME: agent.provider,
    }


def execute_end(outcome: Outcome) -> dict[str, Any]:
    return {
        a.EXECUTION_SUCCESS: outcome.success,
        a.EXECUTION_PARTIAL_SUCCESS: outcome.partial_success,
        a.GEN_AI_USAGE_INPUT_TOKENS: outcome.usage.input_tokens,
        a.GEN_AI_USAGE_OUTPUT_TOKENS: outcome.usage.output_tokens,
        a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: outcome.usage.thinking_tokens,
        a.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: outcome.usage.cached_tokens,
        a.EXECUTION_COST_USD: outcome.cost_usd,
        a.EXECUTION_CPU_TIME_MS: outcome.cpu_time_ms,
        a.EXECUTION_MEMORY_PEAK_BYTES: outcome.memory_peak_bytes,
    }


def evaluate_end(verdict: Verdict) -> dict[str, Any]:
    rubric, diff = verdict.rubric, verdict.minimal_diff
    return {
        a.EVALUATION_OVERALL_SCORE: verdict.overall_score,
        a.EVALUATION_PASSED_ALL_MANDATORY: verdict.passed_all_mandatory,
        a.EVALUATOR_NAME: verdict.evaluator_name,
        a.EVALUATOR_VERSION: verdict.evaluator_version,
        a.EVALUATOR_KIND: verdict.evaluator_kind,
        a.RUBRIC_VERSION: verdict.rubric_version,
        a.RUBRIC_FORMAT: rubric.format,
        a.RUBRIC_TOOL: rubric.tool,
        a.RUBRIC_TASK: rubric.task,
        a.RUBRIC_MINIMAL: rubric.minimal,
        a.RUBRIC_COST: rubric.cost,
        a.RUBRIC_SAFETY: rubric.safety,
        a.DIFF_AST_SIMILARITY: diff.ast_similarity,
        a.DIFF_FILES_TOUCHED: diff.files_touched,
        a.DIFF_LINE_CHANGE_RATIO: diff.line_change_ratio,
        a.DIFF_SCAFFOLDING_PENALTY: diff.scaffolding_penalty,
        a.DIFF_REWARD_MULTIPLIER: diff.reward_multiplier,
        **governance(verdict),
    }


def governance(verdict: Verdict) -> dict[str, Any]:
    return {
        a.CAWS_COMPLIANT: verdict.caws_compliant,
        a.CAWS_BUDGET_COMPLIANT: verdict.budget_compliant,
        a.PROVENANCE_AI_ASSISTED: verdict.ai_assisted,
        a.PROVENANCE_HUMAN_REVIEWED: verdict.human_reviewed,
        a.PROVENANCE_COMMIT_HASH: verdict.commit_hash,
    }


def add_gates(current: Any, verdict: Verdict) -> None:
    for gate in verdict.gates:
        current.add_event(
            a.GEN_AI_EVALUATION_EVENT,
            {
                a.GEN_AI_EVALUATION_NAME: gate.name,
                a.GATE_PASSED: gate.passed,
                a.GEN_AI_EVALUATION_SCORE_VALUE: gate.score,
                a.GATE_THRESHOLD: gate.threshold,
                a.GATE_MANDATORY: gate.mandatory,
            },
        )
