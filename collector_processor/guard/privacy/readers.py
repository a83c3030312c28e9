"""What a value must look like to be what its key says it is: `token: 512` and `address = 0x7ffe` are no such.

A field's value is judged whole; in prose the value must also be told from the words that follow it, and convince more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from collector_processor.guard.privacy.pattern import Span
from collector_processor.guard.privacy.placeholders import high_entropy, is_placeholder, is_reference
from collector_processor.guard.privacy.vocabulary import Category, words

MAX_PROSE: Final = 512
"""Characters of prose in which a value's end is looked for."""

# -- Fields ----------------------------------------------------------------------------------------

_APOSTROPHE: Final = "['\u2019-]"
_NAME: Final = re.compile(
    rf"[^\W\d_](?:[\w.]|{_APOSTROPHE}(?=\w))*(?:,? [^\W\d_](?:[\w.]|{_APOSTROPHE}(?=\w))*){{0,5}}\.?"
)
_NO_NAME: Final = words(
    "unknown none null true false string str any anonymous n/a na test optional required name first last full value"
)
_PHONE: Final = re.compile(r"[+(]?\d(?:[\d ().\-/\u3000]|(?:x|ext\.?) ?(?=\d)){4,24}\d")
_IDENTITY: Final = re.compile(r"(?=(?:\D*\d){4})[0-9A-Za-z](?:[0-9A-Za-z]|[-./ ](?=[0-9A-Za-z])){3,30}")
_CARD: Final = re.compile(r"\d(?:[ -]?\d){11,18}")
_BIRTH: Final = re.compile(r"(?=(?:\D*\d){4})[\w ,./\-]{4,30}")
_USER: Final = re.compile(r"[^\s<>{}\"\\]{1,128}")
_NO_ADDRESS: Final = re.compile(
    r"localhost|[\w-]+(?:\.[\w-]+)+|0x[0-9a-fA-F]+.*|\w+://.*|[\d.:a-fA-F\[\]/]*|[\w.-]+:\d+|\S+@\S+|[\w.]+\(.*"
)
_POSTCODE: Final = re.compile(r"\d(?:[ -]?\d){2,8}")
_PASSWORD: Final = re.compile(
    r"(?i)pass|pwd|kennwort|contrase|senha|cvv|cvc|pin|otp|code|パスワード|密|пароль|كلمة|비밀번호"
)
_SCHEME: Final = re.compile(r"(?i)(?:basic|bearer|token|digest|negotiate|apikey|api-key)\s+")


def _is_phone(value: str) -> bool:
    return _PHONE.fullmatch(value) is not None and sum(map(str.isdigit, value)) >= 6


def _is_user(value: str) -> bool:
    return _USER.fullmatch(value) is not None and not is_placeholder(value)


def _is_name(value: str) -> bool:
    return len(value) <= 80 and _NAME.fullmatch(value) is not None and value.lower() not in _NO_NAME


def is_postal(value: str) -> bool:
    """Whether a value may be a part of a postal address, rather than one of a machine or of memory."""
    return (2 <= len(value) <= 300 and not _NO_ADDRESS.fullmatch(value)) or _POSTCODE.fullmatch(value) is not None


_FIELDS: Final[dict[Category, Callable[[str], object]]] = {
    Category.CARD: _CARD.fullmatch,
    Category.NATIONAL_ID: _IDENTITY.fullmatch,
    Category.PHONE: _is_phone,
    Category.USER: _is_user,
    Category.NAME: _is_name,
    Category.BIRTH: _BIRTH.fullmatch,
    Category.ADDRESS: is_postal,
}


def fits(category: Category, key: str, value: str) -> bool:
    """Whether a field's whole value is what its key says."""
    if category is Category.CREDENTIAL:
        return _is_secret(key, value)
    reader = _FIELDS.get(category)
    return reader is not None and bool(reader(value))


def _is_secret(key: str, value: str) -> bool:
    """Whether a value is one: any but a placeholder under a password's key, under others what looks random."""
    if len(value) < 3 or is_placeholder(value):
        return False
    if _PASSWORD.search(key) or high_entropy(value):
        return True
    if " " in value:
        return _SCHEME.match(value) is not None
    return len(value) >= 8 and any(map(str.isdigit, value)) and not value.isdigit()


# -- Prose -----------------------------------------------------------------------------------------

_CAPITAL: Final = "A-ZÀ-ÖØ-ÞА-Я"
_PART: Final = rf"(?:[{_CAPITAL}]\.|[{_CAPITAL}][^\W\d_]*(?:{_APOSTROPHE}[^\W\d_]+)*)"
_SEMITIC, _EAST_ASIAN = r"[\u0590-\u06ff]+", r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
_PROSE_NAME: Final = re.compile(
    rf"{_PART}(?: (?:(?:de|la|von|van|der|den|del|di|da|bin|al) )*{_PART}){{0,3}}"
    rf"|{_SEMITIC}(?: {_SEMITIC}){{0,3}}|{_EAST_ASIAN}(?:[ \u3000]{_EAST_ASIAN})?"
)
_PROSE_IDENTITY: Final = re.compile(r"[0-9A-Za-z]{0,4}(?:[-./ ]?\d){4,18}(?:-?[0-9A-Za-z]{1,2}\b)?")
_PROSE_BIRTH: Final = re.compile(
    r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{1,2}\.? [^\W\d_]{3,10},? \d{4}|[^\W\d_]{3,10} \d{1,2},? \d{4}"
    r"|\d{4}年\d{1,2}月\d{1,2}日"
)
_PROSE_USER: Final = re.compile(r"[\w.@+-]*\d[\w.@+-]*\w|[\w.+-]+[._@][\w.@+-]*\w")
_PROSE_ADDRESS: Final = re.compile(r"(?=[^\W_])[\w .,'\u2019/#ºª°&-]{5,120}")
_HOUSE: Final = re.compile(r"\b\d")
_PROSE_SECRET: Final = re.compile(r"""[^\s"'`<>,;&|(){}\[\]\\]+""")
_HEADER: Final = re.compile(r"""[^\r\n"'\\]+""")
_ONE_TOKEN: Final = re.compile(r"(?i)(?:basic|bearer|token|apikey|api-key)[ \t]+")
_IS_HEADER: Final = re.compile(r"(?i)(?:authorization|cookie)$")


def read(category: Category, key: str, text: str, start: int) -> Span | None:
    """Return where in prose the value ends that its key announced; None where what stands there isn't such."""
    end = start + MAX_PROSE
    match category:
        case Category.CREDENTIAL:
            return _header(text, start) if _IS_HEADER.search(key) else _secret(key, text, start)
        case Category.NAME:
            found = _PROSE_NAME.match(text, start, end)
            return found.span() if found and _is_name(found[0]) else None
        case Category.ADDRESS:
            found = _PROSE_ADDRESS.match(text, start, end)
            value = found[0].rstrip(" .,'") if found else ""
            numbered = _HOUSE.search(value) and " " in value and "  " not in value and not value[0].islower()
            return (start, start + len(value)) if numbered and is_postal(value) else None
        case Category.USER:
            found = _PROSE_USER.match(text, start, end)
            return found.span() if found and not is_reference(found[0]) and not is_placeholder(found[0]) else None
        case Category.BIRTH:
            found = _PROSE_BIRTH.match(text, start, end)
            return found.span() if found else None
        case _:
            return number(category, text, start)


def number(category: Category, text: str, start: int) -> Span | None:
    """Return where in prose a number of this category stands; None where there is none."""
    form = {Category.NATIONAL_ID: _PROSE_IDENTITY, Category.PHONE: _PHONE, Category.CARD: _CARD}.get(category)
    found = form.match(text, start) if form is not None else None
    return found.span() if found and sum(map(str.isdigit, found[0])) >= 6 else None


def _secret(key: str, text: str, start: int) -> Span | None:
    found = _PROSE_SECRET.match(text, start, start + MAX_PROSE)
    value = found[0].rstrip(".:!?") if found else ""
    if len(value) < 4 or not any(map(str.isdigit, value)) or is_reference(value) or not _is_secret(key, value):
        return None
    return start, start + len(value)


def _header(text: str, start: int) -> Span | None:
    """Return a header's value: the token after a scheme that has but one, else all of the line."""
    scheme = _ONE_TOKEN.match(text, start, start + MAX_PROSE)
    begin = scheme.end() if scheme else start
    found = (_PROSE_SECRET if scheme else _HEADER).match(text, begin, begin + MAX_PROSE)
    value = found[0].rstrip() if found else ""
    plain = len(value) < 8 or not any(map(str.isdigit, value)) or is_placeholder(value) or is_reference(value)
    return None if plain else (begin, begin + len(value))
