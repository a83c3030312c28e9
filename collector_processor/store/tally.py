"""Counts of one transaction: what became of every span, in the words of `model.Applied` and of the ledger's columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from collector_processor.model import sampling as learned
from collector_processor.model.stages import Applied, Due, Refused


@dataclass(slots=True)
class Tally:
    """Counts that add up; `refused` are the tasks that could not be stored, `analyses` those to be looked at deeply.

    `sampling` is what policies learn of the records, one entry each.
    """

    in_points: int = 0
    duplicate: int = 0
    orphaned: int = 0
    discarded: int = 0
    erased: int = 0
    undecodable: int = 0
    accepted: int = 0
    quarantined: int = 0
    revised: int = 0
    joined: int = 0
    refused: list[Refused] = field(default_factory=list)
    analyses: list[Due] = field(default_factory=list)
    sampling: list[learned.Tally] = field(default_factory=list)

    def add(self, *others: Tally) -> None:
        """Take other parts' counts in."""
        # Column by column: a batch brings thousands of parts.
        sums = map(sum, zip(*map(_COUNTS, (self, *others)), strict=True))
        for name, count in zip(_NAMES, sums, strict=True):
            setattr(self, name, count)
        for other in others:
            for name in _LISTS:
                getattr(self, name).extend(getattr(other, name))

    def counts(self) -> dict[str, int]:
        """The numbers by name, as the ledger's columns are called."""
        return dict(zip(_NAMES, _COUNTS(self), strict=True))

    def applied(self, undecodable_spans: list[tuple[bytes, bytes, bytes, str]], total: learned.Tally) -> Applied:
        """The frozen form that travels back to the journal; `total` is the sum of `sampling`."""
        return Applied(
            **self.counts(),
            refused=tuple(self.refused),
            analyses=tuple(self.analyses),
            sampling=total,
            undecodable_spans=tuple(undecodable_spans),
        )


_LISTS: Final = ("refused", "analyses", "sampling")
_NAMES: Final = tuple(name for name in Tally.__slots__ if name not in _LISTS)
_COUNTS: Final = attrgetter(*_NAMES)
