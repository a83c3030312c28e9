"""What the arbiter talks about: tasks, agents, decisions, tool calls, results and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Files = Mapping[str, str]
"""A workspace's text files by name."""


class Assignment(Protocol):
    """The problem behind a task, with its data and its truth."""

    def files(self) -> Files:
        """Files that lie in the workspace when the work begins."""

    def check(self, files: Files) -> float:
        """How much of the truth the finished workspace holds, 0..1, whatever the agent claims."""


@dataclass(frozen=True, slots=True)
class Task:
    """One request, as it reaches the arbiter.

    `deadline_s`: how many seconds an agent may take under asyncio before the next one is asked.
    """

    id: str
    type: str
    complexity: str
    description: str
    assignment: Assignment
    requirements: tuple[str, ...] = ()
    tenant_id: str | None = None
    conversation_id: str | None = None
    group_id: str | None = None
    attempt: int | None = None
    parent_id: str | None = None
    deadline_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent that the router looked at. The scores lie in 0..1, the propensities of all candidates sum to 1."""

    agent_id: str
    score: float
    propensity: float
    reason: str
    capability_score: float
    performance_score: float
    load_score: float


@dataclass(frozen=True, slots=True)
class AgentHistory:
    """An agent's record at the moment of a decision."""

    success_rate: float
    avg_quality: float
    task_count: int


@dataclass(frozen=True, slots=True)
class SelectedAgent:
    """Who was chosen."""

    id: str
    name: str
    model_family: str


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Who does the task, and how that was decided."""

    selected: SelectedAgent
    strategy: str
    confidence: float
    rationale: str
    explored: bool
    propensity: float
    policy_version: str
    candidates: tuple[Candidate, ...]
    history: AgentHistory


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool, in the given turn of its task."""

    id: str
    name: str
    turn: int
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TurnScores:
    """What a turn was worth, each 0..1. `task_progress` is None where the turn can't tell."""

    information_gain: float
    format_correctness: float
    task_progress: float | None
    safety_score: float
    reward: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tool answered: text for the transcript, data for the agent."""

    success: bool
    effective: bool
    text: str
    scores: TurnScores
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn without a tool: a thought, which nobody scores, or a part that was handed on."""

    number: int
    scores: TurnScores | None = None
    reward: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How an agent's work on a task ended, by the agent's own account.

    Tokens are the words and marks that the agent read (input) and wrote (output, its notes included as thinking);
    None for agents that don't count them, and then there is no cost either.
    """

    task_id: str
    agent_id: str
    success: bool
    partial_success: bool
    failure_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    thinking_tokens: int | None
    cost_usd: float | None
    cpu_time_ms: float
    tool_calls: int
    failed_tool_calls: int
    repeated_tool_calls: int
    badly_formed_calls: int
    turns: tuple[Turn, ...]
    reflection: str


@dataclass(frozen=True, slots=True)
class Rubric:
    """The six scores of a CAWS evaluation, each 0..1."""

    format: float
    tool: float
    task: float
    minimal: float
    cost: float
    safety: float


@dataclass(frozen=True, slots=True)
class Gate:
    """One quality gate: passed where the score reaches the threshold."""

    name: str
    score: float
    threshold: float
    passed: bool
    mandatory: bool
    explanation: str


@dataclass(frozen=True, slots=True)
class MinimalDiff:
    """How small a change to source code was. `reward_multiplier` lies in 0.1..1, the others but the count in 0..1."""

    ast_similarity: float
    files_touched: int
    line_change_ratio: float
    scaffolding_penalty: float
    reward_multiplier: float


@dataclass(frozen=True, slots=True)
class Budget:
    """Files and lines of code that a task may touch, and did."""

    files_used: int
    files_limit: int
    loc_used: int
    loc_limit: int


@dataclass(frozen=True, slots=True)
class GovernanceScores:
    """How well the evidence for a verdict stands, each 0..1."""

    evidence_completeness: float
    budget_adherence: float
    gate_integrity: float
    provenance_clarity: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluator's verdict on a task."""

    task_id: str
    overall_score: float
    rubric: Rubric
    gates: tuple[Gate, ...]
    minimal_diff: MinimalDiff | None
    passed_all_mandatory: bool
    caws_compliant: bool
    budget_compliant: bool
    budget: Budget
    governance: GovernanceScores
    gates_passed: tuple[str, ...]
    waivers: tuple[str, ...]
    spec_id: str
    verdict_id: str
    signature: str
    patch: str
    done_by_agent: bool = True
    human_reviewed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished task. `evaluation` is None while its review is deferred."""

    task: Task
    decision: RoutingDecision
    result: Result
    changes: Changes
    evaluation: Evaluation | None


@dataclass(frozen=True, slots=True)
class Changes:
    """The workspace before and after the work."""

    before: Files
    after: Files

    def touched(self) -> list[str]:
        """Names of the files that were added, changed or removed."""
        names = self.before.keys() | self.after.keys()
        return sorted(name for name in names if self.before.get(name) != self.after.get(name))
