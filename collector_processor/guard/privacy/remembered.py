"""Short texts that were found clean, remembered: names of agents, tools and models come again with every task."""

from __future__ import annotations

from collections.abc import Iterable

from collector_processor.guard.privacy.vocabulary import Text

MAX_CHARACTERS = 96
"""Longer texts seldom come twice."""


class Remembered:
    """A set that holds at least the `size` texts that were met last, and at most twice as many.

    Two generations take the place of a list in order of use: one look-up for what comes often.
    """

    def __init__(self, size: int = 8192) -> None:
        self._size = size
        self._young: set[Text] = set()
        self._old: set[Text] = set()

    def __contains__(self, text: Text) -> bool:
        if text in self._young:
            return True
        if text in self._old:
            self.add(text)
            return True
        return False

    def unmet(self, texts: Iterable[tuple[str, str]]) -> list[Text]:
        """Return which keys and values aren't remembered, each once."""
        young = self._young
        return [
            text
            for text in map(Text._make, dict.fromkeys([each for each in texts if each not in young]))
            if text not in self
        ]

    def add(self, text: Text) -> None:
        """Remember a text; long ones are not kept."""
        if len(text[1]) > MAX_CHARACTERS:
            return
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = set()
        self._young.add(text)
