"""The router's propensities are the probabilities with which it chooses, and it learns from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.demo.arbiter.crafts.catalogue import SIGN
from collector_processor.demo.arbiter.crafts.repair import Repair
from collector_processor.demo.arbiter.model import Task
from collector_processor.demo.arbiter.router import EXPLORATION_FLOOR, Router, probabilities_of_being_best
from collector_processor.demo.arbiter.staff import MENDER, STAFF

TASK = Task("task-1", "code-editing", "trivial", SIGN.summary, Repair(SIGN))
parameters = st.floats(1, 60)


@given(st.lists(st.tuples(parameters, parameters), min_size=1, max_size=5))
def test_probabilities_sum_to_one(beliefs: list[tuple[float, float]]) -> None:
    chances = probabilities_of_being_best(tuple(beliefs))
    assert sum(chances) == pytest.approx(1)
    assert all(0 <= chance <= 1 + 1e-9 for chance in chances)


@given(parameters, parameters, st.integers(2, 4))
def test_equal_beliefs_give_equal_probabilities(alpha: float, beta: float, count: int) -> None:
    chances = probabilities_of_being_best(((alpha, beta),) * count)
    assert chances == pytest.approx([1 / count] * count)


@pytest.mark.parametrize(
    "beliefs",
    [
        ((2.5, 1.5), (2.0, 2.0), (1.2, 2.8), (9.0, 4.0)),
        ((30.0, 12.0), (25.0, 9.0), (1.0, 1.0)),
        ((1.0, 1.0), (80.0, 3.0)),
    ],
)
def test_probabilities_match_sampling(beliefs: tuple[tuple[float, float], ...]) -> None:
    random = Random(3)
    draws = 20_000
    winners = Counter(
        max(range(len(beliefs)), key=[random.betavariate(*belief) for belief in beliefs].__getitem__)
        for _ in range(draws)
    )
    expected = probabilities_of_being_best(beliefs)
    # Four standard errors of a share at these draws, and the coarseness of the cells.
    assert [winners[place] / draws for place in range(len(beliefs))] == pytest.approx(expected, abs=0.016)


def test_choices_follow_the_propensities() -> None:
    router = Router(STAFF, seed=5)
    decisions = [router.route(replace(TASK, id=f"task-{number}")) for number in range(4000)]
    propensities = {candidate.agent_id: candidate.propensity for candidate in decisions[0].candidates}
    chosen = Counter(decision.selected.id for decision in decisions)
    assert {agent: count / len(decisions) for agent, count in chosen.items()} == pytest.approx(propensities, abs=0.032)


def test_decision_tells_its_own_propensity() -> None:
    decision = Router(STAFF, seed=5).route(TASK)
    selected = next(one for one in decision.candidates if one.agent_id == decision.selected.id)
    assert decision.propensity == selected.propensity
    assert sum(candidate.propensity for candidate in decision.candidates) == pytest.approx(1)
    assert all(candidate.propensity >= EXPLORATION_FLOOR / len(STAFF) for candidate in decision.candidates)


def test_exploring_means_not_taking_the_favourite() -> None:
    router = Router(STAFF, seed=5)
    for number in range(200):
        decision = router.route(replace(TASK, id=f"task-{number}"))
        favourite = max(decision.candidates, key=lambda candidate: candidate.score)
        assert decision.explored == (decision.selected.id != favourite.agent_id)


def test_learns_from_results() -> None:
    router = Router(STAFF, seed=5)
    before = _propensity(router, MENDER.id)
    for _ in range(30):
        for agent in STAFF:
            router.learn(TASK, agent.id, success=agent is MENDER, quality=float(agent is MENDER))
    assert _propensity(router, MENDER.id) > before
    assert _propensity(router, MENDER.id) > 0.85
    history = router.history(MENDER.id)
    assert (history.success_rate, history.avg_quality, history.task_count) == (1.0, 1.0, 30)


def test_learns_each_type_apart() -> None:
    router = Router(STAFF, seed=5)
    research = replace(TASK, type="research")
    before = router.route(research).candidates
    router.learn(TASK, MENDER.id, success=True, quality=1.0)
    after = router.route(research).candidates
    assert [candidate.propensity for candidate in after] == [candidate.propensity for candidate in before]


def test_excluded_agents_are_no_candidates() -> None:
    router = Router(STAFF, seed=5)
    decision = router.route(TASK, [MENDER.id])
    assert decision.strategy == "fallback"
    assert MENDER.id not in {candidate.agent_id for candidate in decision.candidates}
    assert sum(candidate.propensity for candidate in decision.candidates) == pytest.approx(1)
    with pytest.raises(LookupError, match="task-1"):
        router.route(TASK, [agent.id for agent in STAFF])


def test_running_tasks_are_load() -> None:
    router = Router([MENDER], seed=5)
    assert router.route(TASK).candidates[0].load_score == 1.0
    assert router.route(TASK).candidates[0].load_score == 0.5
    router.learn(TASK, MENDER.id, success=True, quality=1.0)
    assert router.route(TASK).candidates[0].load_score == 0.5


def _propensity(router: Router, agent_id: str) -> float:
    candidates = router.route(TASK).candidates
    return next(candidate.propensity for candidate in candidates if candidate.agent_id == agent_id)
