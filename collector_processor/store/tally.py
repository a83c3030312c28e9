"""Counts of one transaction: what became of every span, in the words of `model.Applied` and of the ledger's columns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from collector_processor.model.stages import Applied, Refused


@dataclass(slots=True)
class Tally:
    """Counts that add up; `refused` are the tasks that could not be stored."""

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

    def add(self, other: Tally) -> None:
        """Take another part's counts in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def counts(self) -> dict[str, int]:
        """The numbers by name, as the ledger's columns are called."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "refused"}

    def applied(self, undecodable_spans: list[tuple[bytes, bytes, bytes, str]]) -> Applied:
        """The frozen form that travels back to the journal."""
        return Applied(**self.counts(), refused=tuple(self.refused), undecodable_spans=tuple(undecodable_spans))
