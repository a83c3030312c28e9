"""Replacement: every sensitive place of a text gives way to a pseudonym, and what can't be read is withheld.

What comes out has been searched again: no detector finds anything in it, so a second pass changes nothing.

An identifier is replaced whole, so that two that differ stay different: else they would name one thing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final

from collector_processor.guard.privacy.detector import Detector, findings_of
from collector_processor.guard.privacy.keyring import Keyring
from collector_processor.guard.privacy.locations import generalised
from collector_processor.guard.privacy.marks import Mark, Place, places
from collector_processor.guard.privacy.placeholders import OWN, WHO
from collector_processor.guard.privacy.vocabulary import Category, Finding, Reason, Redacted, Text, Withheld

ROUNDS: Final = 4
"""How often a text is searched again after a replacement, before it is withheld."""


class Redactor:
    """Makes texts fit to be stored; one for each thread, as its detector is.

    `identifiers` are the keys of texts that others are compared with.
    """

    def __init__(self, keyring: Keyring, detector: Detector, identifiers: Container[str] = ()) -> None:
        self._keyring = keyring
        self._detector = detector
        self._identifiers = identifiers

    def texts(self, texts: Sequence[Text], tenant: str | None, names: Iterable[str] = ()) -> Redacted:
        """Return the texts of one task as they may be stored.

        `tenant` is the tenant as it is stored (its hash), None where it isn't known. `names` are persons known from
        elsewhere. A text in which detection fails is withheld; the others pass as they would without it.
        """
        return self._identified(texts, self._passed(texts, tenant, tuple(names)), tenant)

    def unmet(self, texts: Iterable[tuple[str, str]]) -> list[Text]:
        """Return which texts of a task, by their keys, have to be looked at: where these are `clean`, all are."""
        return self._detector.unmet(texts)

    def clean(self, texts: Sequence[Text]) -> bool:
        """Whether nothing is found in texts, no name to look for in others either, and all of them can be read."""
        try:
            inspection = self._detector.inspect(texts)
        except Exception:  # noqa: BLE001 - whatever detection raises, nothing passes unread
            return False
        return not (inspection.marks or inspection.withheld or inspection.harvest)

    def _passed(self, texts: Sequence[Text], tenant: str | None, names: tuple[str, ...]) -> Redacted:
        try:
            return self._redacted(texts, tenant, names)
        except Exception as error:  # noqa: BLE001 - whatever detection raises, nothing passes unread
            together = type(error).__name__
        failed = {number: name for number, text in enumerate(texts) if (name := self._failure(text, tenant, names))}
        failed = failed or dict.fromkeys(range(len(texts)), together)
        sound = [number for number in range(len(texts)) if number not in failed]
        rest = self._passed([texts[number] for number in sound], tenant, names) if sound else Redacted([], (), ())
        values = [withheld_as(Reason.FAILED)] * len(texts)
        for number, value in zip(sound, rest.values, strict=True):
            values[number] = value
        refused = [each._replace(number=sound[each.number]) for each in rest.withheld]
        refused += [Withheld(number, texts[number].key, Reason.FAILED, name) for number, name in failed.items()]
        findings = [finding._replace(number=sound[finding.number]) for finding in rest.findings]
        return Redacted(values, findings, sorted(refused))

    def _identified(self, texts: Sequence[Text], redacted: Redacted, tenant: str | None) -> Redacted:
        """Return the same with whole pseudonyms for identifiers; behind them, those of whom they told."""
        touched = {each.number for each in redacted.findings} | {each.number for each in redacted.withheld}
        whole = sorted(number for number in touched if texts[number].key in self._identifiers)
        if not whole:
            return redacted
        values, findings, withheld = list(redacted.values), [*redacted.findings], []
        for number in whole:
            pseudonym = self._keyring.pseudonym(texts[number].value, Category.ID, tenant)
            values[number] = "".join([pseudonym, *dict.fromkeys(WHO.findall(values[number]))])
        for each in redacted.withheld:
            if each.number in whole:
                size = len(texts[each.number].value)
                findings.append(Finding(Category.ID, each.reason.value, each.number, each.key, 0, size))
            else:
                withheld.append(each)
        return Redacted(values, findings, withheld)

    def _failure(self, text: Text, tenant: str | None, names: tuple[str, ...]) -> str | None:
        """Return the type of what a text alone makes detection raise, None where it doesn't."""
        try:
            self._redacted((text,), tenant, names)
        except Exception as error:  # noqa: BLE001 - its message may hold a part of the text
            return type(error).__name__
        return None

    def _redacted(self, texts: Sequence[Text], tenant: str | None, names: tuple[str, ...]) -> Redacted:
        values = [text.value for text in texts]
        inspection = self._detector.inspect(texts, names)
        if not inspection.marks and not inspection.withheld:
            return Redacted(values, (), ())
        findings: list[Finding] = []
        withheld: dict[int, Reason] = {}
        names += tuple(each.value for each in inspection.harvest.values if each.category is Category.NAME)
        looked_at: Sequence[int] = range(len(texts))
        for _ in range(ROUNDS):
            withheld.update({looked_at[place]: reason for place, reason in inspection.withheld.items()})
            changed: list[int] = []
            for place, marks in sorted(inspection.marks.items()):
                number = looked_at[place]
                found = places(marks)
                findings += findings_of(found, number, texts[number].key) if inspection.texts is texts else ()
                values[number], whole = self._replaced(values[number], found, tenant)
                if not whole:
                    withheld.setdefault(number, Reason.ENCODED)
                if not OWN.fullmatch(values[number]):
                    changed.append(number)
            if not changed:
                break
            looked_at = changed
            inspection = self._detector.inspect([Text(texts[number].key, values[number]) for number in changed], names)
        else:
            unsettled = inspection.marks.keys() | inspection.withheld.keys()
            withheld.update({looked_at[place]: Reason.UNSETTLED for place in unsettled})
        for number, reason in withheld.items():
            if reason is not Reason.ENCODED:
                values[number] = withheld_as(reason)
        refused = [Withheld(number, texts[number].key, reason) for number, reason in sorted(withheld.items())]
        return Redacted(values, findings, refused)

    def _replaced(self, value: str, found: Sequence[Place], tenant: str | None) -> tuple[str, bool]:
        """Return a text with its places replaced, and whether nothing of it was withheld."""
        out: list[str] = []
        at = 0
        for place in found:
            out += value[at : place.start], self._replacement(place.best, tenant)
            at = place.end
        out.append(value[at:])
        return "".join(out), not any(place.best.piece.hidden for place in found)

    def _replacement(self, mark: Mark, tenant: str | None) -> str:
        if mark.piece.hidden:
            return withheld_as(Reason.ENCODED)
        if mark.category is Category.PATH:
            return mark.piece.spelled(generalised(mark.value))
        return mark.piece.spelled(self._keyring.pseudonym(mark.value, mark.category, tenant))


def withheld_as(reason: Reason) -> str:
    """Return what stands where a text was withheld."""
    return f"<WITHHELD:{reason.value}>"
