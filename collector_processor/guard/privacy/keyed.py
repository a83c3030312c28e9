"""Values whose key says what they are: in documents, where the key is known, and in prose, where it is written before.

The expressions find keys and what joins them to a value; which key says what stands in `keys`, what a value must look
like in `readers`.
"""

from __future__ import annotations

import re
from typing import Final

from collector_processor.guard.privacy import readers
from collector_processor.guard.privacy.keys import ENDINGS, NATIVE, PEOPLE, category_of
from collector_processor.guard.privacy.pattern import Span
from collector_processor.guard.privacy.placeholders import OWN
from collector_processor.guard.privacy.vocabulary import Category


def _alternatives(vocabulary: dict[Category, str], *only: Category) -> bytes:
    endings = {ending for category, listed in vocabulary.items() if category in only for ending in listed.split()}
    ordered = sorted(endings, key=lambda ending: (-len(ending), ending))
    return b"(?:" + b"|".join(ending.replace("_", "[ _.-]?").encode() for ending in ordered) + b")"


_PEOPLE: Final = b"(?:" + b"|".join(sorted(word.encode() for word in PEOPLE if word.isalpha())) + b")s?"
_KEY: Final = (
    rb"[A-Za-z0-9_.-]*(?:" + _alternatives(ENDINGS, *Category) + rb"|" + _PEOPLE + rb"[ _.-]?(?:name|id))[0-9]{0,2}"
)
_JOINT: Final = rb"""["'\\\])]{0,4}[ \t]{0,4}(?:=>|:=|[:=])[ \t]{0,4}"""
_NUMBERS: Final = (Category.NATIONAL_ID, Category.PHONE, Category.CARD)

KEYED: Final = rb"(?i)(" + _KEY + rb")(?:" + _JOINT + rb"|[ \t]+(?:is|ist|es|est):?[ \t]+)"
"""A key and what joins it to its value: `password = `, `"zip": `, `my user ID is `."""
NUMBERED: Final = (
    rb"(?i)\b(" + _alternatives(ENDINGS, *_NUMBERS) + rb")"
    rb"\.?(?:[ \t]+(?:no|nr|number|nummer|n)\.?)?[ \t:#]{1,4}[+(]?[0-9A-Z]"
)
"""A key before a number, with nothing but space between them: `SSN 078-05-1120`, `Tel. 030 1234567`."""
NATIVE_KEYED: Final = (
    rb"(" + _alternatives(NATIVE, *Category) + rb")(?:" + _JOINT + rb"|[ \t]*(?:\xef\xbc\x9a|\xe3\x81\xaf)[ \t]*)"
)
"""The same in scripts without upper and lower case; also with a full-width colon, or the Japanese topic particle."""
DOCUMENTED: Final = rb"(?i)\"" + _PEOPLE + rb"\\*\"[ \t]*:[ \t\r\n]*[\[{]"
"""A document's part that is about people: its `name` and `id` are read with the path they stand under."""

_QUOTED: Final = re.compile(r"""(\\*["'`])((?:(?!\1)[^\n]){1,512}?)\1""")


def under_key(key: str, value: str) -> Category | None:
    """Return what a field's value is by the field's key; None where the key says nothing or the value isn't such."""
    category = category_of(key)
    value = value.strip()
    if category is None or not value or OWN.fullmatch(value):
        return None
    return category if readers.fits(category, key, value) else None


def after_key(key: str, text: str, start: int) -> tuple[Category, Span] | None:
    """Return what stands in prose after a key that ends before `start`, and where; None where it isn't such."""
    category = category_of(key)
    if category is None:
        return None
    quoted = _QUOTED.match(text, start, start + readers.MAX_PROSE)
    if quoted is not None:
        known = under_key(key, quoted[2])
        # In a program, what is assigned to an address is rarely a postal one without a number in it.
        bare = category is Category.ADDRESS and not any(map(str.isdigit, quoted[2]))
        return (category, quoted.span(2)) if known and not bare else None
    if text[start : start + 1] in ('"', "'", "`", "\\", "="):
        return None
    span = readers.read(category, key, text, start)
    return (category, span) if span is not None and not OWN.match(text, span[0]) else None


def number_after(key: str, text: str, start: int) -> tuple[Category, Span] | None:
    """Return the number that stands after its key with nothing but space between; None where there is none."""
    category = category_of(key)
    span = readers.number(category, text, start) if category is not None else None
    return (category, span) if category is not None and span is not None else None
