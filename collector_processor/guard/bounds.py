"""The gate numeric-bounds: every bounded number of a record lies in its range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from collector_processor.guard.findings import Context, Finding
from collector_processor.model.ranges import RANGES, Range
from collector_processor.model.record import BenchmarkDataPoint


class _Bound(NamedTuple):
    """A field, its name in wire form, and where its values may lie."""

    field: str
    wire: str
    range: Range


_BOUNDS: Final[dict[type[msgspec.Struct], tuple[_Bound, ...]]] = {
    owner: tuple(
        _Bound(field, wire, ranges[field])
        for field, wire in zip(owner.__struct_fields__, owner.__struct_encode_fields__, strict=True)
        if field in ranges
    )
    for owner, ranges in RANGES.items()
}


def numeric_bounds(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on each number outside its range."""
    routing, evaluation = point.routing, point.evaluation
    if routing is not None:
        yield from _outside(routing, "routing")
        yield from _outside(routing.historical_performance, "routing.historicalPerformance")
    if point.execution is not None:
        yield from _outside(point.execution, "execution")
    if evaluation is not None:
        yield from _outside(evaluation, "evaluation")
        yield from _outside(evaluation.rubric_scores, "evaluation.rubricScores")
        if evaluation.minimal_diff_metrics is not None:
            yield from _outside(evaluation.minimal_diff_metrics, "evaluation.minimalDiffMetrics")
    if point.caws is not None:
        yield from _outside(point.caws.scores, "caws.scores")
    for place, turn in enumerate(point.rl_labels.turns):
        yield from _outside(turn, f"rlLabels.turns[{place}]")


def _outside(owner: msgspec.Struct, path: str) -> list[Finding]:
    found = []
    for field, wire, bound in _BOUNDS[type(owner)]:
        value = getattr(owner, field)
        if value is not None and not bound.holds(value):
            found.append(Finding(f"{path}.{wire} = {value!r} is not {bound}"))
    return found
