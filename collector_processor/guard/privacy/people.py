"""Somebody by the value that names him, found in texts that nothing was done to yet: wherever a pseudonym would say it.

Two values are the same where their pseudonyms would be, whatever the key and the tenant: no key is needed to find out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from collector_processor.guard.privacy.detector import Detector
from collector_processor.guard.privacy.keyring import canonical
from collector_processor.guard.privacy.vocabulary import Category, Text

TELLING: Final = tuple(each for each in Category if not each.secret and each is not Category.PATH)
"""What somebody may have been taken for; paths have no pseudonyms."""


class Person:
    """Finds somebody in texts; for one thread, as its detector is."""

    def __init__(self, value: str, detector: Detector) -> None:
        self._forms = {category: canonical(value, category) for category in TELLING}
        self._detector = detector

    def named_in(self, texts: Sequence[Text]) -> set[int]:
        """Return the numbers of those texts in which detection finds the value; they are searched together."""
        return {
            number
            for number, marks in self._detector.inspect(texts).marks.items()
            if any(
                canonical(mark.value, mark.category) == self._forms[mark.category]
                for mark in marks
                if mark.category in self._forms
            )
        }
