"""The gates latency-outlier and token-outlier: a task is compared with what was usual for its type before it came.

Latencies and tokens spread over orders of magnitude, so their logarithms are compared. Median and median deviation
are not moved by the outliers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp
from typing import Final

import msgspec

from collector_processor.guard.findings import Context, Finding
from collector_processor.model.facts import Baseline, Spread
from collector_processor.model.record import BenchmarkDataPoint, OutlierRule
from collector_processor.model.stages import Converted

MAX_DEVIATIONS: Final = 3.0
"""Robust standard deviations of the logarithm above the median, beyond which a number is an outlier."""

_RULES: Final = {
    OutlierRule.MAD: f"{MAX_DEVIATIONS:g} robust standard deviations above the median",
    OutlierRule.P99: "the 99th percentile",
}
_MINUTE: Final = len("2026-11-22T12:00")


def with_baseline(converted: Converted, baselines: Mapping[str, Baseline]) -> Converted:
    """Return a conversion whose task carries what is usual for its type now; `baselines` by task type."""
    facts = converted.facts
    if facts is None or facts.task is None or (baseline := baselines.get(facts.task.type or "")) is None:
        return converted
    return converted._replace(facts=msgspec.structs.replace(facts, baseline=baseline))


def latency_outlier(point: BenchmarkDataPoint, context: Context) -> Iterator[Finding]:
    """Fail on a latency far above what was usual for the task's type."""
    if (baseline := _baseline(point)) is not None and point.execution is not None:
        yield from _compare("latencyMs", point.execution.latency_ms, baseline, baseline.latency_ms, context)


def token_outlier(point: BenchmarkDataPoint, context: Context) -> Iterator[Finding]:
    """Fail on tokens far above what was usual for the task's type."""
    if (baseline := _baseline(point)) is not None and point.execution is not None:
        yield from _compare("tokensUsed", point.execution.tokens_used, baseline, baseline.tokens_used, context)


def bound_of(spread: Spread, rule: OutlierRule) -> float:
    """Return the largest number that is no outlier."""
    return spread.p99 if rule is OutlierRule.P99 else spread.median * exp(MAX_DEVIATIONS * spread.deviation)


def _baseline(point: BenchmarkDataPoint) -> Baseline | None:
    """Return what the task is compared with; None where nothing is, also after its type was corrected to another."""
    baseline = point.facts.baseline
    return baseline if baseline is not None and baseline.task_type == point.task.type else None


def _compare(
    field: str, value: float | None, baseline: Baseline, spread: Spread | None, context: Context
) -> Iterator[Finding]:
    if value is None or spread is None or spread.tasks < context.outlier_min_tasks:
        return
    bound = bound_of(spread, context.outlier_rule)
    if value > bound:
        window = f"{baseline.window_start[:_MINUTE]}Z to {baseline.window_end[:_MINUTE]}Z"
        yield Finding(
            f"execution.{field} = {value:g} is above {bound:g}, {_RULES[context.outlier_rule]} of {spread.tasks}"
            f" {baseline.task_type} tasks from {window}, whose median is {spread.median:g}"
        )
