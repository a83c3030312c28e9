"""What gates are given and what they find."""

from __future__ import annotations

from typing import NamedTuple

from collector_processor.model.record import OutlierRule, Severity


class Finding(NamedTuple):
    """One thing that is wrong with a record; without a severity, the gate's own holds."""

    reason: str
    severity: Severity | None = None


class Context(NamedTuple):
    """What gates compare a record with beside itself. `agents` empty: any agent is known.

    Outliers are looked for from `outlier_min_tasks` tasks in their window on.
    """

    task_types: frozenset[str]
    agents: frozenset[str]
    clock_skew_ms: float
    outlier_rule: OutlierRule
    outlier_min_tasks: int
