"""Personal data that shows what it is: e-mail addresses, telephone numbers, bank accounts and payment cards.

A pattern finds what has the form; a check decides, with a kept library where there is one. Checks see the whole text,
because what stands before a number often says that it is a version, a fraction or a part of something longer.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import phonenumbers
from stdnum import iban, luhn, numdb

from collector_processor.guard.privacy.pattern import Pattern, Span
from collector_processor.guard.privacy.vocabulary import Category, words

# -- E-mail ----------------------------------------------------------------------------------------

_RESERVED: Final = re.compile(
    r"(?i)(?:.*\.)?(?:example\.(?:com|net|org)|example|test|invalid|localhost|domain\.com|email\.com)"
)
_ANYBODY: Final = words(
    "user users username name your yourname your.name you me myname email mail address someone somebody anyone person"
    " test tester testuser foo bar baz alice bob john.doe jane.doe johndoe janedoe john jane doe first.last"
    " firstname.lastname example sample demo admin info support contact hello noreply no-reply xxx abc a b c x y z"
)
_FILES: Final = words(
    "png jpg jpeg gif webp svg bmp ico json yaml yml toml css scss html htm jsx tsx mjs txt xml woff map lock"
)


_USERINFO: Final = re.compile(r"://[^\s/@]*:$")


def email(text: str, start: int, end: int) -> Span | None:
    """Accept an address of a person: no placeholder at a reserved domain (RFC 2606), no `git@`, no `image@2x.png`."""
    local, _, domain = text[start:end].rpartition("@")
    if domain.rpartition(".")[2].lower() in _FILES or (local == "git" and text[end : end + 1] in (":", "/")):
        return None
    if _USERINFO.search(text[max(0, start - 64) : start]):
        return None  # the password of an address: a credential, whose own pattern knows where it ends
    if local.lower() in _ANYBODY and _RESERVED.fullmatch(domain):
        return None
    return start, end


# -- Telephone -------------------------------------------------------------------------------------


def _is_valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _apart(text: str, start: int, end: int) -> bool:
    """Whether a number is no part of a longer word, number, fraction or path."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and (before.isalnum() or before in "_+./-%\\"):
        return False
    return not (
        after and (after.isalnum() or after in "_=%" or (after in ".-:/" and text[end + 1 : end + 2].isdigit()))
    )


def international_phone(text: str, start: int, end: int) -> Span | None:
    """Accept a number that exists in its country's plan; a group of digits that follows it by chance is cut off."""
    before = text[start - 1 : start]
    if before and (before.isalnum() or before in "_+"):
        return None
    found = text[start:end]
    if found.startswith("00") and found.isdigit():
        return None
    while found and found[-2:].isdigit():
        number = found if found[0] == "+" else "+" + found.removeprefix("00")
        if _is_valid(number, None):
            last = start + len(found)
            return None if text[last : last + 1].isalnum() else (start, last)
        found = re.sub(r"[ ().\-/]+\d+$", "", found) if re.search(r"\d[ ().\-/]+\d+$", found) else ""
    return None


class _Region:
    """Accepts a number that exists in one country's plan, written without the country's code."""

    def __init__(self, region: str) -> None:
        self._region = region

    def __call__(self, text: str, start: int, end: int) -> Span | None:
        return (start, end) if _apart(text, start, end) and _is_valid(text[start:end], self._region) else None


# -- Accounts and cards ----------------------------------------------------------------------------

_IBANS: Final = numdb.get("iban")


@cache
def _iban_length(country: str) -> int | None:
    form = _IBANS.info(country)[0][1].get("bban")
    return 4 + sum(map(int, re.findall(r"(\d+)!?[nac]", form))) if form else None


def account(text: str, start: int, end: int) -> Span | None:
    """Accept an IBAN (ISO 13616): the country's length and form, and the check digits of ISO 7064."""
    missing = _iban_length(text[start : start + 2].upper())
    if missing is None:
        return None
    for last, character in enumerate(text[start:end], start + 1):
        missing -= character.isalnum()
        if not missing:
            whole = not text[last : last + 1].isalnum()
            return (start, last) if whole and iban.is_valid(text[start:last].replace("-", " ")) else None
    return None


_ISSUERS: Final = re.compile(
    r"4\d{12}(?:\d{3}(?:\d{3})?)?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:50|5[6-9]|6[37])\d{14}"
)


_NO_FRACTION: Final = re.compile(r"\.0+(?!\.?\w)")


def card(text: str, start: int, end: int) -> Span | None:
    """Accept a card's number (ISO/IEC 7812): an issuer's prefix and length, and Luhn's check digit.

    `.0` behind it belongs to it: so a number that went through a double is written.
    """
    digits = re.sub(r"[ -]", "", text[start:end])
    fraction = _NO_FRACTION.match(text, end)
    end = fraction.end() if fraction is not None else end
    if not _apart(text, start, end):
        return None
    return (start, end) if _ISSUERS.fullmatch(digits) and luhn.is_valid(digits) else None


_WIDE: Final = rb"[\xc3-\xdf][\x80-\xbf]"
_LIBPHONENUMBER: Final = "ITU-T E.164; national plans by libphonenumber"

PERSONAL: Final = (
    Pattern(
        "email",
        Category.EMAIL,
        rb"(?:[A-Za-z0-9_]|"
        + _WIDE
        + rb")(?:[A-Za-z0-9._+'-]|"
        + _WIDE
        + rb")*@(?:(?:[A-Za-z0-9-]|"
        + _WIDE
        + rb")+\.)+"
        rb"(?:xn--[a-z0-9-]{2,}|[A-Za-z]{2,24}|(?:" + _WIDE + rb"){2,12})",
        "RFC 5321 section 4.1.2, RFC 6531; letters of scripts with two bytes in UTF-8",
        email,
    ),
    Pattern(
        "phone-international",
        Category.PHONE,
        rb"(?:\+|\b00[ ]?)[1-9][0-9]{0,3}(?:[ ().\-/]{0,3}[0-9]){5,13}",
        _LIBPHONENUMBER,
        international_phone,
        again=True,
    ),
    Pattern(
        "phone-north-american",
        Category.PHONE,
        rb"(?:\([2-9][0-9]{2}\)[ ]?[2-9][0-9]{2}[-. ]|\b[2-9][0-9]{2}(?:-[2-9][0-9]{2}-|\.[2-9][0-9]{2}\.))[0-9]{4}\b",
        _LIBPHONENUMBER,
        _Region("US"),
    ),
    Pattern("phone-french", Category.PHONE, rb"\b0[1-9](?:[ .-][0-9]{2}){4}\b", _LIBPHONENUMBER, _Region("FR")),
    Pattern("phone-japanese", Category.PHONE, rb"\b0[0-9]{1,3}-[0-9]{2,4}-[0-9]{4}\b", _LIBPHONENUMBER, _Region("JP")),
    Pattern(
        "iban", Category.IBAN, rb"(?i)\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}", "ISO 13616", account, again=True
    ),
    Pattern(
        "payment-card", Category.CARD, rb"\b[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}\b", "ISO/IEC 7812-1", card, again=True
    ),
)
