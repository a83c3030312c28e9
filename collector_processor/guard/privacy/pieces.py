"""A piece: a text, or what comes out of a part of one that is encoded, with the way back to where it came from.

A finding in a decoded piece is replaced in the text as it was given: every piece knows which characters of its parent
stand for which of its own, and how a replacement must be written there.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from collector_processor.guard.privacy.pattern import Span


class Part(NamedTuple):
    """Characters of a piece from `at` on: `size` characters of the parent from `origin` on.

    `whole` parts stand for each other only as a whole, as an escape sequence and its character do.
    """

    at: int
    origin: int
    size: int
    whole: bool


_at: Final = attrgetter("at")
_origin: Final = attrgetter("origin")


class Piece:
    """One text to be looked at. `root` is the number of the text that was given, `key` the key this one stands under.

    `opaque`: what is found in it makes the whole encoded part of the parent unfit, as with base64. `bare`: a number
    of a JSON document, which a replacement turns into a string. `literal`: the inside of a JSON string.
    """

    __slots__ = ("_parts", "bare", "depth", "key", "literal", "opaque", "parent", "root", "text")

    def __init__(
        self,
        text: str,
        key: str,
        root: int,
        parent: Piece | None = None,
        parts: Sequence[Part] = (),
        *,
        opaque: bool = False,
        bare: bool = False,
        literal: bool = False,
    ) -> None:
        self.text = text
        self.key = key
        self.root = root
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.opaque = opaque
        self.bare = bare
        self.literal = literal
        self._parts = parts

    def located(self, start: int, end: int) -> Span:
        """Return the characters of the given text that stand for characters `start` to `end` of this piece."""
        if self.parent is None:
            return start, end
        first = self._parts[max(bisect_right(self._parts, start, key=_at) - 1, 0)]
        last = self._parts[max(bisect_right(self._parts, end - 1, key=_at) - 1, 0)]
        begin = first.origin if first.whole else first.origin + start - first.at
        stop = last.origin + last.size if last.whole else last.origin + end - last.at
        return self.parent.located(begin, stop)

    def widened(self, start: int, end: int) -> Span:
        """Return characters of the parent, widened so that they cut no encoded character of it in two."""
        first = bisect_right(self._parts, start, key=_origin) - 1
        if first >= 0 and self._parts[first].whole:
            start = self._parts[first].origin
        last = bisect_right(self._parts, end - 1, key=_origin) - 1
        if last >= 0 and self._parts[last].whole:
            end = max(end, self._parts[last].origin + self._parts[last].size)
        return start, end

    @property
    def hidden(self) -> bool:
        """Whether it lies in an opaque piece."""
        return self.opaque or (self.parent is not None and self.parent.hidden)

    def spelled(self, replacement: str) -> str:
        """Return a replacement as it must be written in the given text."""
        if self.bare:
            replacement = f'"{replacement}"'
        elif self.literal:
            replacement = json.dumps(replacement)[1:-1]
        return self.parent.spelled(replacement) if self.parent is not None else replacement


def substituted(text: str, places: Sequence[tuple[Span, str]]) -> tuple[str, list[Part]]:
    """Return a text with some of its places decoded, and which of its characters stand for which."""
    out: list[str] = []
    parts: list[Part] = []
    at = origin = 0
    for (start, end), decoded in places:
        if start > origin:
            parts.append(Part(at, origin, start - origin, whole=False))
            out.append(text[origin:start])
            at += start - origin
        if decoded:
            parts.append(Part(at, start, end - start, whole=True))
            out.append(decoded)
            at += len(decoded)
        origin = end
    if origin < len(text):
        parts.append(Part(at, origin, len(text) - origin, whole=False))
        out.append(text[origin:])
    return "".join(out), parts
