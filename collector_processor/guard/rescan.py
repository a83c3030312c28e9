"""Look again at what is stored, by the rules of today: what they find there is a privacy violation.

The record's texts are redacted, what was found becomes anomalies of its facts, and the record fails a critical gate
whatever the gates' severities are set to: it is withheld until a person has looked at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from collector_processor.guard.disclosures import disclosed
from collector_processor.guard.privacy import Detector, Text
from collector_processor.guard.protection import Protector, scan
from collector_processor.guard.texts import gather, replace
from collector_processor.model.facts import Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, FailedGate, Severity, State, Verdict
from collector_processor.model.stages import Disclosure
from otel_benchmark import attributes as a

_GATES = {Problem.PERSONAL_DATA: "pii", Problem.CREDENTIAL: "secrets"}


class Violation(NamedTuple):
    """Facts as they may be stored from now on, and what stood in them."""

    facts: Facts
    disclosures: Sequence[Disclosure]


class Rescan:
    """Looks at facts; one for each thread, as its detector is.

    Args:
        protector: redacts what is found.
    """

    def __init__(self, protector: Protector) -> None:
        self._protector = protector
        self._detector = Detector()

    def look(self, facts: Facts, tenant: str | None) -> Violation | None:
        """Return what is wrong with stored facts of a tenant (its hash); None where nothing is."""
        standing = scan(facts, self._detector)
        if not standing:
            return None
        redacted = replace(facts, self._protector.redact(gather(facts).texts, tenant).values)
        anomalies = redacted.anomalies + disclosed(standing)
        return Violation(msgspec.structs.replace(redacted, anomalies=anomalies), standing)

    def renamed(self, namespace: str) -> str:
        """Return a namespace as it may stay beside what waits for its task."""
        (value,) = self._protector.redact([Text(a.SERVICE_NAMESPACE, namespace)], None).values
        return value


def condemn(point: BenchmarkDataPoint, disclosures: Sequence[Disclosure]) -> BenchmarkDataPoint:
    """Return a judged record as one that failed the gates of what was found in it, as critically as can be."""
    verdict = point.verdict or Verdict(valid=True, rl_ready=True)
    names = sorted({_GATES[each.problem] for each in disclosures})
    others = tuple(each for each in verdict.gates_failed if each.gate not in names)
    failed = tuple(FailedGate(name, Severity.CRITICAL, _reason(name, disclosures)) for name in names)
    condemned = Verdict(valid=False, rl_ready=False, gates_failed=others + failed)
    return msgspec.structs.replace(point, verdict=condemned, state=State.QUARANTINED)


def _reason(gate: str, disclosures: Sequence[Disclosure]) -> str:
    found = disclosed(each for each in disclosures if _GATES[each.problem] == gate)
    return "; ".join(f"{each.field} of span {each.span_id} held {each.detail}" for each in found)
