"""Whether a processor could go on like this for ever: memory, journal and lag after the warm-up, as a trend each."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

from soak.sampling import Sample

WARM_UP: Final = 1 / 3
"""Of the run. What remembers for a while (foreign traces: ten minutes) is full after that."""
SHORTEST: Final = 600.0
"""Seconds; a shorter run says nothing about trends."""
SPARE_SHARE, SPARE_MIB, SPARE_SECONDS = 0.05, 4.0, 2.0
"""What a trend may come to in the part that counts: noise."""
SPARE: Final = {"postgres": math.inf}
"""Told and not judged: its buffers fill up to what they may have."""


class Trend(NamedTuple):
    """Of one quantity after the warm-up: what it is usually, and by how much it rises in an hour."""

    name: str
    unit: str
    median: float
    most: float
    per_hour: float
    grows: bool

    def __str__(self) -> str:
        words = f"{self.median:9.1f} {self.unit:<3} at most {self.most:8.1f}, {self.per_hour:+9.2f} {self.unit} an hour"
        return f"{self.name:<20}{words}{'  GROWS' if self.grows else ''}"


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
    slope = statistics.linear_regression(at, values).slope if len(at) > 1 else 0.0
    rise = slope * (at[-1] - at[0])
    median = statistics.median(values)
    return Trend(name, unit, median, max(values), slope * 3600, rise > max(spare, SPARE_SHARE * median))
