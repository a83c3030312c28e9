"""A record's verdict and state: what the gates find, weighed by their severities."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from collector_processor.guard.findings import Context
from collector_processor.guard.gates import GATES
from collector_processor.model.record import (
    BenchmarkDataPoint,
    FailedGate,
    GateName,
    OutlierRule,
    Severity,
    State,
    Verdict,
)
from collector_processor.model.stages import GuardedPoint
from otel_benchmark.attributes import TaskType

MAX_REASONS: Final = 20
"""Reasons of one gate and severity that are told; the rest is counted."""

_PASSED: Final = Verdict(valid=True, rl_ready=True)
_INVALID: Final = frozenset({Severity.ERROR, Severity.CRITICAL})


class GateSettings(NamedTuple):
    """What an operator may set: known task types and agents (none: any), clock skew, and severities by gate name.

    Outliers are found by `outlier_rule`, in windows of at least `outlier_min_tasks` tasks of the type.
    """

    task_types: frozenset[str] = frozenset(TaskType)
    agents: frozenset[str] = frozenset()
    clock_skew_ms: float = 1000.0
    severities: Mapping[str, Severity] = MappingProxyType({})
    outlier_rule: OutlierRule = OutlierRule.MAD
    outlier_min_tasks: int = 100

    @property
    def context(self) -> Context:
        """What the gates are given of it."""
        return Context(self.task_types, self.agents, self.clock_skew_ms, self.outlier_rule, self.outlier_min_tasks)

    def severities_in_force(self) -> set[tuple[GateName, Severity]]:
        """Every gate with each severity that it may fail with."""
        own = {(gate.name, self.severities.get(gate.name, gate.severity)) for gate in GATES}
        return own | {(gate.name, gate.special) for gate in GATES if gate.special is not None}


def judge(point: BenchmarkDataPoint, settings: GateSettings, previous: State | None = None) -> GuardedPoint:
    """Return the record with its verdict and state.

    `previous` is the state that an earlier revision is in: what a person released or discarded stays so, unless a
    critical gate fails. A gate's configured severity replaces its own; a special case that a gate knows keeps its.
    """
    verdict = verdict_of(point, settings)
    return GuardedPoint(msgspec.structs.replace(point, verdict=verdict, state=state_of(verdict, previous)))


def verdict_of(point: BenchmarkDataPoint, settings: GateSettings) -> Verdict:
    """Return what the gates find: one entry for each gate and severity."""
    context = settings.context
    failed: list[FailedGate] = []
    for gate in GATES:
        findings = list(gate.check(point, context))
        if not findings:
            continue
        reasons: dict[Severity, list[str]] = {}
        for reason, severity in findings:
            weight = severity or settings.severities.get(gate.name, gate.severity)
            reasons.setdefault(weight, []).append(reason)
        failed += [FailedGate(gate.name, weight, _told(texts)) for weight, texts in reasons.items()]
    if not failed:
        return _PASSED
    severities = {each.severity for each in failed}
    valid = severities.isdisjoint(_INVALID)
    return Verdict(valid, valid and Severity.INCOMPLETE not in severities, tuple(failed))


def state_of(verdict: Verdict, previous: State | None) -> State:
    """Return the state that follows from a verdict and from what a person decided before."""
    critical = any(each.severity is Severity.CRITICAL for each in verdict.gates_failed)
    if previous in (State.RELEASED, State.DISCARDED) and not critical:
        return previous
    return State.ACCEPTED if verdict.valid else State.QUARANTINED


def _told(reasons: list[str]) -> str:
    rest = len(reasons) - MAX_REASONS
    return "; ".join(reasons[:MAX_REASONS]) + (f"; and {rest} more" if rest > 0 else "")
