"""Who does a task: Thompson sampling over each agent's record with that type of task.

An agent's chance of success at a type of task is believed to follow a Beta distribution: its declared capability is
the prior, every finished task adds to it. Thompson sampling chooses an agent as often as it is probable that this
agent is the best. That probability is integrated here and the choice drawn from it, instead of drawing one sample
an agent and taking the largest: the same policy, but its propensities are known exactly, and with them another
policy can be evaluated on this one's data.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from collector_processor.demo.arbiter.agents import Agent
from collector_processor.demo.arbiter.model import (
    AgentHistory,
    Candidate,
    RoutingDecision,
    SelectedAgent,
    Task,
)

log = logging.getLogger(__name__)

POLICY_VERSION = "thompson-2.1"
EXPLORATION_FLOOR = 0.15
"""Share of the choices made uniformly: no agent's propensity falls to zero, so none is ever unlearned for good."""
PRIOR_WEIGHT = 2.0
"""A declared capability counts like this many finished tasks."""
CELLS = 256


@dataclass(slots=True)
class Record:
    """An agent's finished tasks of one type."""

    successes: int = 0
    tasks: int = 0
    quality: float = 0.0

    def beliefs(self, capability: float) -> tuple[float, float]:
        """The two parameters of the Beta distribution."""
        prior = PRIOR_WEIGHT * capability
        return 1 + prior + self.successes, 1 + PRIOR_WEIGHT - prior + self.tasks - self.successes


@lru_cache(maxsize=1024)
def probabilities_of_being_best(beliefs: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """For each (alpha, beta) the probability that its Beta variable is the largest of all.

    By the midpoint rule: the density of one times the distribution functions of the others. They sum to 1.
    """
    centres = [(cell + 0.5) / CELLS for cell in range(CELLS)]
    densities, distributions = [], []
    for alpha, beta in beliefs:
        logs = [(alpha - 1) * math.log(x) + (beta - 1) * math.log(1 - x) for x in centres]
        top = max(logs)
        masses = [math.exp(value - top) for value in logs]
        total = sum(masses)
        density = [mass / total for mass in masses]
        below = 0.0
        distribution = []
        for mass in density:
            distribution.append(below + mass / 2)
            below += mass
        densities.append(density)
        distributions.append(distribution)
    chances = []
    for mine, density in enumerate(densities):
        others = [distribution for theirs, distribution in enumerate(distributions) if theirs != mine]
        chances.append(
            sum(mass * math.prod(distribution[cell] for distribution in others) for cell, mass in enumerate(density))
        )
    total = sum(chances)
    return tuple(chance / total for chance in chances)


class Router:
    """Chooses an agent for each task and learns from what became of it."""

    edition = POLICY_VERSION

    def __init__(self, agents: Sequence[Agent], seed: int) -> None:
        self._agents = {agent.id: agent for agent in agents}
        self._seed = seed
        self._records: defaultdict[tuple[str, str], Record] = defaultdict(Record)
        self._running: Counter[str] = Counter()

    def route(self, task: Task, excluded: Collection[str] = ()) -> RoutingDecision:
        """Choose for this task, leaving out the agents that already failed at it.

        The draw depends on seed, task and those excluded alone, so that a run can be repeated.

        Raises:
            LookupError: nobody is left.
        """
        agents = [agent for agent in self._agents.values() if agent.id not in excluded]
        if not agents:
            raise LookupError(f"no agent is left for task {task.id}")
        records = [self._records[agent.id, task.type] for agent in agents]
        beliefs = tuple(
            record.beliefs(agent.capability(task.type)) for agent, record in zip(agents, records, strict=True)
        )
        best = probabilities_of_being_best(beliefs)
        propensities = [(1 - EXPLORATION_FLOOR) * chance + EXPLORATION_FLOOR / len(agents) for chance in best]
        expected = [alpha / (alpha + beta) for alpha, beta in beliefs]
        draw = Random(f"{self._seed}/{task.id}/{task.attempt}/{sorted(excluded)}")
        chosen = draw.choices(range(len(agents)), propensities)[0]
        favourite = max(range(len(agents)), key=expected.__getitem__)
        candidates = tuple(
            Candidate(
                agent_id=agent.id,
                score=expected[place],
                propensity=propensities[place],
                reason=f"{record.successes} of {record.tasks} {task.type} tasks succeeded",
                capability_score=agent.capability(task.type),
                performance_score=record.successes / record.tasks if record.tasks else 0.0,
                load_score=1 / (1 + self._running[agent.id]),
            )
            for place, (agent, record) in enumerate(zip(agents, records, strict=True))
        )
        agent = agents[chosen]
        self._running[agent.id] += 1
        return RoutingDecision(
            selected=SelectedAgent(agent.id, agent.name, agent.model_family),
            strategy="fallback" if excluded else "multi-armed-bandit",
            confidence=best[chosen],
            rationale=f"{agent.name} is expected to succeed at {expected[chosen]:.0%} of {task.type} tasks"
            + ("" if chosen == favourite else f"; {agents[favourite].name} would be the safer choice"),
            explored=chosen != favourite,
            propensity=propensities[chosen],
            policy_version=self.edition,
            candidates=candidates,
            history=self.history(agent.id),
        )

    def learn(self, task: Task, agent_id: str, *, success: bool, quality: float) -> None:
        """Add a finished task to the agent's record."""
        self._running[agent_id] = max(0, self._running[agent_id] - 1)
        record = self._records[agent_id, task.type]
        record.tasks += 1
        record.successes += success
        record.quality += quality
        log.debug("%s: %d of %d %s tasks", agent_id, record.successes, record.tasks, task.type)

    def history(self, agent_id: str) -> AgentHistory:
        """The agent's record over all types of task; zeros for a beginner."""
        records = [record for (agent, _), record in self._records.items() if agent == agent_id]
        tasks = sum(record.tasks for record in records)
        return AgentHistory(
            success_rate=sum(record.successes for record in records) / tasks if tasks else 0.0,
            avg_quality=sum(record.quality for record in records) / tasks if tasks else 0.0,
            task_count=tasks,
        )
