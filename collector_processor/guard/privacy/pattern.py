"""A pattern: a regular expression over UTF-8 bytes that every engine understands alike, and what decides on a match.

Expressions keep to what RE2 and Hyperscan share: no look-around, no back-reference, no class for white space (they
differ on the vertical tab), and nothing that matches NUL, which separates the texts of one search. Words and digits are
those of ASCII. The first group, where there is one, is the sensitive part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import re2  # type: ignore[import-untyped]  # no stubs that fit this wheel

from collector_processor.guard.privacy.vocabulary import Category

Span = tuple[int, int]
Check = Callable[[str, int, int], Span | None]
"""(text, start, end) of a match → the part that is sensitive, or None."""


class Pattern(NamedTuple):
    """One way in which something sensitive is written. `source` says where the format is defined."""

    name: str
    category: Category
    expression: bytes
    source: str
    check: Check | None = None
    again: bool = False
    """Whether to look again one byte on where the check refused: a number may begin within a longer run of groups."""


_OPTIONS: Final = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_OPTIONS.log_errors = False


def compiled(expression: bytes) -> Any:
    """Return a matcher in linear time, over bytes."""
    return re2.compile(expression, _OPTIONS)
