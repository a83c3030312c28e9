"""Whether a processor could go on like this for ever: memory, journal and lag after the warm-up, as a trend each.

A trend is a straight line through the medians of a dozen stretches of the run, told by the hour with twice its standard
error. It counts as growing where, even less that error, an hour of it would be more than noise, in its second half too:
what stepped up once, when the machine stood still and the sender caught up, and stayed there since is level.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

from soak.sampling import Sample

MEMORY_SHARE: Final = 1 / 12
"""Of the run: how long the journal remembers in it what it forgets after minutes elsewhere."""
WARM_UP: Final = 4 * MEMORY_SHARE
"""Of the run. What is remembered has its number after one of those times, and its pages of a B-tree, which random
ids leave half empty, after three more (of a model's 9,260 pages it had 6,842 after one, 9,102 after three)."""
SHORTEST: Final = 600.0
"""Seconds; a shorter run says nothing about trends."""
STRETCHES: Final = 12
SPARE_SHARE, SPARE_MIB, SPARE_SECONDS = 0.05, 4.0, 2.0
"""What a trend may come to in an hour."""
SPARE: Final = {"postgres": math.inf}
"""Told and not judged: its buffers fill up to what they may have."""


class Trend(NamedTuple):
    """Of one quantity after the warm-up: what it is usually, and by how much it rises in an hour, give or take.

    `later` is what it rises by in the second half of that.
    """

    name: str
    unit: str
    median: float
    most: float
    per_hour: float
    error: float
    later: float
    later_error: float
    grows: bool

    def __str__(self) -> str:
        words = f"{self.median:9.1f} {self.unit:<3} at most {self.most:8.1f}"
        slope = f"{self.per_hour:+8.2f} \N{PLUS-MINUS SIGN} {self.error:5.2f} {self.unit} an hour"
        later = f"in the second half {self.later:+8.2f} \N{PLUS-MINUS SIGN} {self.later_error:5.2f}"
        return f"{self.name:<20}{words}, {slope}, {later}{'  GROWS' if self.grows else ''}"


class Verdict(NamedTuple):
    """`problems` is empty where all is flat; `judged` is False where the run was too short to tell."""

    trends: list[Trend]
    problems: list[str]
    judged: bool


def judge(samples: Sequence[Sample]) -> Verdict:
    """Judge a run by its samples."""
    length = samples[-1].at
    counting = [each for each in samples if each.at >= length * WARM_UP]
    memory = {part: [each.memory[part] for each in counting] for part in samples[-1].memory}
    journal = {
        "journal, live": [each.journal_live for each in counting],
        "journal, file": [each.journal_file for each in counting],
    }
    ages = {
        "oldest open task": [each.oldest_open for each in counting],
        "oldest sealed batch": [each.oldest_sealed for each in counting],
        "sender behind": [each.behind for each in counting],
    }
    at = [each.at for each in counting]
    sizes = {name: values for name, values in (memory | journal).items() if any(values)}
    trends = [_trend(name, "MiB", at, values, SPARE.get(name, SPARE_MIB)) for name, values in sizes.items()]
    trends += [_trend(name, "s", at, values, SPARE_SECONDS) for name, values in ages.items()]
    return Verdict(trends, [f"{trend.name} grows" for trend in trends if trend.grows], length >= SHORTEST)


def _trend(name: str, unit: str, at: Sequence[float], values: Sequence[float], spare: float) -> Trend:
    points = [*zip(at, values, strict=True)]
    (slope, error), (later, later_error) = _line(points), _line(points[len(points) // 2 :])
    median = statistics.median(values)
    grows = min(slope - error, later - later_error) > max(spare, SPARE_SHARE * median)
    return Trend(name, unit, median, max(values), slope, error, later, later_error, grows)


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """What the points rise by in an hour, and twice the standard error of that; 0 where they are too few."""
    size = len(points) // STRETCHES
    if size < 1:
        return 0.0, 0.0
    stretches = [points[start : start + size] for start in range(0, size * STRETCHES, size)]
    at, values = ([statistics.median(each[axis] for each in stretch) for stretch in stretches] for axis in (0, 1))
    line = statistics.linear_regression(at, values)
    missed = sum((value - line.intercept - line.slope * moment) ** 2 for moment, value in zip(at, values, strict=True))
    spread = statistics.pvariance(at) * STRETCHES
    return line.slope * 3600, 2 * 3600 * math.sqrt(missed / (STRETCHES - 2) / spread)
