"""Detection: all texts of a task are searched at once; what is encoded or nested in them is opened and searched again.

A piece that is a document, or holds something encoded, gives new pieces; they are searched together too, level by
level. Texts without anything to find cost one search.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

from collector_processor.guard.privacy.documents import is_document, leaves
from collector_processor.guard.privacy.engines import Kept
from collector_processor.guard.privacy.inspection import Inspection
from collector_processor.guard.privacy.keyed import under_key
from collector_processor.guard.privacy.keys import category_of, is_about_people
from collector_processor.guard.privacy.known import MAX_KNOWN, Known, occurrences
from collector_processor.guard.privacy.marks import Mark, Place, places
from collector_processor.guard.privacy.matching import NOTHING, Matcher, Matches, ours, within
from collector_processor.guard.privacy.pattern import Span
from collector_processor.guard.privacy.pieces import Piece
from collector_processor.guard.privacy.remembered import Remembered
from collector_processor.guard.privacy.vocabulary import Category, Finding, Limits, Reason, Scanned, Text, Withheld

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_DEFAULTS: Final = Limits()
_FEW: Final = 16
"""Known values that are looked for at no more cost than one look at the text."""


class Detector:
    """Finds personal data and credentials; made once, for one thread.

    Args:
        limits: how much is looked at.
        engine: `auto`, `hyperscan` or `re2`; they find the same.
        kept: where the compiled patterns are; without it they are compiled.
    """

    def __init__(self, limits: Limits = _DEFAULTS, engine: str = "auto", kept: Kept | None = None) -> None:
        self._limits = limits
        self._matcher = Matcher(engine, kept)
        self._clean = Remembered()

    @property
    def engine(self) -> str:
        """The name of the engine in use."""
        return self._matcher.engine

    def scan(self, texts: Sequence[Text], names: Iterable[str] = ()) -> Scanned:
        """Return what is in some texts, and which of them can't be read. What this package wrote is nothing to find."""
        inspection = self.inspect(texts, names)
        findings = [
            finding
            for root, marks in sorted(inspection.marks.items())
            for finding in findings_of(places(marks), root, texts[root].key)
        ]
        withheld = [Withheld(root, texts[root].key, reason) for root, reason in sorted(inspection.withheld.items())]
        return Scanned(findings, withheld)

    def unmet(self, texts: Iterable[tuple[str, str]]) -> list[Text]:
        """Return which texts of a task, by their keys, have to be looked at; where they pass, so do the others."""
        return self._clean.unmet(texts)

    def inspect(self, texts: Sequence[Text], names: Iterable[str] = ()) -> Inspection:
        """Look at the texts of one task together. `names` are looked for beside those that are met under keys."""
        inspection = Inspection(texts, self._limits, names)
        clean = self._clean
        fresh = [root for root, text in enumerate(texts) if text not in clean]
        fresh = _readable(fresh, inspection)
        told = [root for root in fresh if _tells(texts[root].key)]
        matches = self._matcher.matches([texts[root].value for root in fresh])
        if matches.present:
            self._search([Piece(texts[root].value, texts[root].key, root) for root in fresh], matches, inspection)
        elif told:
            self._search([Piece(texts[root].value, texts[root].key, root) for root in told], NOTHING, inspection)
        if inspection.harvest:
            self._search_known(inspection)
        # What hides another text is opened each time: that one may hold what the next task calls a name.
        spoken = {*inspection.marks, *inspection.withheld, *(piece.root for piece in inspection.inner)}
        for root in fresh:
            if root not in spoken:
                clean.add(texts[root])
        return inspection

    # -- Levels ------------------------------------------------------------------------------------

    def _search(self, pieces: list[Piece], matches: Matches, inspection: Inspection) -> None:
        """Look at pieces that have been searched, and at what comes out of them."""
        for _ in range(self._limits.depth):
            pieces = self._level(pieces, matches, inspection)
            if not pieces:
                return
            matches = self._matcher.matches([piece.text for piece in pieces])
        for piece in self._level(pieces, matches, inspection):
            inspection.withhold(piece.root, Reason.TOO_DEEP)

    def _level(self, pieces: list[Piece], matches: Matches, inspection: Inspection) -> list[Piece]:
        """Mark what is found in pieces, and return the pieces that are encoded or nested in them."""
        found = self._matcher.marks(pieces, matches, inspection)
        decoders, about_people = matches.decoders, matches.about_people
        opened: list[Piece] = []
        for piece, marks in zip(pieces, found, strict=True):
            if not inspection.spend(piece.root, len(piece.text)):
                continue
            told = _tells(piece.key)
            if (marks or told or decoders or about_people) and self._is_document(piece, inspection):
                if not piece.depth:
                    inspection.opened.add(piece.root)
                opened += leaves(piece)
                continue
            if piece.depth:
                inspection.inner.append(piece)
            category = under_key(piece.key, piece.text) if told else None
            if category is not None:
                inspection.harvest.add(piece.root, category, piece.text)
                marks.append(_trimmed(piece, category))
            views = [view for decoder in decoders for view in decoder.open(piece)] if decoders else []
            for mark in marks:
                inspection.mark(_widened(mark, views))
            opened += views
        return opened

    def _search_known(self, inspection: Inspection) -> None:
        """Mark where values that were met under keys stand in other texts, and in other parts of the same."""
        known = inspection.harvest.values
        if len(known) > MAX_KNOWN:
            for root in range(len(inspection.texts)):
                inspection.withhold(root, Reason.TOO_MUCH)
            return
        if len(known) > _FEW:
            for root, text in enumerate(inspection.texts):
                inspection.spend(root, len(text.value) * len(known) // _FEW)
        withheld, opened = inspection.withheld, inspection.opened
        roots = [root for root in range(len(inspection.texts)) if root not in withheld and root not in opened]
        met = _met(known, [inspection.texts[root].value for root in roots])
        pieces = [Piece(inspection.texts[roots[which]].value, "", roots[which]) for which in met]
        inner = self._mark_known(pieces, met.values(), inspection) + inspection.inner
        while inner:
            met = _met(known, [piece.text for piece in inner])
            inner = self._mark_known([inner[which] for which in met], met.values(), inspection)

    def _mark_known(
        self, pieces: Iterable[Piece], met: Iterable[Sequence[tuple[Known, Span]]], inspection: Inspection
    ) -> list[Piece]:
        """Mark what was met in pieces; return the leaves of those that are documents, to be searched instead."""
        opened: list[Piece] = []
        for piece, hits in zip(pieces, met, strict=True):
            if self._is_document(piece, inspection):
                opened += leaves(piece)
                continue
            written = ours(piece.text)
            for each, (start, end) in hits:
                if not within(written, start):
                    inspection.mark(Mark(piece, start, end, each.category, "known", piece.text[start:end]))
        return opened

    @staticmethod
    def _is_document(piece: Piece, inspection: Inspection) -> bool:
        try:
            return is_document(piece.text)
        except RecursionError:
            inspection.withhold(piece.root, Reason.TOO_DEEP)
            return False


def findings_of(found: Iterable[Place], index: int, key: str) -> list[Finding]:
    """Return what is told of the places of a text."""
    return [Finding(place.best.category, place.best.rule, index, key, place.start, place.end) for place in found]


def _met(known: Sequence[Known], values: Sequence[str]) -> dict[int, list[tuple[Known, Span]]]:
    """Return which known values stand in which of some texts, and where."""
    joined = "\0".join(values)
    starts: list[int] = []
    met: dict[int, list[tuple[Known, Span]]] = {}
    for each, (start, end) in occurrences(known, joined):
        starts = starts or list(accumulate([len(value) + 1 for value in values], initial=0))
        which = bisect_right(starts, start) - 1
        met.setdefault(which, []).append((each, (start - starts[which], end - starts[which])))
    return met


def _readable(roots: Sequence[int], inspection: Inspection) -> list[int]:
    """Withhold texts that are too long or no Unicode, and return the others."""
    readable = []
    for root in roots:
        value = inspection.texts[root].value
        if len(value) > inspection.limits.characters:
            inspection.withhold(root, Reason.TOO_LONG)
        elif not value.isascii() and _LONE_SURROGATE.search(value):
            inspection.withhold(root, Reason.UNREADABLE)
        else:
            readable.append(root)
    return readable


@lru_cache(maxsize=8192)
def _tells(key: str) -> bool:
    """Whether what stands under a key is looked at also where no pattern occurs in it."""
    return bool(key) and (category_of(key) is not None or is_about_people(key))


def _trimmed(piece: Piece, category: Category) -> Mark:
    text = piece.text
    start = len(text) - len(text.lstrip())
    value = text.strip()
    return Mark(piece, start, start + len(value), category, "key", value)


def _widened(mark: Mark, views: Sequence[Piece]) -> Mark:
    for view in views:
        if not view.opaque:
            start, end = view.widened(mark.start, mark.end)
            mark = mark._replace(start=start, end=end)
    return mark
