"""What only stands for a secret: placeholders, variables, our own pseudonyms; and what looks random."""

from __future__ import annotations

import re
from collections import Counter
from math import log2
from typing import Final

from collector_processor.guard.privacy.vocabulary import words
from collector_processor.model.withheld import WITHHELD

OWN: Final = re.compile(rf"<[A-Z_]{{2,16}}:[a-z0-9]{{1,16}}:[a-z2-7]{{16}}>|{WITHHELD.pattern}")
"""What a redacted text shows: pseudonyms, withheld pieces, generalised paths."""
WHO: Final = re.compile(r"<(?!CREDENTIAL:)[A-Z_]{2,16}:[a-z0-9]{1,16}:[a-z2-7]{16}>")
"""A pseudonym by which somebody is found."""

_WORDS: Final = words(
    "password passwd pass pwd secret token key apikey api_key api-key changeme change_me change-me example test dummy"
    " none null nil true false undefined redacted removed hidden masked withheld placeholder string str bytes int bool"
    " optional any value todo tbd user username admin root foo bar baz xxx yes no required empty default unset unknown"
    " your_password your-password yourpassword your_token your_secret your_api_key your-api-key yourapikey mypassword"
    " my_password my_secret my_token password123 p4ssw0rd self bearer basic anonymous guest nobody"
)
_VARIABLE: Final = re.compile(
    r"""<[^>]*>|\$\{?\w+\}?|\$\(.*\)|\{\{.*\}\}|\{\w*\}|%\(?\w+\)?s?%?|\[[\w -]*\]|\.{3,}|[*xX•.#-]{3,}"""
    r"""|(?:your|my|the|some|insert|enter|replace|example)[-_ ][\w -]*|[\w.-]*x{6,}|\W*"""
)
_LONGEST: Final = 128
_REFERENCE: Final = re.compile(
    r"[A-Za-z_]+(?:(?:\.|::|->)[A-Za-z_]\w*)+|[A-Za-z_][\w.]*[(\[].*|[A-Z][A-Z_]{2,}|[A-Za-z]+"
)
"""A name in a program, `settings.api_key`, `os.environ["KEY"]`, `API_KEY`, or a mere word."""


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret without being one."""
    if len(value) > _LONGEST:
        return False
    return value.lower() in _WORDS or _VARIABLE.fullmatch(value) is not None or OWN.fullmatch(value) is not None


def is_reference(value: str) -> bool:
    """Whether an unquoted value is rather a name in a program, or a word, than a secret."""
    return _REFERENCE.fullmatch(value) is not None


def high_entropy(value: str) -> bool:
    """Whether a value looks random: letters and digits mixed over at least 16 characters, and at least 3 bits each.

    Shannon's entropy over the characters; hexadecimal digits reach 4 bits at most, words of a language with a digit
    stay below 3 in the lengths that matter here.
    """
    if len(value) < 16 or is_placeholder(value):
        return False
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values()) >= 3
