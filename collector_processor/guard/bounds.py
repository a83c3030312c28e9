"""The gate numeric-bounds: every bounded number of a record lies in its range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, nextafter
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from collector_processor.guard.findings import Context, Finding
from collector_processor.model.ranges import RANGES, Range
from collector_processor.model.record import BenchmarkDataPoint


class _Bounds(NamedTuple):
    """A record type's bounded fields: how to get their values, and for each its name in wire form and its range.

    The lowest number inside stands beside the range, so that the check is one comparison.
    """

    values: Callable[[Any], tuple[Any, ...]]
    fields: tuple[tuple[str, float, float, Range], ...]


def _bounds(owner: type[msgspec.Struct], ranges: dict[str, Range]) -> _Bounds:
    wire = dict(zip(owner.__struct_fields__, owner.__struct_encode_fields__, strict=True))
    fields = [
        (wire[field], nextafter(each.low, inf) if each.above else each.low, each.high, each)
        for field, each in ranges.items()
    ]
    if len(fields) > 1:
        return _Bounds(attrgetter(*ranges), tuple(fields))
    get = attrgetter(*ranges)
    return _Bounds(lambda struct: (get(struct),), tuple(fields))


_BOUNDS: Final = {owner: _bounds(owner, ranges) for owner, ranges in RANGES.items()}


def numeric_bounds(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on each number outside its range."""
    for path, owner in _parts(point):
        values, fields = _BOUNDS[type(owner)]
        for value, (wire, low, high, bound) in zip(values(owner), fields, strict=True):
            if value is not None and not low <= value <= high:
                yield Finding(f"{path}.{wire} = {value!r} is not {bound}")


def _parts(point: BenchmarkDataPoint) -> list[tuple[str, msgspec.Struct]]:
    """Return the parts of a record that have bounded numbers, with their paths in wire form."""
    parts: list[tuple[str, msgspec.Struct]] = []
    if (routing := point.routing) is not None:
        parts += (("routing", routing), ("routing.historicalPerformance", routing.historical_performance))
    if (execution := point.execution) is not None:
        parts.append(("execution", execution))
    if (evaluation := point.evaluation) is not None:
        parts += (("evaluation", evaluation), ("evaluation.rubricScores", evaluation.rubric_scores))
        if (diff := evaluation.minimal_diff_metrics) is not None:
            parts.append(("evaluation.minimalDiffMetrics", diff))
    if (caws := point.caws) is not None:
        parts.append(("caws.scores", caws.scores))
    parts += [(f"rlLabels.turns[{place}]", turn) for place, turn in enumerate(point.rl_labels.turns)]
    return parts
