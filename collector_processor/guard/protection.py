"""The privacy pass: what facts say is searched and redacted before anything is folded or stored.

All texts of a task are searched together, so that a name that one of them announces is found in the others. What was
replaced or withheld is told by anomalies: the field, the categories and how often, never the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from collector_processor.errors import CorrectionError
from collector_processor.guard.disclosures import disclosed
from collector_processor.guard.endings import CUT_BYTES, without_half
from collector_processor.guard.privacy import Detector, Finding, Keyring, Redacted, Redactor, Text, Withheld
from collector_processor.guard.tenants import hash_tenants
from collector_processor.guard.texts import (
    COMMON,
    IDENTIFIERS,
    NAMES,
    Gathered,
    gather,
    gather_from,
    plan_of,
    replace,
    said_in,
    spans_of,
)
from collector_processor.model.facts import Correction, Facts, Problem
from collector_processor.model.stages import Converted, Disclosure, Redactions, Stray
from otel_benchmark import attributes as a


class Protector:
    """Makes facts fit to be stored; one for each thread, as its detector is.

    Args:
        tenant_key: tenants in clear are hashed with it.
        keyring: makes pseudonyms; None passes every text as it is.
        detector: makes the detector, where one is needed.
    """

    def __init__(
        self, tenant_key: bytes | None, keyring: Keyring | None, detector: Callable[[], Detector] = Detector
    ) -> None:
        self._tenant_key = tenant_key
        self._redactor = None if keyring is None else Redactor(keyring, detector(), IDENTIFIERS)
        self._texts = 0
        self._replaced: Counter[str] = Counter()
        self._withheld: Counter[str] = Counter()

    def protect(self, converted: Converted) -> Converted:
        """Return a conversion with its tenants hashed and its texts redacted."""
        converted = hash_tenants(converted, self._tenant_key)
        if self._redactor is None:
            return converted
        if converted.facts is not None:
            task = converted.facts.task
            tenant = task.tenant if task is not None else converted.tenant
            converted = converted._replace(facts=self._facts(converted.facts, tenant, self._redactor))
        if converted.strays:
            converted = converted._replace(strays=[self._stray(stray) for stray in converted.strays])
        return converted

    def redact(self, texts: Sequence[Text], tenant: str | None) -> Redacted:
        """Return texts of one task as they may leave; `tenant` is its hash.

        What tasks are joined by is searched by itself and for all tenants alike: who names a task by its id doesn't
        know what else stands in it, nor always its tenant.
        """
        if self._redactor is None:
            return Redacted([text.value for text in texts], (), ())
        redacted = self._redactor.texts(texts, tenant)
        if redacted.findings or redacted.withheld:
            redacted = self._joinable(texts, redacted, self._redactor)
        self._texts += len(texts)
        self._replaced.update(finding.category.value for finding in redacted.findings)
        self._withheld.update(each.reason.value for each in redacted.withheld)
        return redacted

    def reason(self, reason: str, tenant: str | None) -> str:
        """Return what a person gives as the reason of a decision as it may be stored."""
        return self.redact([Text(NAMES[Correction]["reason"], reason)], tenant).values[0]

    def correction(
        self, patch: Sequence[dict[str, Any]], reason: str, tenant: str | None
    ) -> tuple[tuple[dict[str, Any], ...], str]:
        """Return a person's correction and its reason as they may be stored.

        Raises:
            CorrectionError: the patch can't be searched.
        """
        names = NAMES[Correction]
        texts = [Text(names["patch"], msgspec.json.encode(patch).decode()), Text(names["reason"], reason)]
        redacted = self.redact(texts, tenant)
        for each in redacted.withheld:
            if each.number == 0:
                raise CorrectionError(f"the patch can't be searched for personal data ({each.reason}): make it simpler")
        return msgspec.json.decode(redacted.values[0], type=tuple[dict[str, Any], ...]), redacted.values[1]

    def take_account(self) -> Redactions:
        """What was done since this was asked last."""
        account = Redactions(self._texts, dict(self._replaced), dict(self._withheld))
        self._texts = 0
        self._replaced.clear()
        self._withheld.clear()
        return account

    # -- Facts ---------------------------------------------------------------------------------------------

    def _facts(self, facts: Facts, tenant: str | None, redactor: Redactor) -> Facts:
        said = said_in(facts)
        unmet = redactor.unmet(said)
        if not _without_halves(unmet) and redactor.clean(unmet):
            self._texts += len(said)
            return facts
        gathered = gather(facts)
        shortened = _without_halves(gathered.texts)
        redacted = self.redact(gathered.texts, tenant)
        if not (shortened or redacted.findings or redacted.withheld):
            return facts
        facts = replace(facts, redacted.values)
        return msgspec.structs.replace(facts, anomalies=facts.anomalies + disclosed(_disclosures(redacted, gathered)))

    def _stray(self, stray: Stray) -> Stray:
        gathered = Gathered([], [])
        plan = plan_of(type(stray.fact))
        gather_from(stray.fact, plan, gathered)
        if stray.namespace:
            gathered.texts.append(Text(a.SERVICE_NAMESPACE, stray.namespace))
        noted = Facts(anomalies=stray.anomalies)
        gathered.texts.extend(gather(noted).texts)
        shortened = _without_halves(gathered.texts)
        redacted = self.redact(gathered.texts, stray.tenant)
        if not (shortened or redacted.findings or redacted.withheld):
            return stray
        values = iter(redacted.values)
        fact = plan.replace(stray.fact, values)
        namespace = next(values) if stray.namespace else stray.namespace
        anomalies = replace(noted, [*values]).anomalies + disclosed(_disclosures(redacted, gathered))
        return stray._replace(fact=fact, namespace=namespace, anomalies=anomalies)

    @staticmethod
    def _joinable(texts: Sequence[Text], redacted: Redacted, redactor: Redactor) -> Redacted:
        """Give texts that are common to tenants what they say by themselves."""
        touched = {each.number for each in redacted.findings} | {each.number for each in redacted.withheld}
        common = sorted(number for number in touched if texts[number].key in COMMON)
        if not common:
            return redacted
        values = list(redacted.values)
        findings = [each for each in redacted.findings if each.number not in common]
        withheld = [each for each in redacted.withheld if each.number not in common]
        for number in common:
            alone = redactor.texts((texts[number],), None)
            values[number] = alone.values[0]
            findings += [each._replace(number=number) for each in alone.findings]
            withheld += [each._replace(number=number) for each in alone.withheld]
        return Redacted(values, findings, withheld)


def _without_halves(texts: list[Text]) -> bool:
    """Leave out of texts that were cut what may be half a value; whether there was such a text."""
    shortened = False
    for number, text in enumerate(texts):
        if len(text.value) >= CUT_BYTES // 4 and (value := without_half(text.value)) is not text.value:
            texts[number] = Text(text.key, value)
            shortened = True
    return shortened


def _disclosures(redacted: Redacted, gathered: Gathered) -> list[Disclosure]:
    told: list[Finding | Withheld] = [*redacted.findings, *redacted.withheld]
    spans = spans_of([each.number for each in told], gathered)
    return [
        Disclosure(span_id, each.key, Problem.REDACTED, each.category.value)
        if isinstance(each, Finding)
        else Disclosure(span_id, each.key, Problem.TEXT_WITHHELD, each.reason.value)
        for each, span_id in zip(told, spans, strict=True)
    ]
