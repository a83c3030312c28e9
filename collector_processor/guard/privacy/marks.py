"""Marks: sensitive places as detection finds them, and what becomes of those that overlap."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Final, NamedTuple

from collector_processor.guard.privacy.pieces import Piece
from collector_processor.guard.privacy.vocabulary import Category

_ORDER: Final = {category: place for place, category in enumerate(Category)}


class Mark(NamedTuple):
    """A sensitive place: characters `start` to `end` of a piece. `value` is what it says, decoded."""

    piece: Piece
    start: int
    end: int
    category: Category
    rule: str
    value: str


class Place:
    """Marks that overlap, as one place of the given text: all of it is replaced, by what its best mark says."""

    def __init__(self, start: int, end: int, mark: Mark) -> None:
        self.start = start
        self.end = end
        self._marks = [(mark, end - start)]

    def join(self, end: int, mark: Mark, size: int) -> None:
        """Add a mark that begins within the place."""
        self.end = max(self.end, end)
        self._marks.append((mark, size))

    @cached_property
    def best(self) -> Mark:
        """The mark that was decoded furthest, then the longest, then the one of the first category."""
        return max(
            self._marks,
            key=lambda each: (not each[0].piece.hidden, each[0].piece.depth, each[1], -_ORDER[each[0].category]),
        )[0]


def places(marks: Iterable[Mark]) -> list[Place]:
    """Return the places of a text, from its start to its end, that its marks cover."""
    located = sorted(
        ((*mark.piece.located(mark.start, mark.end), mark) for mark in marks), key=lambda each: (each[0], -each[1])
    )
    joined: list[Place] = []
    for start, end, mark in located:
        if joined and start < joined[-1].end:
            joined[-1].join(end, mark, end - start)
        else:
            joined.append(Place(start, end, mark))
    return joined
