"""The words of privacy: what is looked at, what can be found in it, and why a text is withheld."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple


class Category(StrEnum):
    """What a piece of text is. The value stands in its pseudonym.

    Where two findings cover the same characters, the one that is named first here wins.
    """

    CREDENTIAL = "CREDENTIAL"
    IBAN = "IBAN"
    CARD = "CARD"
    NATIONAL_ID = "NATIONAL_ID"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    IP = "IP"
    USER = "USER"
    NAME = "NAME"
    BIRTH = "BIRTH"
    ADDRESS = "ADDRESS"
    PATH = "PATH"
    ID = "ID"
    """An identifier that had something of the others in it, or couldn't be read: no detector finds one."""

    @property
    def secret(self) -> bool:
        """Whether it opens something, rather than saying who somebody is."""
        return self is Category.CREDENTIAL


class Reason(StrEnum):
    """Why a text was withheld, whole or in part, instead of being passed unread."""

    UNREADABLE = "unreadable"
    """No valid Unicode: a lone surrogate stands where undecodable bytes were."""
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    """Encoded or nested more often than `Limits.depth`."""
    TOO_MUCH = "too_much"
    """Reading it took more than `Limits.effort` allows a text of its length."""
    ENCODED = "encoded"
    """An encoded part that holds something sensitive: only this part is withheld."""
    UNSETTLED = "unsettled"
    """Something was still found in it after several rounds of replacing."""
    FAILED = "failed"
    """Detection raised."""


class Text(NamedTuple):
    """One text and the name of the field it stands in: an attribute's name, or empty where there is none."""

    key: str
    value: str


class Finding(NamedTuple):
    """One sensitive place: characters `start` to `end` of text `number`, counted from 0; never what stands there.

    `rule` names the pattern that found it, `key` where a key said what it is, `known` where it was met under a key.
    """

    category: Category
    rule: str
    number: int
    key: str
    start: int
    end: int


class Withheld(NamedTuple):
    """A text that was not passed; `error` names the type of what detection raised."""

    number: int
    key: str
    reason: Reason
    error: str = ""


class Scanned(NamedTuple):
    """What is in some texts."""

    findings: Sequence[Finding]
    withheld: Sequence[Withheld]


class Redacted(NamedTuple):
    """Texts that may be stored, in the order in which they were given, and what was done to them."""

    values: list[str]
    findings: Sequence[Finding]
    withheld: Sequence[Withheld]


class Limits(NamedTuple):
    """How much reading a text may cost before it is withheld. No clock: the same text always has the same fate."""

    characters: int = 4 << 20
    """Of one text."""
    depth: int = 5
    """Encodings and documents inside one another."""
    effort: int = 12
    """Bytes looked at for each character of a text, with what comes out of it."""


FREE_EFFORT: Final = 1 << 16
"""Bytes of effort that every text has, however short it is."""


def words(text: str) -> frozenset[str]:
    """Return the words of a list that is easier to read as text."""
    return frozenset(text.split())
