# ruff: noqa: RUF001 - look-alikes are what is tested
"""Pseudonyms: stable inside a tenant and a category, unrelated elsewhere, found again after a rotation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_processor.errors import ConfigError
from collector_processor.guard.privacy import Category, Detector, Keyring, Redactor, Text
from collector_processor.guard.privacy.keyring import hkdf

OLD, NEW = b"an old key of some bytes", b"a new key of some bytes"
MAIL = "ada@corp.com"


def test_a_pseudonym_says_category_and_key(keyring: Keyring) -> None:
    assert re.fullmatch(r"<EMAIL:k2:[a-z2-7]{16}>", keyring.pseudonym(MAIL, Category.EMAIL, "acme"))


def test_it_is_the_same_again_and_different_elsewhere(keyring: Keyring) -> None:
    first = keyring.pseudonym(MAIL, Category.EMAIL, "acme")
    assert keyring.pseudonym(MAIL, Category.EMAIL, "acme") == first
    others = {
        keyring.pseudonym("bob@corp.com", Category.EMAIL, "acme"),
        keyring.pseudonym(MAIL, Category.EMAIL, "globex"),
        keyring.pseudonym(MAIL, Category.EMAIL, ""),
        keyring.pseudonym(MAIL, Category.EMAIL, None),
    }
    assert len(others | {first}) == 5
    tails = {keyring.pseudonym(MAIL, category, "acme")[-17:] for category in Category}
    assert len(tails) == len(Category), "no category's key is another's"


def test_what_is_written_differently_is_the_same(keyring: Keyring) -> None:
    for category, forms in {
        Category.EMAIL: ("Ada@Corp.com", "ada@corp.com ", "ａｄａ@corp.com"),
        Category.IBAN: ("DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        Category.CARD: ("4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111.0"),
        Category.PHONE: ("+49 30 901820", "+4930901820", "0049 30 901820"),
        Category.NAME: ("Ada  Lovelace", "ada lovelace"),
    }.items():
        assert len({keyring.pseudonym(form, category, "acme") for form in forms}) == 1, category
    assert keyring.pseudonym("Ab", Category.USER, None) != keyring.pseudonym("ab", Category.USER, None)


def test_rotation_keeps_the_old_keys_for_looking_up() -> None:
    before = Keyring({"k1": OLD}, "k1")
    after = Keyring({"k1": OLD, "k2": NEW}, "k2")
    stored = before.pseudonym(MAIL, Category.EMAIL, "acme")
    new = after.pseudonym(MAIL, Category.EMAIL, "acme")
    assert after.pseudonyms(MAIL, Category.EMAIL, "acme") == (new, stored)
    assert new.startswith("<EMAIL:k2:")


def test_a_user_is_found_as_the_redactor_wrote_it(detectors: dict[str, Detector]) -> None:
    keyring = Keyring({"k1": OLD, "k2": NEW}, "k1")
    redactor = Redactor(keyring, detectors["hyperscan"])
    for user, category in (("ada_4711", Category.USER), (MAIL, Category.EMAIL)):
        (value,) = redactor.texts([Text("user.id", user)], "acme").values
        assert value in keyring.pseudonyms(user, category, "acme")


def test_keys_are_in_no_representation(keyring: Keyring) -> None:
    for shown in (repr(keyring), str(keyring), f"{keyring!s}", repr(vars(Redactor(keyring, None)))):
        assert "16 bytes" not in shown
    assert repr(keyring) == "Keyring(current='k2', ids=['k2', 'k1'])"


@pytest.mark.parametrize(
    ("keys", "current", "message"),
    [
        ({"k1": b"secret"}, "k1", "privacy key k1: 6 bytes, at least 16 are needed"),
        ({"k1": OLD}, "k2", "privacy key 'k2' is to be the current one, but is not among the keys"),
        ({"K:1": OLD}, "K:1", "privacy key id 'K:1': one lower-case letter, then up to 15 letters and digits"),
    ],
)
def test_keys_that_can_not_be_used(keys: dict[str, bytes], current: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Keyring(keys, current)
    assert str(raised.value) == message
    assert "secret" not in message


def test_sub_keys_are_derived_by_the_standard() -> None:
    """RFC 5869, appendix A.1: the first 32 bytes of its output."""
    derived = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))
    assert derived.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


@given(st.text(), st.sampled_from(Category), st.none() | st.text())
def test_every_value_has_one(keyring: Keyring, value: str, category: Category, tenant: str | None) -> None:
    pseudonyms = keyring.pseudonyms(value, category, tenant)
    assert pseudonyms[0] == keyring.pseudonym(value, category, tenant)
    assert len(set(pseudonyms)) == 2
