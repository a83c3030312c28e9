"""The gates pii, secrets and text-withheld: what the privacy pass could not keep out of a record, or left out of it.

It hands over disclosures. They become anomalies of the facts, so that they go where the facts go: with a stray span
to its task, into every later revision, into the record. An anomaly has the field, the types and how many of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collector_processor.guard.findings import Context, Finding
from collector_processor.model.facts import Anomaly, Problem
from collector_processor.model.record import BenchmarkDataPoint
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


def pii(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on personal data that stands in the record."""
    for each in _noticed(point, Problem.PERSONAL_DATA):
        yield Finding(f"{each.field} of span {each.span_id} holds personal data: {each.detail}, none is allowed")


def secrets(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on credentials that stand in the record."""
    for each in _noticed(point, Problem.CREDENTIAL):
        yield Finding(f"{each.field} of span {each.span_id} holds credentials: {each.detail}, none is allowed")


def text_withheld(point: BenchmarkDataPoint, _: Context) -> Iterator[Finding]:
    """Fail on a text that was left out, because nobody could tell what stands in it."""
    for each in _noticed(point, Problem.TEXT_WITHHELD):
        yield Finding(f"{each.field} of span {each.span_id} was left out: {each.detail}")


def _noticed(point: BenchmarkDataPoint, problem: Problem) -> Iterator[Anomaly]:
    return (each for each in point.facts.anomalies if each.problem is problem)
