"""Look again at what is stored, by the rules of today: what they find there is a privacy violation.

A record's texts are redacted, what was found becomes anomalies of its facts, and these condemn it: it fails a critical
gate whatever the gates' severities are set to, in every later revision too, until a person has decided about it. A
text that nobody can read is withheld and condemns as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from collector_processor.errors import DetectionError
from collector_processor.guard.disclosures import condemned, disclosed
from collector_processor.guard.privacy import Finding, Reason, Redacted, Text, Withheld
from collector_processor.guard.protection import Protector
from collector_processor.guard.texts import Gathered, gather, replace, spans_of
from collector_processor.model.facts import Anomaly, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, FailedGate, GateName, Severity, State, Verdict
from collector_processor.model.stages import Disclosure, Mended

RECORD: Final = "record"
"""What an anomaly is about that concerns all texts of a record."""


class Rescan:
    """Looks at what is stored; one for each thread, as its protector is.

    Args:
        protector: searches, and redacts what is found.
    """

    def __init__(self, protector: Protector) -> None:
        self._protector = protector

    def record(self, facts: Facts, tenant: str | None) -> Mended | None:
        """Return what is to become of a record's facts, of a tenant (its hash); None where nothing is wrong.

        Raises:
            DetectionError: detection fails. The record can be searched again, when that is mended; its texts stay.
        """
        return self._mended(facts, tenant, keep=True)

    def facts(self, facts: Facts, tenant: str | None) -> Mended | None:
        """The same for facts that wait for their record; texts on which detection fails are withheld."""
        return self._mended(facts, tenant, keep=False)

    def texts(self, texts: Sequence[tuple[str, str]], tenant: str | None) -> list[str] | None:
        """Return texts that stand beside records, each after its name, as they may stay; None where nothing is wrong.

        What can't be read gives way to a mark that says so.
        """
        redacted = self._protector.redact([Text(*each) for each in texts], tenant)
        return [*redacted.values] if redacted.findings or redacted.withheld else None

    def _mended(self, facts: Facts, tenant: str | None, *, keep: bool) -> Mended | None:
        gathered = gather(facts)
        redacted = self._protector.redact(gathered.texts, tenant)
        if not (redacted.findings or redacted.withheld):
            return None
        if keep and any(each.reason is Reason.FAILED for each in redacted.withheld):
            fields = sorted({each.key for each in redacted.withheld if each.reason is Reason.FAILED})
            raise DetectionError(f"detection fails in {', '.join(fields)}")
        standing = _disclosures(redacted, gathered)
        mended = replace(facts, [*redacted.values])
        return Mended(
            msgspec.structs.replace(mended, anomalies=mended.anomalies + disclosed(standing) + condemned(standing)),
            Counter(each.category.value for each in redacted.findings),
            Counter(each.reason.value for each in redacted.withheld),
        )

    @staticmethod
    def condemn(record: BenchmarkDataPoint, problem: str) -> BenchmarkDataPoint | None:
        """Return a record that can't be searched as one that is withheld for it; None where it is already.

        Its texts stay as they are, for a person and for a later scan. `problem` says why, without quoting a text.
        """
        task = record.facts.task
        span_id = task.span_id if task is not None else ""
        mark = Anomaly(span_id, GateName.TEXT_WITHHELD, Problem.CONDEMNED)
        if mark in record.facts.anomalies:
            return None
        told = Anomaly(span_id, RECORD, Problem.TEXT_WITHHELD, problem)
        facts = msgspec.structs.replace(record.facts, anomalies=(*record.facts.anomalies, told, mark))
        before = record.verdict.gates_failed if record.verdict is not None else ()
        failed = FailedGate(GateName.TEXT_WITHHELD, Severity.CRITICAL, f"the record can't be searched: {problem}")
        return msgspec.structs.replace(
            record,
            facts=facts,
            verdict=Verdict(valid=False, rl_ready=False, gates_failed=(*before, failed)),
            state=record.state if record.state is State.DISCARDED else State.QUARANTINED,
            revision=record.revision + 1,
        )


def _disclosures(redacted: Redacted, gathered: Gathered) -> list[Disclosure]:
    told: Sequence[Finding | Withheld] = [*redacted.findings, *redacted.withheld]
    spans = spans_of([each.number for each in told], gathered)
    return [Disclosure(span_id, each.key, *_problem(each)) for each, span_id in zip(told, spans, strict=True)]


def _problem(told: Finding | Withheld) -> tuple[Problem, str]:
    if isinstance(told, Withheld):
        return Problem.TEXT_WITHHELD, told.reason.value
    return Problem.CREDENTIAL if told.category.secret else Problem.PERSONAL_DATA, told.category.value
