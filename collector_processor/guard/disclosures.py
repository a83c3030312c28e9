"""The gates pii, secrets and text-withheld: what the privacy pass could not keep out of a record, or left out of it.

It hands over disclosures. They become anomalies of the facts, so that they go where the facts go: with a stray span
to its task, into every later revision, into the record. An anomaly has the field, the types and how many of each.
What a scan finds later condemns: the gate fails critically, whatever its severity is set to, until a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from collector_processor.guard.findings import Context, Finding
from collector_processor.model.facts import Anomaly, Problem
from collector_processor.model.record import BenchmarkDataPoint, GateName, Severity
from collector_processor.model.stages import Disclosure


def disclosed(disclosures: Iterable[Disclosure]) -> tuple[Anomaly, ...]:
    """Return an anomaly for each span, field and problem, which says what was found: `2 EMAIL, 1 PHONE`."""
    counts: dict[tuple[str, str, Problem], dict[str, int]] = {}
    for span_id, field, problem, type_, times in disclosures:
        types = counts.setdefault((span_id, field, problem), {})
        types[type_] = types.get(type_, 0) + times
    return tuple(
        Anomaly(*place, ", ".join(f"{types[type_]} {type_}" for type_ in sorted(types)))
        for place, types in sorted(counts.items())
    )


def condemned(disclosures: Iterable[Disclosure]) -> tuple[Anomaly, ...]:
    """Return the marks that make gates fail critically for these disclosures."""
    gates = {(span_id, _GATES[problem]) for span_id, _, problem, _, _ in disclosures}
    return tuple(Anomaly(span_id, gate, Problem.CONDEMNED) for span_id, gate in sorted(gates))


def pii(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on personal data that stands in the record, or stood there when it was scanned."""
    for each, severity in _noticed(point, Problem.PERSONAL_DATA):
        reason = f"{each.field} of span {each.span_id} holds personal data: {each.detail}, none is allowed"
        yield Finding(reason, severity)


def secrets(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on credentials that stand in the record, or stood there when it was scanned."""
    for each, severity in _noticed(point, Problem.CREDENTIAL):
        reason = f"{each.field} of span {each.span_id} holds credentials: {each.detail}, none is allowed"
        yield Finding(reason, severity)


def text_withheld(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on a text that was left out, because nobody could tell what stands in it."""
    for each, severity in _noticed(point, Problem.TEXT_WITHHELD):
        yield Finding(f"{each.field} of span {each.span_id} was left out: {each.detail}", severity)


def _noticed(point: BenchmarkDataPoint, problem: Problem) -> Iterator[tuple[Anomaly, Severity | None]]:
    """The anomalies of a problem, critical ones where a scan has condemned their span by the problem's gate."""
    anomalies = point.facts.anomalies
    marked = {each.span_id for each in anomalies if each.problem is Problem.CONDEMNED and each.field == _GATES[problem]}
    for each in anomalies:
        if each.problem is problem:
            yield each, Severity.CRITICAL if each.span_id in marked else None


_GATES: Final = {
    Problem.PERSONAL_DATA: GateName.PII,
    Problem.CREDENTIAL: GateName.SECRETS,
    Problem.TEXT_WITHHELD: GateName.TEXT_WITHHELD,
}
