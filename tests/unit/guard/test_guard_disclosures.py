"""What the privacy pass hands over: kept as type, field and count, judged, and carried into revisions."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import revise, tool_call, whole

from collector_processor.convert.union import unite
from collector_processor.guard.disclosures import disclosed
from collector_processor.model.facts import Anomaly, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, FailedGate, Severity, State, point_id
from collector_processor.model.stages import Disclosure
from otel_benchmark import attributes as a

ID = point_id(b"t" * 16, b"s" * 8)
SPAN = f"{4:016x}"
RESULT = a.GEN_AI_TOOL_CALL_RESULT


def judged(*disclosures: Disclosure) -> BenchmarkDataPoint:
    return revise(ID, msgspec.structs.replace(whole(), anomalies=disclosed(disclosures)), 1).point


def failures(point: BenchmarkDataPoint) -> list[FailedGate]:
    assert point.verdict is not None
    return [gate for gate in point.verdict.gates_failed if gate.gate in {"pii", "secrets", "text-withheld"}]


@pytest.mark.parametrize(
    ("problem", "type_", "gate", "severity", "reason"),
    [
        (
            Problem.PERSONAL_DATA,
            "EMAIL",
            "pii",
            Severity.CRITICAL,
            "holds personal data: 2 EMAIL, 1 PHONE, none is allowed",
        ),
        (Problem.CREDENTIAL, "TOKEN", "secrets", Severity.CRITICAL, "holds credentials: 1 PHONE, 2 TOKEN, none"),
        (Problem.TEXT_WITHHELD, "too_long", "text-withheld", Severity.WARNING, "was left out: 1 PHONE, 2 too_long"),
    ],
)
def test_each_has_its_gate_and_its_reason(
    problem: Problem, type_: str, gate: str, severity: Severity, reason: str
) -> None:
    point = judged(
        Disclosure(SPAN, RESULT, problem, type_),
        Disclosure(SPAN, RESULT, problem, "PHONE"),
        Disclosure(SPAN, RESULT, problem, type_),
    )
    (failure,) = failures(point)
    assert (failure.gate, failure.severity) == (gate, severity)
    assert failure.reason.startswith(f"{RESULT} of span {SPAN} {reason}")
    assert point.state is (State.QUARANTINED if severity is Severity.CRITICAL else State.ACCEPTED)


def test_a_record_without_any_passes() -> None:
    assert failures(judged()) == []


def test_fields_are_told_apart() -> None:
    (failure,) = failures(
        judged(
            Disclosure(SPAN, RESULT, Problem.PERSONAL_DATA, "EMAIL"),
            Disclosure(SPAN, a.TASK_DESCRIPTION, Problem.PERSONAL_DATA, "NAME", 3),
        )
    )
    assert failure.reason == (
        f"{a.TASK_DESCRIPTION} of span {SPAN} holds personal data: 3 NAME, none is allowed; "
        f"{RESULT} of span {SPAN} holds personal data: 1 EMAIL, none is allowed"
    )


def test_a_late_part_brings_its_own() -> None:
    late = Facts(
        tool_calls=(tool_call(span=7),),
        anomalies=disclosed([Disclosure(f"{7:016x}", RESULT, Problem.CREDENTIAL, "JWT")]),
    )
    revised = revise(ID, unite(whole(), late), 2).point
    assert [gate.gate for gate in failures(revised)] == ["secrets"]
    assert [gate.gate for gate in failures(revise(ID, unite(revised.facts, Facts()), 3).point)] == ["secrets"]


PLACES = st.tuples(
    st.sampled_from([SPAN, f"{5:016x}"]),
    st.sampled_from([RESULT, a.TASK_DESCRIPTION]),
    st.sampled_from([Problem.PERSONAL_DATA, Problem.CREDENTIAL, Problem.TEXT_WITHHELD]),
    st.sampled_from(["EMAIL", "JWT", "too_long"]),
    st.integers(1, 9),
)


@given(st.lists(PLACES), st.randoms())
def test_the_order_does_not_matter_and_every_count_is_there(
    found: list[tuple[str, str, Problem, str, int]], random
) -> None:
    disclosures = [Disclosure(*each) for each in found]
    anomalies = disclosed(disclosures)
    random.shuffle(disclosures)
    assert disclosed(disclosures) == anomalies == unite(Facts(), Facts(anomalies=anomalies)).anomalies

    def count(anomaly: Anomaly) -> int:
        return sum(int(part.split()[0]) for part in (anomaly.detail or "").split(", "))

    assert sum(map(count, anomalies)) == sum(each.times for each in disclosures)
