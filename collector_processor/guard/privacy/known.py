"""Known values: what stood under a telling key is found again in the free texts of the same task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from collector_processor.guard.privacy.pattern import Span
from collector_processor.guard.privacy.vocabulary import Category

MAX_KNOWN: Final = 512
"""Values that are looked for in one task; more than that, and its texts are withheld."""

_LEAST: Final = {
    Category.NAME: 3,
    Category.USER: 4,
    Category.ADDRESS: 8,
    Category.BIRTH: 8,
    Category.CREDENTIAL: 6,
    Category.NATIONAL_ID: 6,
    Category.PHONE: 7,
    Category.CARD: 12,
}
"""Characters from which on a value is looked for again; what is not here never is."""


class Known(NamedTuple):
    """A value to look for. `words`: a name of several words, whose case and spaces don't matter."""

    value: str
    category: Category
    words: bool = False


class Harvest:
    """Collects values of one task, in the order in which they were met; full names also from their parts."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._known: dict[Known, None] = {}
        self._last_name: tuple[int, str] | None = None
        for name in names:
            self.add(-1, Category.NAME, name)

    def add(self, root: int, category: Category, value: str) -> None:
        """Add a value that was met in text number `root`."""
        value = value.strip()
        least = _LEAST.get(category)
        if least is None:
            return
        if category is Category.NAME:
            self._add_name(root, value)
        elif (
            len(value) >= least
            and not value.isalpha()
            and (category is not Category.ADDRESS or re.search(r"\d.*\w{3}|\w{3}.*\d", value))
        ):
            self._known[Known(value, category)] = None

    def _add_name(self, root: int, name: str) -> None:
        words = [word.strip(".,") for word in name.split()]
        if len(words) > 1:
            self._known[Known(" ".join(words), Category.NAME, words=True)] = None
        for word in words:
            if len(word) >= _LEAST[Category.NAME] or (word and not word.isascii() and len(word) > 1):
                self._known[Known(word, Category.NAME)] = None
        if self._last_name is not None and self._last_name[0] == root and len(words) == 1:
            other = self._last_name[1]
            for full in (f"{other} {name}", f"{name} {other}", f"{name}, {other}"):
                self._known[Known(full, Category.NAME, words=True)] = None
        self._last_name = (root, name) if len(words) == 1 else None

    @property
    def values(self) -> tuple[Known, ...]:
        """What was met."""
        return tuple(self._known)

    def __len__(self) -> int:
        return len(self._known)


def occurrences(known: Iterable[Known], text: str) -> Iterator[tuple[Known, Span]]:
    """Give where known values stand in a text, as words of their own."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    for each in known:
        haystack, needle = (lowered, each.value.lower()) if each.words else (text, each.value)
        start = haystack.find(needle)
        while start >= 0:
            end = start + len(needle)
            if _bounded(text, start, end):
                yield each, (start, end)
            start = haystack.find(needle, end)


def _bounded(text: str, start: int, end: int) -> bool:
    """Whether no word goes on over an edge; scripts without case write words without spaces between them."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (_cased(text[start]) and _goes_on(before)) and not (_cased(text[end - 1]) and _goes_on(after))


def _cased(character: str) -> bool:
    return character.lower() != character.upper() or character.isdigit()


def _goes_on(character: str) -> bool:
    return character == "_" or (character.isalnum() and _cased(character))
