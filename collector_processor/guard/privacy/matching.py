"""Matching: which expressions occur in pieces joined together, where, and which of these places are sensitive.

The engine says which expressions occur at all; for the few that do, RE2 says where, and checks decide.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from collector_processor.guard.privacy import keyed
from collector_processor.guard.privacy.credentials import CREDENTIALS
from collector_processor.guard.privacy.decoders import DECODERS, Decoder
from collector_processor.guard.privacy.engines import Kept, engine_named
from collector_processor.guard.privacy.inspection import Inspection
from collector_processor.guard.privacy.locations import LOCATIONS
from collector_processor.guard.privacy.marks import Mark
from collector_processor.guard.privacy.national import NATIONAL
from collector_processor.guard.privacy.pattern import Pattern, Span, compiled
from collector_processor.guard.privacy.personal import PERSONAL
from collector_processor.guard.privacy.pieces import Piece
from collector_processor.guard.privacy.placeholders import OWN

PATTERNS: Final[tuple[Pattern, ...]] = CREDENTIALS + PERSONAL + LOCATIONS + NATIONAL
_KEYS: Final = (keyed.KEYED, keyed.NATIVE_KEYED, keyed.NUMBERED, keyed.DOCUMENTED)
_AFTER_KEY, _AFTER_NATIVE_KEY, _NUMBER_AFTER, _DOCUMENTED = range(len(PATTERNS), len(PATTERNS) + len(_KEYS))
_FIRST_DECODER: Final = _DOCUMENTED + 1
EXPRESSIONS: Final = (
    *(pattern.expression for pattern in PATTERNS),
    *_KEYS,
    *(decoder.trigger for decoder in DECODERS),
)
"""All that an engine looks for, numbered: patterns, keys, triggers of decoders."""

_CONTINUATION: Final = bytes(range(0x80, 0xC0))
_KEY_LENGTH: Final = 120
"""Characters of a key in prose that are looked at: its last words decide."""
_CHECK: Final = 32
"""What looking at one match counts, in bytes of effort."""


class Matches:
    """What an engine says of some bytes: the numbers of the expressions that occur in them."""

    __slots__ = ("data", "present")

    def __init__(self, data: bytes, present: set[int]) -> None:
        self.data = data
        self.present = present

    @property
    def decoders(self) -> list[Decoder]:
        """The decoders that have something to open."""
        return [decoder for number, decoder in enumerate(DECODERS, _FIRST_DECODER) if number in self.present]

    @property
    def about_people(self) -> bool:
        """Whether there is a document with a part about people."""
        return _DOCUMENTED in self.present


NOTHING: Final = Matches(b"", set())


class Matcher:
    """All patterns, ready to search; for one thread."""

    def __init__(self, engine: str, kept: Kept | None) -> None:
        self._engine = engine_named(engine, EXPRESSIONS, kept)
        self._matchers: list[Any] = [compiled(expression) for expression in EXPRESSIONS[:_DOCUMENTED]]
        self._groups = [1 if matcher.groups else 0 for matcher in self._matchers]

    @property
    def engine(self) -> str:
        """The name of the engine in use."""
        return self._engine.name

    def matches(self, values: Sequence[str]) -> Matches:
        """Search texts together."""
        data = joined(values)
        return Matches(data, self._engine.present(data))

    def marks(self, pieces: Sequence[Piece], matches: Matches, inspection: Inspection) -> list[list[Mark]]:
        """Return, for each of the pieces that were searched, what patterns and keys find in it."""
        found: list[list[Mark]] = [[] for _ in pieces]
        numbers = sorted(number for number in matches.present if number < _DOCUMENTED)
        places = Places(pieces, matches.data) if numbers else None
        for number in numbers:
            assert places is not None
            self._mark(number, places, found, inspection)
        return found

    def _mark(self, number: int, places: Places, found: list[list[Mark]], inspection: Inspection) -> None:
        """Add what one expression finds."""
        matcher, group = self._matchers[number], self._groups[number]
        at = 0
        while (match := matcher.search(places.data, at)) is not None:
            start, end = match.span(group)
            which = places.piece_at(start)
            piece = places.pieces[which]
            if not inspection.spend(piece.root, _CHECK):
                at = places.end_of(which)
                continue
            first, last = places.character(which, start), places.character(which, end)
            at = end
            if number < len(PATTERNS):
                mark = _checked(piece, PATTERNS[number], first, last)
                if mark is not None:
                    at = start + len(piece.text[first : mark.end].encode())
                elif PATTERNS[number].again:
                    at = start + 1
            else:
                mark = _after_key(piece, number, first, last, places.character(which, match.end()))
                if mark is not None:
                    inspection.harvest.add(piece.root, mark.category, mark.value)
            if mark is not None and not places.is_ours(which, mark.start):
                found[which].append(mark)


def joined(values: Sequence[str]) -> bytes:
    """Return texts as bytes, with NUL between them and a control character for each that is in them."""
    text = "\0".join(values)
    if text.count("\0") >= len(values) > 0:
        text = "\0".join([value.replace("\0", "\x01") for value in values])
    return text.encode()


class Places:
    """Where the bytes of a search stand: in which piece, at which of its characters."""

    def __init__(self, pieces: Sequence[Piece], data: bytes) -> None:
        self.pieces = pieces
        self.data = data
        self._starts: list[int] = []
        at = 0
        for piece in pieces:
            self._starts.append(at)
            at += (len(piece.text) if piece.text.isascii() else len(piece.text.encode())) + 1
        self._starts.append(at)
        self._reached: dict[int, tuple[int, int]] = {}
        self._own: dict[int, list[Span]] = {}

    def piece_at(self, place: int) -> int:
        """Return the number of the piece that a byte belongs to."""
        return bisect_right(self._starts, place) - 1

    def end_of(self, which: int) -> int:
        """Return the first byte after a piece and its separator."""
        return min(self._starts[which + 1], len(self.data))

    def character(self, which: int, place: int) -> int:
        """Return the character of the piece at a byte; counted on from the last one that was asked for."""
        start = self._starts[which]
        if self.pieces[which].text.isascii():
            return place - start
        reached, count = self._reached.get(which, (start, 0))
        if place < reached:
            reached, count = start, 0
        count += len(self.data[reached:place].translate(None, _CONTINUATION))
        self._reached[which] = place, count
        return count

    def is_ours(self, which: int, start: int) -> bool:
        """Whether a character of the piece belongs to what this package wrote."""
        if which not in self._own:
            self._own[which] = ours(self.pieces[which].text)
        return within(self._own[which], start)


def _checked(piece: Piece, pattern: Pattern, start: int, end: int) -> Mark | None:
    if pattern.check is not None:
        span = pattern.check(piece.text, start, end)
        if span is None:
            return None
        start, end = span
    return Mark(piece, start, end, pattern.category, pattern.name, piece.text[start:end])


def _after_key(piece: Piece, number: int, start: int, end: int, after: int) -> Mark | None:
    key = piece.text[max(start, end - _KEY_LENGTH) : end]
    if number == _NUMBER_AFTER:
        told = keyed.number_after(key, piece.text, after - 1)
    else:
        told = keyed.after_key(key, piece.text, after)
    if told is None:
        return None
    category, (first, last) = told
    return Mark(piece, first, last, category, "key", piece.text[first:last])


def ours(text: str) -> list[Span]:
    """Return where a text holds what this package wrote."""
    return [match.span() for match in OWN.finditer(text)] if "<" in text or "[PATH]" in text else []


def within(spans: Sequence[Span], place: int) -> bool:
    """Whether one of some spans, in their order, holds a place."""
    which = bisect_right(spans, (place, len(spans) and spans[-1][1])) - 1
    return which >= 0 and spans[which][0] <= place < spans[which][1]
