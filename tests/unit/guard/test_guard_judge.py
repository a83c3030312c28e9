"""Verdict and state: severities weighed, human decisions kept."""

from __future__ import annotations

import pytest
from support.lifecycle import evaluation, execution, raw_task, route, task, tool_call, whole_task
from support.records import facts_from, record_from, record_of

from collector_processor.guard import GateSettings, judge
from collector_processor.guard.judge import MAX_REASONS, state_of
from collector_processor.model.record import FailedGate, GateName, Severity, State, Verdict
from otel_benchmark import attributes as a

SOUND = record_from(facts_from(raw_task(whole_task())))


def verdict(*severities: Severity) -> Verdict:
    valid = not {Severity.ERROR, Severity.CRITICAL} & set(severities)
    return Verdict(valid, valid, tuple(FailedGate("gate", each, "reason") for each in severities))


@pytest.mark.parametrize(
    ("previous", "severities", "state"),
    [
        (None, [], State.ACCEPTED),
        (None, [Severity.WARNING], State.ACCEPTED),
        (None, [Severity.INCOMPLETE], State.ACCEPTED),
        (None, [Severity.ERROR], State.QUARANTINED),
        (None, [Severity.CRITICAL], State.QUARANTINED),
        (State.QUARANTINED, [], State.ACCEPTED),
        (State.ACCEPTED, [Severity.ERROR], State.QUARANTINED),
        (State.RELEASED, [Severity.ERROR], State.RELEASED),
        (State.RELEASED, [], State.RELEASED),
        (State.RELEASED, [Severity.WARNING, Severity.CRITICAL], State.QUARANTINED),
        (State.DISCARDED, [], State.DISCARDED),
        (State.DISCARDED, [Severity.CRITICAL], State.QUARANTINED),
    ],
)
def test_states(previous: State | None, severities: list[Severity], state: State) -> None:
    assert state_of(verdict(*severities), previous) is state


def test_a_sound_record_is_accepted_and_otherwise_unchanged() -> None:
    point = judge(SOUND, GateSettings()).point
    assert (point.state, point.verdict) == (State.ACCEPTED, Verdict(valid=True, rl_ready=True))
    assert (point.facts, point.task, point.rl_labels) == (SOUND.facts, SOUND.task, SOUND.rl_labels)


def test_an_invalid_record_is_quarantined_not_dropped() -> None:
    point = judge(record_of(task()), GateSettings()).point
    assert point.state is State.QUARANTINED
    assert point.verdict is not None
    assert not point.verdict.valid


def test_a_released_record_stays_released() -> None:
    assert judge(record_of(task()), GateSettings(), State.RELEASED).point.state is State.RELEASED


@pytest.mark.parametrize("severity", list(Severity))
def test_the_severity_of_a_gate_is_configuration(severity: Severity) -> None:
    low = [task(), route(), execution(attributes={a.EXECUTION_SUCCESS: True}), tool_call()]
    point = record_of(*low, evaluation(attributes={a.EVALUATION_OVERALL_SCORE: 0.1}))
    judged = judge(point, GateSettings(severities={"success-quality": severity})).point.verdict
    assert judged is not None
    (failure,) = [each for each in judged.gates_failed if each.gate == "success-quality"]
    assert failure.severity is severity
    assert judged.valid == (severity in (Severity.INCOMPLETE, Severity.WARNING))


def test_the_severities_in_force_are_of_every_gate_and_its_special_cases() -> None:
    in_force = GateSettings(severities={"enums": Severity.ERROR}).severities_in_force()
    assert {gate for gate, _ in in_force} == set(GateName)
    assert len(in_force) == len(GateName) + 3
    assert {severity for gate, severity in in_force if gate is GateName.ENUMS} == {Severity.ERROR}
    assert {severity for gate, severity in in_force if gate is GateName.TENANT_HASH} == {
        Severity.CRITICAL,
        Severity.WARNING,
    }


def test_a_gate_fails_only_with_severities_that_it_declares() -> None:
    """As `gate_results` lists them."""
    bare = [task(attributes={a.TENANT_ID: "acme"})]
    judged = [judge(record_of(*parts), GateSettings()).point.verdict for parts in (bare, [*bare, route(), execution()])]
    failed = {(each.gate, each.severity) for found in judged if found for each in found.gates_failed}
    assert {gate for gate, severity in failed if severity is Severity.INCOMPLETE} == {"reported", "required-sections"}
    assert failed <= GateSettings().severities_in_force()


def test_a_special_case_keeps_its_severity() -> None:
    point = record_of(task(), route(), execution(), tool_call())
    judged = judge(point, GateSettings(severities={"required-sections": Severity.CRITICAL})).point.verdict
    assert judged is not None
    assert {each.gate: each.severity for each in judged.gates_failed}["required-sections"] is Severity.INCOMPLETE


def test_reasons_without_end_are_counted() -> None:
    calls = [
        tool_call(100 + number, start=100 + number, end=101 + number, attributes={a.TURN_SAFETY_SCORE: 2.0})
        for number in range(MAX_REASONS + 5)
    ]
    judged = judge(record_of(task(), route(), execution(), *calls), GateSettings()).point.verdict
    assert judged is not None
    (reason,) = [each.reason for each in judged.gates_failed if each.gate == "numeric-bounds"]
    assert reason.count(";") == MAX_REASONS
    assert reason.endswith("and 5 more")
