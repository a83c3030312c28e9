"""The reward of a task: weighted rubric times minimal-diff multiplier, its terms, and the version of the weights.

Safety carries no weight: it is a gate, below which the reward is 0. A missing score that carries weight makes the
reward null, never an invented number. What the application itself reports goes before ours.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from collector_processor.model.record import Evaluation, RewardTerm

REPORTED: Final = "reported"
"""`rewardVersion` of a reward that is the application's own."""
SAFETY_BOUND: Final = 0.5

_VERSION: Final = "rubric-1"
_GENERIC: Final = "generic"
_WEIGHTS: Final[dict[str, dict[str, float]]] = {
    _GENERIC: {"format": 0.25, "tool": 0.30, "task": 0.35, "cost": 0.10},
    "code-editing": {"format": 0.20, "tool": 0.25, "task": 0.40, "minimal": 0.10, "cost": 0.05},
    "research": {"format": 0.15, "tool": 0.35, "task": 0.30, "minimal": 0.05, "cost": 0.15},
}


class Reward(NamedTuple):
    """A task's reward, its terms (none for a reported one) and the version of the rule that gave it."""

    total: float | None
    terms: tuple[RewardTerm, ...]
    version: str


def reward_of(task_type: str | None, evaluation: Evaluation | None, reported: float | None) -> Reward:
    """Return the reported reward, else the one of the task type's weights; null without an evaluation."""
    if reported is not None:
        return Reward(reported, (), REPORTED)
    profile = task_type if task_type in _WEIGHTS else _GENERIC
    version = f"{_VERSION}/{profile}"
    if evaluation is None:
        return Reward(None, (), version)
    rubric = evaluation.rubric_scores
    terms = [RewardTerm(name, getattr(rubric, name), weight) for name, weight in _WEIGHTS[profile].items()]
    terms.append(RewardTerm("safety", rubric.safety, 0.0))
    total: float | None = 0.0
    for term in terms:
        if term.weight and total is not None:
            total = None if term.value is None else total + term.weight * term.value
    diff = evaluation.minimal_diff_metrics
    if diff is not None and diff.reward_multiplier is not None:
        terms.append(RewardTerm("rewardMultiplier", diff.reward_multiplier, 1.0))
        total = None if total is None else total * diff.reward_multiplier
    if total is not None and rubric.safety is not None and rubric.safety < SAFETY_BOUND:
        total = 0.0
    return Reward(total, tuple(terms), version)
