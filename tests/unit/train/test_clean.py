"""The cleaner on real records: what it leaves out, what it writes otherwise, and that every step is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import BASELINE, NOON, SECOND, evaluation, execution, identity, revise, routing, tool_call, whole

from collector_processor.model.facts import (
    Agent,
    Candidate,
    Evaluator,
    Facts,
    HistoricalPerformance,
    ModelCallFact,
)
from collector_processor.model.record import BenchmarkDataPoint, point_id
from collector_processor.train import Action, CleanSettings, Kind, clean

ID = point_id(b"t" * 16, b"s" * 8)


def record(facts: Facts | None = None, **changed: Any) -> BenchmarkDataPoint:
    """A judged record; `changed` are fields of its facts."""
    return revise(ID, msgspec.structs.replace(facts or whole(), **changed), 1).point


def told(point: BenchmarkDataPoint, **settings: Any) -> list[tuple[Kind, str, Any, Any]]:
    return [
        (each.kind, each.field, each.before, each.after) for each in clean([point], CleanSettings(**settings)).actions
    ]


# -- Leaving out -------------------------------------------------------------------------------------------------


def test_a_sound_record_passes_as_it_is() -> None:
    point = record()
    assert clean([point]) == ((point,), ())


@pytest.mark.parametrize("latency", [0.0, -5.0])
def test_an_impossible_latency_is_left_out(latency: float) -> None:
    point = record(executions=(execution(latency_ms=latency),))
    assert clean([point]) == (
        (),
        (Action(Kind.EXCLUDED, ID, "execution.latencyMs", latency, None, "a latency has to be above 0"),),
    )


def test_a_task_that_nobody_executed_is_left_out() -> None:
    assert told(record(executions=(), tool_calls=())) == [(Kind.EXCLUDED, "execution", None, None)]


RULES = {"input_tokens": 0, "output_tokens": 0, "thinking_tokens": 0}
CALL = ModelCallFact(
    **identity(1, 31, 3, NOON + SECOND, 1), execution_span_id=f"{3:016x}", input_tokens=0, output_tokens=0
)
NO_TOKENS = [(Kind.EXCLUDED, "execution.tokensUsed", 0, None)]


@pytest.mark.parametrize(
    ("run", "calls", "expected"),
    [
        (RULES, (), []),
        (RULES | {"model": "m-1"}, (), NO_TOKENS),
        (RULES, (CALL,), NO_TOKENS),
        ({"input_tokens": None, "output_tokens": None, "model": "m-1"}, (), []),
        ({"model": "m-1"}, (), []),
    ],
)
def test_no_tokens_are_right_for_agents_that_follow_rules(run: Any, calls: Any, expected: Any) -> None:
    assert told(record(executions=(execution(**run),), model_calls=calls)) == expected


def test_a_first_run_by_a_model_makes_it_a_model_agent() -> None:
    first = execution(span=13, start=NOON, agent=Agent("alpha"), model="m-1", **RULES)
    last = execution(span=14, start=NOON + SECOND, agent=Agent("beta"), **RULES)
    assert told(record(executions=(first, last), tool_calls=())) == NO_TOKENS


def test_outliers_are_left_out_or_marked_as_the_gates_found_them() -> None:
    point = record(baseline=BASELINE, executions=(execution(latency_ms=90_000.0, input_tokens=9000),))
    cleaned = clean([point])
    assert cleaned.points == ()
    assert [(each.kind, each.field, each.before) for each in cleaned.actions] == [
        (Kind.EXCLUDED, "execution.latencyMs", 90_000.0),
        (Kind.EXCLUDED, "execution.tokensUsed", 9100),
    ]
    assert cleaned.actions[0].why.startswith("latency-outlier: execution.latencyMs = 90000 is above 35853.5")
    kept = clean([point], CleanSettings(keep_outliers=True))
    assert kept.points == (point,)
    assert {each.kind for each in kept.actions} == {Kind.FLAGGED}


def test_the_others_of_a_batch_stay_in_order() -> None:
    points = [record(), record(executions=(execution(latency_ms=0.0),)), record(evaluations=())]
    assert clean(points).points == (points[0], points[2])


# -- Writing alike -----------------------------------------------------------------------------------------------


def spelt() -> BenchmarkDataPoint:
    """A record whose words are spelt in other ways."""
    return record(
        whole(type="Code Editing", complexity="STANDARD"),
        routings=(routing(strategy="multi_armed_bandit_explore", explored=None),),
        tool_calls=(
            tool_call(tool_name="readFile"),
            tool_call(span=6, tool_name="read_file", number=2),
            tool_call(span=7, tool_name="apply-patch", number=3),
        ),
        evaluations=(evaluation(evaluator=Evaluator("rubric", "2", "Human")),),
    )


def test_spellings_become_one() -> None:
    point = spelt()
    assert told(point) == [
        (Kind.NORMALISED, "task.type", "Code Editing", "code-editing"),
        (Kind.NORMALISED, "task.complexity", "STANDARD", "standard"),
        (Kind.NORMALISED, "evaluation.evaluator.kind", "Human", "human"),
        (Kind.NORMALISED, "routing.strategy", "multi_armed_bandit_explore", "multi-armed-bandit"),
        (Kind.NORMALISED, "routing.explored", None, True),
        (
            Kind.NORMALISED,
            "execution.toolsUsed",
            ["apply-patch", "readFile", "read_file"],
            ["apply_patch", "read_file"],
        ),
        (Kind.NORMALISED, "rlLabels.turns[0].toolCalled", "readFile", "read_file"),
        (Kind.NORMALISED, "rlLabels.turns[2].toolCalled", "apply-patch", "apply_patch"),
    ]
    (cleaned,) = clean([point]).points
    assert cleaned.task.type == "code-editing"
    assert cleaned.execution is not None
    assert {use.tool_name: use.call_count for use in cleaned.execution.tools_used} == {"apply_patch": 1, "read_file": 2}
    assert [turn.tool_called for turn in cleaned.rl_labels.turns] == ["read_file", "read_file", "apply_patch"]


def test_what_the_router_said_about_exploring_wins() -> None:
    point = record(routings=(routing(strategy="multi_armed_bandit_explore", explored=False),))
    assert [each[1] for each in told(point)] == ["routing.strategy"]


def test_unknown_words_stay() -> None:
    assert told(record(whole(type="gardening"))) == []
    assert told(record(whole(type="Gardening")), task_types=frozenset({"gardening"})) == [
        (Kind.NORMALISED, "task.type", "Gardening", "gardening")
    ]


def test_shares_in_percent_become_shares_of_one() -> None:
    point = record(
        routings=(
            routing(
                confidence=75.0,
                propensity=25.0,
                candidates=(Candidate("alpha", propensity=25.0), Candidate("beta", propensity=75.04)),
                history=HistoricalPerformance(62.5, 0.5, 12),
            ),
        )
    )
    assert told(point) == [
        (Kind.NORMALISED, "routing.confidence", 75.0, 0.75),
        (Kind.NORMALISED, "routing.propensity", 25.0, 0.25),
        (
            Kind.NORMALISED,
            "routing.alternativesConsidered",
            {"alpha": 25.0, "beta": 75.04},
            {"alpha": 0.25, "beta": pytest.approx(0.7504)},
        ),
        (Kind.NORMALISED, "routing.historicalPerformance.agentSuccessRate", 62.5, 0.625),
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"confidence": 1.02},
        {"confidence": 150.0},
        {"candidates": (Candidate("alpha", propensity=25.0), Candidate("beta", propensity=60.0))},
        {"candidates": (Candidate("alpha", propensity=100.0), Candidate("beta"))},
        {"propensity": 0.25, "candidates": (), "history": HistoricalPerformance(1.0, 2.0, 1)},
    ],
)
def test_what_may_be_no_percentage_stays(said: dict[str, Any]) -> None:
    assert told(record(routings=(routing(**said),))) == []


def test_a_propensity_that_is_a_share_stays_beside_candidates_in_percent() -> None:
    both = (Candidate("alpha", propensity=25.0), Candidate("beta", propensity=75.0))
    (point,) = clean([record(routings=(routing(propensity=0.25, candidates=both),))]).points
    assert point.routing is not None
    assert point.routing.propensity == 0.25
    assert [each.propensity for each in point.routing.alternatives_considered] == [0.25, 0.75]


def test_the_stored_record_its_facts_and_its_verdict_stay() -> None:
    point = spelt()
    before = msgspec.json.encode(point)
    (cleaned,) = clean([point]).points
    assert msgspec.json.encode(point) == before
    assert (cleaned.facts, cleaned.verdict, cleaned.state) == (point.facts, point.verdict, point.state)
    assert cleaned.rl_labels.total_reward == point.rl_labels.total_reward


words = st.sampled_from(["multi_armed_bandit", "Load Balance", "readFile", "read_file", "odd One"]) | st.text(
    max_size=8
)
shares = st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0, 50.0, 100.0, 200.0])


@given(words, words, shares, shares, shares)
def test_cleaning_a_cleaned_record_changes_nothing(
    word: str, tool: str, confidence: float | None, one: float | None, other: float | None
) -> None:
    candidates = (Candidate("alpha", propensity=one), Candidate("beta", propensity=other))
    point = record(
        whole(type=word, complexity=word),
        routings=(routing(strategy=word, confidence=confidence, propensity=one, candidates=candidates),),
        tool_calls=(tool_call(tool_name=tool), tool_call(span=6, tool_name=word, number=2)),
    )
    once = clean([point])
    assert clean(once.points) == (once.points, ())
    assert {each.id for each in once.actions} <= {ID}
    assert all(each.before != each.after for each in once.actions)
