"""Every gate on real records: what passes, what fails, and whether the reason names field, value and bound."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import (
    MS,
    T0,
    evaluation,
    event,
    execution,
    foreign,
    raw_task,
    route,
    sealed,
    span_id,
    task,
    tool_call,
    whole_task,
)
from support.records import facts_from, failed, record_from, verdict_of

from collector_processor.convert import convert, unite
from collector_processor.guard import GateSettings, judge
from collector_processor.guard.gates import GATES
from collector_processor.model.ranges import BEYOND
from collector_processor.model.record import GateName, Severity
from collector_processor.model.stages import SealKind
from otel_benchmark import attributes as a

RUBRIC = dict.fromkeys(
    (a.RUBRIC_FORMAT, a.RUBRIC_TOOL, a.RUBRIC_TASK, a.RUBRIC_MINIMAL, a.RUBRIC_COST, a.RUBRIC_SAFETY), 0.9
)
SUCCESS = {a.EXECUTION_SUCCESS: True}


def spans(
    *,
    of_task: dict[str, Any] | None = None,
    routed: dict[str, Any] | None = None,
    run: dict[str, Any] | None = None,
    judged: dict[str, Any] | None = None,
) -> list[Span]:
    """A task that passes every gate, but for what is changed."""
    return [
        task(attributes=of_task or {}),
        route(attributes=routed or {}),
        execution(attributes=SUCCESS | (run or {})),
        tool_call(),
        evaluation(attributes=RUBRIC | (judged or {})),
    ]


def reasons(**changed: Any) -> dict[str, str]:
    return failed(verdict_of(*spans(**changed)))


def test_a_sound_task_passes_every_gate() -> None:
    verdict = verdict_of(*spans())
    assert (verdict.valid, verdict.rl_ready, verdict.gates_failed) == (True, True, ())


def test_gates_are_named_once_and_weighed_as_specified() -> None:
    assert {gate.name: gate.severity.value for gate in GATES} == {
        "required-sections": "error",
        "required-fields": "error",
        "reported": "incomplete",
        "numeric-bounds": "error",
        "enums": "warning",
        "time-window": "error",
        "pii": "critical",
        "secrets": "critical",
        "text-withheld": "warning",
        "tenant-hash": "critical",
        "timing": "error",
        "propensity": "warning",
        "success-quality": "error",
        "failure-quality": "warning",
        "tokens-without-work": "warning",
        "latency-outlier": "warning",
        "token-outlier": "warning",
    }
    assert [gate.name for gate in GATES] == list(GateName)


# -- required-sections, required-fields, reported --------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "severity", "reason"),
    [
        (1, Severity.ERROR, "routing is missing"),
        (2, Severity.ERROR, "execution is missing"),
        (4, Severity.INCOMPLETE, "evaluation is missing, it may come late"),
    ],
)
def test_a_missing_section(missing: int, severity: Severity, reason: str) -> None:
    parts = spans()
    del parts[missing]
    (failure,) = [each for each in verdict_of(*parts).gates_failed if each.gate == "required-sections"]
    assert (failure.severity, failure.reason) == (severity, reason)


def test_a_task_alone_fails_for_both_and_tells_them_apart() -> None:
    verdict = verdict_of(task())
    told = {each.severity: each.reason for each in verdict.gates_failed if each.gate == "required-sections"}
    assert told == {
        Severity.ERROR: "routing is missing; execution is missing",
        Severity.INCOMPLETE: "evaluation is missing, it may come late",
    }
    assert not verdict.valid


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"of_task": {a.TASK_ID: True}}, "task.id"),
        ({"of_task": {a.TASK_TYPE: None}}, "task.type"),
        ({"routed": {a.ROUTING_SELECTED_ID: None}}, "routing.selectedAgent.id"),
    ],
)
def test_a_missing_field(changed: dict[str, Any], field: str) -> None:
    assert reasons(**changed)["required-fields"] == f"{field} is missing"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"run": {a.EXECUTION_SUCCESS: None}}, "execution.success is not reported"),
        (
            {"judged": {a.RUBRIC_COST: None, a.RUBRIC_SAFETY: None}},
            "evaluation.rubricScores lack cost, safety",
        ),
        ({"judged": {a.EVALUATION_OVERALL_SCORE: None}}, "evaluation.overallScore is not reported"),
    ],
)
def test_what_is_not_reported_is_valid_but_not_ready(changed: dict[str, Any], reason: str) -> None:
    verdict = verdict_of(*spans(**changed))
    assert failed(verdict) == {"reported": reason}
    assert (verdict.valid, verdict.rl_ready) == (True, False)


# -- numeric-bounds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"judged": {a.EVALUATION_OVERALL_SCORE: 1.5}}, "evaluation.overallScore = 1.5 is not 0..1"),
        ({"judged": {a.RUBRIC_TOOL: -0.1}}, "evaluation.rubricScores.tool = -0.1 is not 0..1"),
        (
            {"judged": {a.DIFF_REWARD_MULTIPLIER: 0.05}},
            "evaluation.minimalDiffMetrics.rewardMultiplier = 0.05 is not 0.1..1",
        ),
        (
            {"judged": {a.CAWS_SCORE_GATE_INTEGRITY: 2}},
            "caws.scores.gateIntegrity = 2.0 is not 0..1",
        ),
        ({"routed": {a.ROUTING_CONFIDENCE: 7}}, "routing.confidence = 7.0 is not 0..1"),
        (
            {"routed": {a.ROUTING_HISTORY_SUCCESS_RATE: 66.0}},
            "routing.historicalPerformance.agentSuccessRate = 66.0 is not 0..1",
        ),
        (
            {"run": {a.GEN_AI_USAGE_INPUT_TOKENS: -1, a.GEN_AI_USAGE_OUTPUT_TOKENS: 5}},
            "execution.inputTokens = -1 is not at least 0",
        ),
    ],
)
def test_a_number_out_of_range(changed: dict[str, Any], reason: str) -> None:
    verdict = verdict_of(*spans(**changed))
    assert failed(verdict)["numeric-bounds"] == reason
    assert not verdict.valid


def test_a_latency_of_nothing() -> None:
    parts = spans()
    parts[2] = execution(start=30, end=30, attributes=SUCCESS)
    assert failed(verdict_of(*parts))["numeric-bounds"] == "execution.latencyMs = 0.0 is not above 0"


def test_a_turns_score_out_of_range_is_named_by_its_place() -> None:
    parts = spans()
    parts[3] = tool_call(attributes={a.TURN_NUMBER: 1, a.TURN_REWARD: -9.0})
    parts.append(tool_call(11, start=200, end=210, attributes={a.TURN_NUMBER: 2, a.TURN_SAFETY_SCORE: 1.01}))
    assert failed(verdict_of(*parts)) == {"numeric-bounds": "rlLabels.turns[1].safetyScore = 1.01 is not 0..1"}


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_score_is_in_range_flagged_or_left_out(score: float) -> None:
    found = reasons(judged={a.RUBRIC_TASK: score})
    if not -BEYOND < score < BEYOND:
        assert found == {"reported": "evaluation.rubricScores lack task"}
    else:
        assert ("numeric-bounds" in found) == (not 0 <= score <= 1)


# -- enums -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"of_task": {a.TASK_TYPE: "gardening"}}, "task.type = 'gardening' is not among code-editing, data-analysis"),
        ({"of_task": {a.TASK_COMPLEXITY: "huge"}}, "task.complexity = 'huge' is not among complex, standard, trivial"),
        ({"routed": {a.ROUTING_STRATEGY: "dice"}}, "routing.strategy = 'dice' is not among capability-match, fallback"),
        ({"judged": {a.EVALUATOR_KIND: "oracle"}}, "evaluation.evaluator.kind = 'oracle' is not among human, model"),
    ],
)
def test_an_unknown_value_is_a_warning_and_kept(changed: dict[str, Any], reason: str) -> None:
    verdict = verdict_of(*spans(**changed))
    assert failed(verdict)["enums"].startswith(reason)
    assert (verdict.valid, verdict.rl_ready) == (True, True)


def test_lists_are_configurable() -> None:
    settings = GateSettings(task_types=frozenset({"gardening"}), agents=frozenset({"alpha"}))
    assert failed(verdict_of(*spans(of_task={a.TASK_TYPE: "gardening"}), settings=settings)) == {}
    other = spans(of_task={a.TASK_TYPE: "gardening"}, routed={a.ROUTING_SELECTED_ID: "x"}, run={a.AGENT_ID: "y"})
    assert failed(verdict_of(*other, settings=settings))["enums"] == (
        "routing.selectedAgent.id = 'x' is not among alpha; execution.agent.id = 'y' is not among alpha"
    )


# -- time-window, timing ---------------------------------------------------------------------------


@pytest.mark.parametrize("start", [10**18 // 4, T0 + 2 * 86_400_000 * MS], ids=["1977", "two days ahead"])
def test_an_impossible_time(start: int) -> None:
    parts = spans()
    parts[0].start_time_unix_nano, parts[0].end_time_unix_nano = start, start + MS
    verdict = verdict_of(*parts)
    assert "facts.task.start = " in failed(verdict)["time-window"]
    assert not verdict.valid


def test_an_impossible_time_of_a_part_is_named() -> None:
    parts = spans()
    parts[3].start_time_unix_nano = 1
    assert failed(verdict_of(*parts))["time-window"] == (
        "facts.toolCalls[0].start = 1970-01-01T00:00:00.000000001Z is before 2000-01-01T00:00:00.000000000Z"
    )


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (-999, 150, None),
        (100, 1999, None),
        (100, 2001, "facts.toolCalls[0] lies 1001 ms outside its task, CLOCK_SKEW is 1000 ms"),
        (-1500, 150, "facts.toolCalls[0] lies 1500 ms outside its task, CLOCK_SKEW is 1000 ms"),
    ],
)
def test_a_descendant_lies_within_its_task(start: float, end: float, reason: str | None) -> None:
    parts = spans()
    parts[3] = tool_call(start=start, end=end)
    assert failed(verdict_of(*parts)).get("timing") == reason


def test_clock_skew_is_configurable() -> None:
    parts = spans()
    parts[3] = tool_call(start=100, end=1001)
    assert "timing" in failed(verdict_of(*parts, settings=GateSettings(clock_skew_ms=0.0)))


def test_late_evaluations_and_joined_facts_may_lie_outside() -> None:
    whole = facts_from(sealed(*spans()[:4]))
    late = convert(sealed(evaluation(start=10**8, end=10**8 + 1, attributes=RUBRIC), kind=SealKind.LATE)).facts
    assert late is not None
    (stray,) = convert(sealed(route(5, parent=77, start=-9000, end=-8000), kind=SealKind.ORPHAN)).strays
    joined = type(late)(routings=(stray.fact,))
    verdict = judge(record_from(unite(unite(whole, late), joined)), GateSettings()).point.verdict
    assert verdict is not None
    assert failed(verdict) == {}


def test_the_first_action_comes_before_the_end() -> None:
    parts = spans()
    parts[3] = tool_call(start=700, end=710)
    assert failed(verdict_of(*parts)) == {"timing": "execution.timeToFirstActionMs = 670 is above latencyMs = 500"}


# -- tenant-hash -----------------------------------------------------------------------------------


def test_a_tenant_in_clear_without_a_key_is_a_warning() -> None:
    verdict = verdict_of(*spans(of_task={a.TENANT_ID: "acme"}))
    (failure,) = verdict.gates_failed
    assert (failure.gate, failure.severity) == ("tenant-hash", Severity.WARNING)
    assert "acme" not in failure.reason
    assert verdict.valid


def test_a_tenant_in_clear_with_a_key_passes() -> None:
    assert failed(verdict_of(*spans(of_task={a.TENANT_ID: "acme"}), key=b"k" * 32)) == {}


def test_a_tenant_in_clear_that_slipped_through_is_critical() -> None:
    point = record_from(facts_from(sealed(*spans(of_task={a.TENANT_ID: "acme"}))))
    verdict = judge(point, GateSettings()).point.verdict
    assert verdict is not None
    (failure,) = verdict.gates_failed
    assert (failure.gate, failure.severity) == ("tenant-hash", Severity.CRITICAL)
    assert "acme" not in failure.reason


# -- propensity ------------------------------------------------------------------------------------


def candidates(ids: list[str], propensities: list[float] | None = None, **more: Any) -> dict[str, Any]:
    return {a.ROUTING_CANDIDATE_IDS: ids, a.ROUTING_CANDIDATE_PROPENSITIES: propensities, **more}


@pytest.mark.parametrize(
    ("routed", "reason"),
    [
        ({}, None),
        ({a.ROUTING_PROPENSITY: 1.0}, None),
        ({a.ROUTING_PROPENSITY: 0.0}, "routing.propensity = 0.0 is not in (0, 1]"),
        ({a.ROUTING_PROPENSITY: 1.2}, "routing.propensity = 1.2 is not in (0, 1]"),
        (candidates(["alpha", "beta"], [1 / 3, 2 / 3]), None),
        (candidates(["alpha", "beta"], [0.6667, 0.3334]), None),
        (candidates(["alpha", "beta"], [0.5, 0.4]), "routing.alternativesConsidered[].propensity sum to 0.9, not to 1"),
        (candidates(["alpha", "beta"]), None),
        (
            candidates(["beta", "gamma"], [0.5, 0.5]),
            "routing.selectedAgent.id = 'alpha' is not among routing.alternativesConsidered",
        ),
    ],
)
def test_propensities_are_a_distribution_over_the_candidates(routed: dict[str, Any], reason: str | None) -> None:
    verdict = verdict_of(*spans(routed=routed))
    assert failed(verdict).get("propensity") == reason
    assert verdict.rl_ready


# -- success-quality, failure-quality, tokens-without-work -----------------------------------------


@pytest.mark.parametrize(
    ("success", "score", "gate"),
    [
        (True, 0.5, None),
        (True, 0.49, "success-quality"),
        (False, 0.8, None),
        (False, 0.81, "failure-quality"),
        (False, 0.1, None),
    ],
)
def test_outcome_and_score_agree(success: bool, score: float, gate: str | None) -> None:
    changed = {"run": {a.EXECUTION_SUCCESS: success}, "judged": {a.EVALUATION_OVERALL_SCORE: score}}
    verdict = verdict_of(*spans(**changed))
    assert set(failed(verdict)) == ({gate} if gate else set())
    assert verdict.valid == (gate != "success-quality")
    for reason in failed(verdict).values():
        assert f"overallScore = {score}" in reason


@pytest.mark.parametrize(
    ("tokens", "thinking", "calls", "fails"),
    [(101, None, 0, True), (101, 0, 0, True), (100, None, 0, False), (101, 5, 0, False), (101, None, 1, False)],
)
def test_tokens_go_somewhere(tokens: int, thinking: int | None, calls: int, fails: bool) -> None:
    usage = {
        a.GEN_AI_USAGE_INPUT_TOKENS: tokens - 1,
        a.GEN_AI_USAGE_OUTPUT_TOKENS: 1,
        a.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: thinking,
    }
    parts = [span for span in spans(run=usage) if calls or span.span_id != span_id(4)]
    assert set(failed(verdict_of(*parts))) == ({"tokens-without-work"} if fails else set())


# -- Bad input -------------------------------------------------------------------------------------


def test_scores_that_are_no_numbers_are_left_out_flagged_and_not_ready() -> None:
    nan = float("nan")
    verdict = verdict_of(*spans(judged={a.EVALUATION_OVERALL_SCORE: nan, a.RUBRIC_TASK: float("-inf")}))
    assert (verdict.valid, verdict.rl_ready) == (True, False)


def test_a_whole_record_of_nonsense_is_judged() -> None:
    nonsense = {name: "\0" * 3 for name in vars(a).values() if isinstance(name, str) and "." in name}
    odd = event(a.GEN_AI_EVALUATION_EVENT, nonsense)
    verdict = verdict_of(
        task(attributes=nonsense, events=[odd]),
        route(attributes=nonsense),
        execution(attributes=nonsense, events=[odd, event(a.TURN_EVENT, nonsense)]),
        tool_call(attributes=nonsense),
        evaluation(attributes=nonsense, events=[odd]),
        foreign(50),
    )
    assert not verdict.valid


def test_the_whole_task_passes() -> None:
    verdict = judge(record_from(facts_from(raw_task(whole_task()))), GateSettings()).point.verdict
    assert verdict is not None
    assert verdict.gates_failed == ()
