"""Look again at what is stored, by the rules of today: what they find there is a privacy violation.

A record's texts are redacted, those of its deep samples too. What was found becomes anomalies of its facts, and these
condemn it: it fails a critical gate whatever the gates' severities are set to, in every later revision too, until a
person has decided about it. A text that nobody can read is withheld and condemns as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from collector_processor.errors import DetectionError
from collector_processor.guard.disclosures import condemned, disclosed
from collector_processor.guard.privacy import Finding, Reason, Redacted, Text, Withheld
from collector_processor.guard.protection import Protector
from collector_processor.guard.texts import gather, replace, spans_of
from collector_processor.model.content import texts_of, with_texts
from collector_processor.model.facts import Anomaly, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, FailedGate, GateName, Severity, State, Verdict
from collector_processor.model.stages import Disclosure, Mended

RECORD: Final = "record"
"""What an anomaly is about that concerns all texts of a record."""
SAMPLES: Final = "deep_samples"
"""What an anomaly is about that was found in one: `deep_samples.conversation`."""
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Rescan:
    """Looks at what is stored; one for each thread, as its protector is.

    Args:
        protector: searches, and redacts what is found.
    """

    def __init__(self, protector: Protector) -> None:
        self._protector = protector

    def record(self, facts: Facts, tenant: str | None, samples: Mapping[str, Any] = _NONE) -> Mended | None:
        """Return what is to become of a record's facts, of a tenant (its hash); None where nothing is wrong.

        `samples` are the contents of its deep samples by facet, in plain JSON types.

        Raises:
            DetectionError: detection fails. The record can be searched again, when that is mended; its texts stay.
        """
        return self._mended(facts, tenant, samples, keep=True)

    def facts(self, facts: Facts, tenant: str | None) -> Mended | None:
        """The same for facts that wait for their record; texts on which detection fails are withheld."""
        return self._mended(facts, tenant, _NONE, keep=False)

    def texts(self, texts: Sequence[tuple[str, str]], tenant: str | None) -> list[str] | None:
        """Return texts that stand beside records, each after its name, as they may stay; None where nothing is wrong.

        What can't be read gives way to a mark that says so.
        """
        redacted = self._protector.redact([Text(*each) for each in texts], tenant)
        return [*redacted.values] if redacted.findings or redacted.withheld else None

    def _mended(self, facts: Facts, tenant: str | None, samples: Mapping[str, Any], *, keep: bool) -> Mended | None:
        gathered = gather(facts)
        redacted = self._protector.redact(gathered.texts, tenant)
        told = _told(redacted)
        spans = spans_of([each.number for each in told], gathered)
        noticed = [(span_id, each.key, each) for span_id, each in zip(spans, told, strict=True)]
        mended: dict[str, Any] = {}
        for facet, content in samples.items():
            # By itself, as when it was made: the same rules find nothing more in it then.
            again = self._protector.redact([Text(*each) for each in texts_of(content)], tenant)
            if told := _told(again):
                noticed += [(_span_id(facts), f"{SAMPLES}.{facet}", each) for each in told]
                mended[facet] = with_texts(content, again.values)
        if not noticed:
            return None
        failed = {field for _, field, each in noticed if isinstance(each, Withheld) and each.reason is Reason.FAILED}
        if keep and failed:
            raise DetectionError(f"detection fails in {', '.join(sorted(failed))}")
        standing = [Disclosure(span_id, field, *_problem(each)) for span_id, field, each in noticed]
        facts = replace(facts, [*redacted.values])
        return Mended(
            msgspec.structs.replace(facts, anomalies=facts.anomalies + disclosed(standing) + condemned(standing)),
            Counter(each.category.value for _, _, each in noticed if isinstance(each, Finding)),
            Counter(each.reason.value for _, _, each in noticed if isinstance(each, Withheld)),
            mended,
        )

    @staticmethod
    def condemn(record: BenchmarkDataPoint, problem: str) -> BenchmarkDataPoint | None:
        """Return a record that can't be searched as one that is withheld for it; None where it is already.

        Its texts stay as they are, for a person and for a later scan. `problem` says why, without quoting a text.
        """
        span_id = _span_id(record.facts)
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


def _told(redacted: Redacted) -> Sequence[Finding | Withheld]:
    return [*redacted.findings, *redacted.withheld]


def _span_id(facts: Facts) -> str:
    """The span of whatever concerns a record as a whole."""
    return facts.task.span_id if facts.task is not None else ""


def _problem(told: Finding | Withheld) -> tuple[Problem, str]:
    if isinstance(told, Withheld):
        return Problem.TEXT_WITHHELD, told.reason.value
    return Problem.CREDENTIAL if told.category.secret else Problem.PERSONAL_DATA, told.category.value
