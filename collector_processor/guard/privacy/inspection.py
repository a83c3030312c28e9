"""What is known of the texts of one call while they are being looked at: marks, effort, what is withheld."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collector_processor.guard.privacy.known import Harvest
from collector_processor.guard.privacy.marks import Mark
from collector_processor.guard.privacy.pieces import Piece
from collector_processor.guard.privacy.vocabulary import FREE_EFFORT, Limits, Reason, Text


class Inspection:
    """One call's books; texts are known by their number."""

    def __init__(self, texts: Sequence[Text], limits: Limits, names: Iterable[str]) -> None:
        self.texts = texts
        self.limits = limits
        self.marks: dict[int, list[Mark]] = {}
        self.withheld: dict[int, Reason] = {}
        self.harvest = Harvest(names)
        self.opened: set[int] = set()
        """Texts that are documents: their leaves were looked at instead."""
        self.inner: list[Piece] = []
        """Pieces of all texts that were looked at, documents excepted."""
        self._effort: dict[int, int] = {}

    def spend(self, root: int, effort: int) -> bool:
        """Count effort on a text; False where the text is given up, now because it was too much, or before."""
        spent = self._effort[root] = self._effort.get(root, 0) + effort
        if spent > FREE_EFFORT + self.limits.effort * len(self.texts[root].value):
            self.withhold(root, Reason.TOO_MUCH)
        return root not in self.withheld

    def withhold(self, root: int, reason: Reason) -> None:
        """Give a text up."""
        self.withheld.setdefault(root, reason)
        self.marks.pop(root, None)

    def mark(self, mark: Mark) -> None:
        """Keep a sensitive place, unless its text is given up."""
        if mark.piece.root not in self.withheld:
            self.marks.setdefault(mark.piece.root, []).append(mark)
