"""The fold: which fact counts in each section, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import (
    ARRIVED,
    MS,
    T0,
    TRACE,
    evaluation,
    event,
    execution,
    model_call,
    route,
    sealed,
    span_id,
    task,
    tool_call,
)
from support.records import POINT, facts_from, facts_of, record_from, record_of

from collector_processor.convert import FoldSettings, convert, fold, unite
from collector_processor.model.facts import Ending, Facts
from collector_processor.model.record import BenchmarkDataPoint, Execution, Outcome, Section, Turn, point_id
from collector_processor.model.stages import SealKind
from otel_benchmark import attributes as a


def execution_of(*spans: Span) -> Execution:
    section = record_of(task(), *spans).execution
    assert section is not None
    return section


# -- The record as a whole -------------------------------------------------------------------------


def test_the_id_depends_on_trace_and_task_span_alone() -> None:
    assert point_id(TRACE, span_id(1)) == POINT
    assert len({point_id(TRACE, span_id(1)), point_id(TRACE, span_id(2)), point_id(bytes(15) + b"\1", span_id(1))}) == 3


def test_missing_sections_are_named_and_not_invented() -> None:
    point = record_of(task())
    assert point.completeness.seen == (Section.TASK,)
    assert (point.routing, point.execution, point.evaluation, point.caws) == (None, None, None, None)
    assert (point.rl_labels.turns, point.rl_labels.final_outcome, point.rl_labels.total_reward) == ((), None, None)
    full = record_of(task(), route(), execution(), evaluation())
    assert full.completeness.seen == tuple(Section)


def test_how_the_task_was_closed_is_on_the_record() -> None:
    point = record_from(facts_of(task(), ended_by=Ending.FLUSH, truncated=True))
    assert (point.completeness.ended_by, point.completeness.truncated) == (Ending.FLUSH, True)


def test_facts_without_a_task_have_no_record() -> None:
    with pytest.raises(ValueError, match="no task"):
        fold(POINT, Facts(), 1, FoldSettings())


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (T0, "2025-11-22T12:00:00.000000000Z"),
        (946_684_799 * 10**9, "2025-11-22T12:00:05.000000000Z"),
        (ARRIVED + 86_400 * 10**9, "2025-11-23T12:00:05.000000000Z"),
        (ARRIVED + 86_400 * 10**9 + 1, "2025-11-22T12:00:05.000000000Z"),
        (2**64 - 10**9, "2025-11-22T12:00:05.000000000Z"),
    ],
    ids=["now", "1999", "a day ahead", "more than a day ahead", "2554"],
)
def test_an_impossible_start_gives_way_to_the_arrival(start: int, expected: str) -> None:
    span = task()
    span.start_time_unix_nano = start
    span.end_time_unix_nano = start + MS
    point = record_of(span)
    assert point.timestamp == expected
    assert point.facts.task is not None
    assert point.facts.task.start != "2025-11-22T12:00:05.000000000Z"


# -- Routing ---------------------------------------------------------------------------------------


def selected(*spans: Span) -> str | None:
    routing = record_of(task(), *spans).routing
    assert routing is not None
    return routing.selected_agent.id


def to(agent: str | None, number: int, start: float) -> Span:
    return route(number, start=start, end=start + 1, attributes={a.ROUTING_SELECTED_ID: agent})


def test_of_several_routings_the_last_before_the_execution_counts() -> None:
    runs = execution(3, start=100, end=200)
    assert selected(to("first", 20, 10), to("second", 21, 50), to("after", 22, 150), runs) == "second"
    assert selected(to("first", 20, 10), to("second", 21, 50)) == "second"
    assert selected(to("skewed", 20, 150), to("later", 21, 160), runs) == "skewed"


def test_the_routing_belongs_to_the_execution_that_decides() -> None:
    retry = execution(5, start=300, end=400)
    assert selected(to("first", 20, 10), execution(3, start=100, end=200), to("second", 21, 250), retry) == "second"


def test_a_routing_that_selected_nobody_gives_way_to_one_that_did() -> None:
    assert selected(to("first", 20, 10), to(None, 21, 50), execution(3, start=100, end=200)) == "first"
    assert selected(to(None, 21, 50), execution(3, start=100, end=200)) is None


def test_the_selected_candidates_propensity_is_the_decisions() -> None:
    said = {a.ROUTING_CANDIDATE_IDS: ["beta", "alpha"], a.ROUTING_CANDIDATE_PROPENSITIES: [0.9, 0.1]}
    routing = record_of(task(), route(attributes=said)).routing
    assert routing is not None
    assert routing.propensity == 0.1


# -- Execution -------------------------------------------------------------------------------------


def tokens(given: int, taken: int, **more: Any) -> dict[str, Any]:
    return {a.GEN_AI_USAGE_INPUT_TOKENS: given, a.GEN_AI_USAGE_OUTPUT_TOKENS: taken, **more}


def test_of_several_executions_the_one_that_ended_last_decides_and_sums_are_summed() -> None:
    first = execution(
        3,
        start=100,
        end=200,
        error="out of luck",
        attributes=tokens(10, 5, **{a.EXECUTION_COST_USD: 0.5, a.EXECUTION_CPU_TIME_MS: 7.0}),
    )
    second = execution(
        5,
        start=300,
        end=450,
        attributes=tokens(20, 1, **{a.AGENT_ID: "beta", a.EXECUTION_SUCCESS: True, a.EXECUTION_CPU_TIME_MS: 2.0}),
    )
    section = execution_of(first, second)
    assert (section.agent.id, section.success, section.failure_reason) == ("beta", True, None)
    assert section.latency_ms == 350.0
    assert (section.input_tokens, section.output_tokens, section.tokens_used) == (30, 6, 36)
    assert (section.cost_usd, section.cpu_time_ms, section.tokens_derived) == (0.5, 9.0, False)


def test_tokens_of_model_calls_count_where_the_execution_reports_none() -> None:
    calls = [
        model_call(20, attributes=tokens(10, 5, **{a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 2})),
        model_call(21, attributes=tokens(7, 1, **{a.EXECUTION_COST_USD: 0.25})),
    ]
    derived = execution_of(execution(), *calls)
    assert (derived.input_tokens, derived.output_tokens, derived.thinking_tokens) == (17, 6, 2)
    assert (derived.tokens_used, derived.tokens_derived, derived.cost_usd) == (23, True, 0.25)
    reported = execution_of(execution(attributes=tokens(1, 2)), *calls)
    assert (reported.tokens_used, reported.tokens_derived, reported.cost_usd) == (3, False, 0.25)
    silent = execution_of(execution())
    assert (silent.tokens_used, silent.input_tokens, silent.tokens_derived, silent.cost_usd) == (
        None,
        None,
        False,
        None,
    )


def test_a_sum_of_which_one_part_is_unknown_is_unknown() -> None:
    section = execution_of(execution(attributes={a.GEN_AI_USAGE_OUTPUT_TOKENS: 5}))
    assert (section.tokens_used, section.output_tokens) == (None, 5)


def test_tokens_of_the_hosts_own_span_count_for_ours() -> None:
    host = execution(5, parent=3, attributes={a.TASK_ID: None, **tokens(10, 5), a.GEN_AI_REQUEST_MODEL: "m"})
    section = execution_of(execution(), host, model_call(20, parent=5, attributes=tokens(10, 5)))
    assert (section.tokens_used, section.model, section.tokens_derived) == (15, "m", False)
    assert section.latency_ms == 500.0
    without = execution(5, parent=3, attributes={a.TASK_ID: None})
    section = execution_of(execution(), without, model_call(20, parent=5, attributes=tokens(3, 4)))
    assert (section.tokens_used, section.tokens_derived) == (7, True)


def test_tools_are_counted_by_name_and_rated_by_those_that_say_so() -> None:
    section = execution_of(
        execution(),
        tool_call(10, start=100, end=110, attributes={a.TOOL_SUCCESS: True, a.TOOL_EFFECTIVE: False}),
        tool_call(11, start=120, end=150, attributes={a.TOOL_SUCCESS: False}),
        tool_call(12, start=160, end=170, attributes={a.GEN_AI_TOOL_NAME: "edit_file"}),
    )
    assert (section.tool_call_count, section.tool_call_success_rate) == (3, 0.5)
    edit, read = section.tools_used
    assert (edit.tool_name, edit.call_count, edit.success_rate, edit.effective_rate) == ("edit_file", 1, None, None)
    assert (read.call_count, read.success_rate, read.effective_rate, read.avg_latency_ms) == (2, 0.5, 0.0, 20.0)
    none = execution_of(execution())
    assert (none.tool_call_count, none.tool_call_success_rate, none.tools_used) == (0, None, ())


def test_a_call_that_another_stands_for_is_not_counted() -> None:
    section = execution_of(execution(), tool_call(), tool_call(5, parent=4, attributes={a.TASK_ID: None}))
    assert section.tool_call_count == 1


@pytest.mark.parametrize(
    ("calls", "expected"),
    [([], None), ([tool_call(10, start=80), tool_call(11, start=50)], 20.0), ([tool_call(10, start=20)], None)],
    ids=["no call", "first of two", "before the execution"],
)
def test_time_to_first_action_runs_from_the_executions_start(calls: list[Span], expected: float | None) -> None:
    assert execution_of(execution(start=30), *calls).time_to_first_action_ms == expected


def test_token_efficiency_is_score_per_thousand_tokens() -> None:
    point = record_of(task(), execution(attributes=tokens(300, 200)), evaluation())
    assert point.execution is not None
    assert point.execution.token_efficiency == pytest.approx(1.8)
    assert execution_of(execution(attributes=tokens(300, 200))).token_efficiency is None
    zero = record_of(task(), execution(attributes=tokens(0, 0)), evaluation()).execution
    assert zero is not None
    assert zero.token_efficiency is None


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({}, None),
        ({a.EXECUTION_PARTIAL_SUCCESS: True}, None),
        ({a.EXECUTION_SUCCESS: True}, Outcome.SUCCESS),
        ({a.EXECUTION_SUCCESS: False}, Outcome.FAILURE),
        ({a.EXECUTION_SUCCESS: False, a.EXECUTION_PARTIAL_SUCCESS: True}, Outcome.PARTIAL),
        ({a.EXECUTION_SUCCESS: True, a.EXECUTION_PARTIAL_SUCCESS: False}, Outcome.SUCCESS),
    ],
)
def test_the_outcome_is_null_where_success_is(said: dict[str, bool], outcome: Outcome | None) -> None:
    assert record_of(task(), execution(attributes=said)).rl_labels.final_outcome is outcome


# -- Evaluation ------------------------------------------------------------------------------------


def judged(number: int, score: float | None, evaluator: str | None, end: float) -> Span:
    attributes = {a.EVALUATION_OVERALL_SCORE: score, a.EVALUATOR_NAME: evaluator}
    return evaluation(number, start=end - 1, end=end, attributes=attributes)


@pytest.mark.parametrize(
    ("evaluator", "expected"), [(None, 0.7), ("rubric", 0.4), ("judge", 0.7), ("silent", None), ("nobody", "missing")]
)
def test_the_newest_evaluation_of_the_configured_evaluator_counts(evaluator: str | None, expected: object) -> None:
    spans = [judged(20, 0.5, "rubric", 600), judged(21, 0.7, "judge", 800), judged(22, 0.4, "rubric", 700)]
    point = record_of(task(), execution(), judged(23, None, "silent", 900), *spans, evaluator=evaluator)
    assert (point.evaluation.overall_score if point.evaluation else "missing") == expected
    assert len(point.facts.evaluations) == 4


def test_evaluations_without_a_score_count_where_there_is_no_other() -> None:
    point = record_of(task(), execution(), judged(20, None, "silent", 600))
    assert point.evaluation is not None
    assert (point.evaluation.evaluator.name, point.evaluation.overall_score) == ("silent", None)


def test_of_evaluations_that_ended_together_the_later_span_counts() -> None:
    point = record_of(task(), judged(21, 0.2, "b", 700), judged(20, 0.1, "a", 700))
    assert point.evaluation is not None
    assert point.evaluation.overall_score == 0.2


# -- Turns -----------------------------------------------------------------------------------------


def turns_of(*spans: Span) -> tuple[Turn, ...]:
    return record_of(task(), *spans).rl_labels.turns


def step(number: int, turn: int | None, start: float, tool: str = "read_file", **scores: Any) -> Span:
    return tool_call(
        number, start=start, end=start + 5, attributes={a.GEN_AI_TOOL_NAME: tool, a.TURN_NUMBER: turn, **scores}
    )


def shown(turns: tuple[Turn, ...]) -> list[tuple[int, str | None]]:
    return [(turn.turn_number, turn.tool_called) for turn in turns]


def test_numbered_turns_are_in_order_of_number_with_those_without_a_tool() -> None:
    thinking = event(a.TURN_EVENT, {a.TURN_NUMBER: 2, a.TURN_REWARD: 0.5}, at=300)
    turns = turns_of(execution(events=[thinking]), step(10, 3, 200, "edit"), step(11, 1, 100, "read"))
    assert shown(turns) == [(1, "read"), (2, None), (3, "edit")]
    assert [turn.turn_reward for turn in turns] == [None, 0.5, None]


def test_parallel_calls_of_one_number_share_a_turn() -> None:
    turns = turns_of(
        execution(),
        step(10, 1, 100, "second", **{a.TURN_REWARD: 0.2, a.TURN_TASK_PROGRESS: 0.5}),
        step(11, 1, 90, "first", **{a.TURN_REWARD: 0.1}),
        step(12, 2, 200, "third"),
    )
    assert shown(turns) == [(1, "first"), (2, "third")]
    assert (turns[0].turn_reward, turns[0].task_progress, turns[0].safety_score) == (0.1, 0.5, None)


def test_without_numbers_each_call_and_each_event_is_a_turn_in_order_of_start() -> None:
    thinking = event(a.TURN_EVENT, {a.TURN_TASK_PROGRESS: 1.0}, at=150)
    turns = turns_of(execution(events=[thinking]), step(10, None, 200, "b"), step(11, None, 100, "a"))
    assert shown(turns) == [(1, "a"), (2, None), (3, "b")]


def test_once_something_is_numbered_what_is_not_is_no_turn() -> None:
    assert shown(turns_of(execution(), step(10, 4, 200, "b"), step(11, None, 100, "a"))) == [(4, "b")]


def test_a_retry_that_counts_anew_keeps_its_own_turns() -> None:
    runs = (execution(3, start=30, end=130), execution(5, start=200, end=400))
    calls = (step(10, 1, 100, "a"), tool_call(11, parent=5, start=250, attributes={a.TURN_NUMBER: 1}))
    assert shown(turns_of(*runs, *calls)) == [(1, "a"), (1, "read_file")]


def test_a_turn_that_nobody_scored_has_no_scores() -> None:
    (turn,) = turns_of(execution(), step(10, 1, 100))
    assert turn == Turn(1, "read_file", None, None, None, None, None)


# -- Reward ----------------------------------------------------------------------------------------


RUBRIC = {
    a.RUBRIC_FORMAT: 1.0,
    a.RUBRIC_TOOL: 0.5,
    a.RUBRIC_TASK: 0.8,
    a.RUBRIC_MINIMAL: 0.6,
    a.RUBRIC_COST: 0.4,
    a.RUBRIC_SAFETY: 1.0,
}


def rewarded(
    task_type: str | None = "planning", said: dict[str, Any] | None = None, **own: float
) -> BenchmarkDataPoint:
    attributes = {a.TASK_TYPE: task_type, a.TASK_REWARD: own.get("reward")}
    return record_of(task(attributes=attributes), execution(), evaluation(attributes=RUBRIC | (said or {})))


@pytest.mark.parametrize(
    ("task_type", "version", "expected"),
    [
        ("planning", "rubric-1/generic", 0.25 * 1 + 0.30 * 0.5 + 0.35 * 0.8 + 0.10 * 0.4),
        (None, "rubric-1/generic", 0.25 * 1 + 0.30 * 0.5 + 0.35 * 0.8 + 0.10 * 0.4),
        ("code-editing", "rubric-1/code-editing", 0.20 * 1 + 0.25 * 0.5 + 0.40 * 0.8 + 0.10 * 0.6 + 0.05 * 0.4),
        ("research", "rubric-1/research", 0.15 * 1 + 0.35 * 0.5 + 0.30 * 0.8 + 0.05 * 0.6 + 0.15 * 0.4),
    ],
)
def test_the_reward_is_the_rubric_weighted_by_task_type(task_type: str, version: str, expected: float) -> None:
    labels = rewarded(task_type).rl_labels
    assert labels.total_reward == pytest.approx(expected)
    assert labels.reward_version == version
    weights = [term.weight for term in labels.reward_terms]
    assert sum(weights) == pytest.approx(1.0)
    assert ("safety", 1.0, 0.0) in [(term.name, term.value, term.weight) for term in labels.reward_terms]


def test_a_multiplier_multiplies() -> None:
    labels = rewarded(said={a.DIFF_REWARD_MULTIPLIER: 0.5}).rl_labels
    assert labels.total_reward == pytest.approx(0.36)
    assert labels.reward_terms[-1].name == "rewardMultiplier"


@pytest.mark.parametrize(("safety", "expected"), [(0.49, 0.0), (0.5, 0.72), (None, 0.72)])
def test_safety_is_a_gate(safety: float | None, expected: float) -> None:
    assert rewarded(said={a.RUBRIC_SAFETY: safety}).rl_labels.total_reward == pytest.approx(expected)


def test_a_missing_score_that_carries_weight_makes_the_reward_null() -> None:
    assert rewarded(said={a.RUBRIC_COST: None}).rl_labels.total_reward is None
    assert rewarded(said={a.RUBRIC_COST: None, a.RUBRIC_SAFETY: 0.1}).rl_labels.total_reward is None
    assert rewarded(said={a.RUBRIC_MINIMAL: None}).rl_labels.total_reward is not None
    assert rewarded("code-editing", {a.RUBRIC_MINIMAL: None}).rl_labels.total_reward is None


def test_without_an_evaluation_there_is_no_reward() -> None:
    labels = record_of(task(), execution()).rl_labels
    assert (labels.total_reward, labels.reward_terms) == (None, ())


def test_the_applications_own_reward_goes_first() -> None:
    labels = rewarded(reward=-2.5).rl_labels
    assert (labels.total_reward, labels.reward_version, labels.reward_terms) == (-2.5, "reported", ())


# -- Late facts ------------------------------------------------------------------------------------


def test_a_late_tool_call_finds_its_execution_by_parent() -> None:
    first = facts_from(sealed(task(), execution(3, start=30, end=130), execution(5, start=200, end=400)))
    late = convert(sealed(tool_call(10, parent=5, attributes={a.TURN_NUMBER: 1}), kind=SealKind.LATE)).facts
    assert late is not None
    assert late.tool_calls[0].execution_span_id is None
    united = unite(first, late)
    together = facts_of(
        task(),
        execution(3, start=30, end=130),
        execution(5, start=200, end=400),
        tool_call(10, parent=5, attributes={a.TURN_NUMBER: 1}),
    )
    assert record_from(united).rl_labels == record_from(together).rl_labels
    assert record_from(united, revision=2).revision == 2
