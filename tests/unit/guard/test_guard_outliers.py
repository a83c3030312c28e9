"""Outliers: measured by what was usual before the task came, for its type, and silent while too little is known."""

from __future__ import annotations

from math import exp
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import BASELINE, closed, lost, revise, whole
from support.facts import execution as execution_fact
from support.facts import routing as routing_fact

from collector_processor.convert.union import unite
from collector_processor.guard import GateSettings, judge, with_baseline
from collector_processor.guard.outliers import bound_of
from collector_processor.model.facts import Baseline, Facts, Spread
from collector_processor.model.record import FailedGate, OutlierRule, Severity, point_id
from collector_processor.model.stages import SealKind

WINDOW = "2026-11-15T12:00Z to 2026-11-22T12:00Z"
ID = point_id(b"t" * 16, b"s" * 8)


def facts(baseline: Baseline | None = BASELINE, *, type_: str | None = "code-editing", **run: Any) -> Facts:
    """A task whose only run is as given."""
    usual = {"latency_ms": 8000.0, "input_tokens": 900, "output_tokens": 100}
    whole_one = whole(type=type_)
    return msgspec.structs.replace(whole_one, executions=(execution_fact(**usual | run),), baseline=baseline)


def outliers(some: Facts, **settings: Any) -> list[FailedGate]:
    verdict = judge(revise(ID, some, 1).point, GateSettings(**settings)).point.verdict
    assert verdict is not None
    return [gate for gate in verdict.gates_failed if gate.gate.endswith("-outlier")]


def test_the_reason_names_field_value_bound_median_and_window() -> None:
    assert outliers(facts(latency_ms=35_854.0)) == [
        FailedGate(
            "latency-outlier",
            Severity.WARNING,
            "execution.latencyMs = 35854 is above 35853.5, 3 robust standard deviations above the median of 1000"
            f" code-editing tasks from {WINDOW}, whose median is 8000",
        )
    ]
    assert outliers(facts(input_tokens=4001, output_tokens=0), outlier_rule=OutlierRule.P99) == [
        FailedGate(
            "token-outlier",
            Severity.WARNING,
            f"execution.tokensUsed = 4001 is above 4000, the 99th percentile of 800 code-editing tasks from {WINDOW},"
            " whose median is 1000",
        )
    ]


@pytest.mark.parametrize(
    ("run", "rule", "failed"),
    [
        ({}, OutlierRule.MAD, set()),
        ({"latency_ms": 35_853.0}, OutlierRule.MAD, set()),
        ({"latency_ms": 35_854.0}, OutlierRule.MAD, {"latency-outlier"}),
        ({"latency_ms": 35_854.0}, OutlierRule.P99, set()),
        ({"latency_ms": 40_000.0}, OutlierRule.P99, set()),
        ({"latency_ms": 40_001.0}, OutlierRule.P99, {"latency-outlier"}),
        ({"latency_ms": 0.001}, OutlierRule.MAD, set()),
        ({"input_tokens": 2000, "output_tokens": 117}, OutlierRule.MAD, set()),
        ({"input_tokens": 2000, "output_tokens": 118}, OutlierRule.MAD, {"token-outlier"}),
        ({"input_tokens": None, "output_tokens": None}, OutlierRule.MAD, set()),
        ({"latency_ms": 1e9, "input_tokens": 10**9}, OutlierRule.MAD, {"latency-outlier", "token-outlier"}),
    ],
)
def test_what_lies_above_the_bound_fails(run: dict[str, Any], rule: OutlierRule, failed: set[str]) -> None:
    assert {gate.gate for gate in outliers(facts(**run), outlier_rule=rule)} == failed


FAR = {"latency_ms": 1e9, "input_tokens": 10**9}


def test_a_cold_start_has_no_bound_and_no_finding() -> None:
    assert outliers(facts(None, **FAR)) == []
    nothing_known = Baseline("code-editing", BASELINE.window_start, BASELINE.window_end)
    assert outliers(facts(nothing_known, **FAR)) == []


def test_too_few_tasks_say_nothing() -> None:
    assert {gate.gate for gate in outliers(facts(**FAR), outlier_min_tasks=801)} == {"latency-outlier"}
    assert {gate.gate for gate in outliers(facts(**FAR), outlier_min_tasks=800)} == {"latency-outlier", "token-outlier"}
    assert outliers(facts(**FAR), outlier_min_tasks=1001) == []


def test_without_an_execution_there_is_nothing_to_compare() -> None:
    assert outliers(msgspec.structs.replace(facts(), executions=())) == []


def test_a_baseline_of_another_type_says_nothing() -> None:
    """As where a person has corrected the task's type."""
    assert outliers(facts(type_="research", **FAR)) == []


# -- What a task is compared with --------------------------------------------------------------------------------

NEWER = msgspec.structs.replace(BASELINE, window_end="2026-11-22T13:00:00.000000000Z")


def test_a_task_carries_what_is_usual_for_its_type() -> None:
    task = closed(facts(None))
    assert with_baseline(task, {"code-editing": BASELINE}).facts == facts()
    assert with_baseline(task, {"research": BASELINE}) is task
    assert with_baseline(task, {}) is task
    untyped = closed(facts(None, type_=None))
    assert with_baseline(untyped, {"code-editing": BASELINE}) is untyped


def test_strays_and_late_parts_carry_none() -> None:
    stray = lost(routing_fact())
    assert with_baseline(stray, {"code-editing": BASELINE}) is stray
    late = closed(facts(None))
    late = late._replace(
        sealed=msgspec.structs.replace(late.sealed, kind=SealKind.LATE), facts=Facts(routings=(routing_fact(),))
    )
    assert with_baseline(late, {"code-editing": BASELINE}) is late


@pytest.mark.parametrize("known", [BASELINE, None])
def test_a_revision_is_measured_as_the_task_first_was(known: Baseline | None) -> None:
    """The same task sent again, hours later, when its own batch is in the window."""
    before = facts(known)
    assert unite(before, facts(NEWER)) == unite(before, before)
    assert unite(before, facts(NEWER)).baseline == known


def test_facts_that_came_before_their_task_take_its_baseline() -> None:
    waiting = Facts(executions=(execution_fact(),))
    assert unite(waiting, facts(NEWER)).baseline == NEWER


@given(st.floats(1e-3, 1e12), st.floats(0.1, 51), st.floats(1e-3, 1e12))
def test_bounds_are_finite_and_never_below_the_median(median: float, deviation: float, p99: float) -> None:
    spread = Spread(1, median, deviation, p99)
    assert median < bound_of(spread, OutlierRule.MAD) <= median * exp(153.1)
    assert bound_of(spread, OutlierRule.P99) == p99
