"""Pseudonyms: `<EMAIL:k2:nvxw4ltsovuxg5dj>` says what stood there, under which key, and whether it is the same again.

From every key one sub-key is derived for each tenant and category (HKDF with SHA-256, RFC 5869), so that a value has
unrelated pseudonyms in two tenants, and as a name and as a user. 80 bits of HMAC-SHA256 are shown: two of a billion
values are the same with a probability of 1 in 2 million. A key that is replaced stays for looking up.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from base64 import b32encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import phonenumbers

from collector_processor.errors import ConfigError
from collector_processor.guard.privacy.vocabulary import Category

MIN_KEY_BYTES: Final = 16
_KEY_ID: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
_SALT: Final = b"otel-benchmark privacy pseudonyms 1"
_BYTES: Final = 10
_MAX_SUBKEYS: Final = 4096


class Keyring:
    """Keys by their ids; new pseudonyms are made under `current`.

    The keys are in no representation of it and in none of its errors.
    """

    __slots__ = ("_keys", "_subkey", "current")

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        for key_id, key in keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise ConfigError(f"privacy key id {key_id!r}: one lower-case letter, then up to 15 letters and digits")
            if len(key) < MIN_KEY_BYTES:
                raise ConfigError(f"privacy key {key_id}: {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
        if current not in keys:
            raise ConfigError(f"privacy key {current!r} is to be the current one, but is not among the keys")
        self.current = current
        self._keys = {current: keys[current]} | dict(keys)
        self._subkey = lru_cache(maxsize=_MAX_SUBKEYS)(self._derived)

    def pseudonym(self, value: str, category: Category, tenant: str | None) -> str:
        """Return what stands for a value, in a tenant's texts, from now on."""
        return self._under(self.current, canonical(value, category), category, tenant)

    def pseudonyms(self, value: str, category: Category, tenant: str | None) -> tuple[str, ...]:
        """Return all that may stand for a value in a tenant's texts: under the current key, then under the others."""
        plain = canonical(value, category)
        return tuple(self._under(key_id, plain, category, tenant) for key_id in self._keys)

    def _under(self, key_id: str, plain: str, category: Category, tenant: str | None) -> str:
        subkey = self._subkey(key_id, category, tenant)
        digest = hmac.digest(subkey, plain.encode("utf-8", "surrogatepass"), "sha256")
        return f"<{category.value}:{key_id}:{b32encode(digest[:_BYTES]).decode().lower()}>"

    def _derived(self, key_id: str, category: Category, tenant: str | None) -> bytes:
        scope = b"tenant " + tenant.encode("utf-8", "surrogatepass") if tenant is not None else b"no tenant"
        return hkdf(self._keys[key_id], _SALT, category.value.encode() + b"\x00" + scope)

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, ids={list(self._keys)!r})"


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Derive 32 bytes: RFC 5869 with SHA-256, the first block of its output."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def canonical(value: str, category: Category) -> str:
    """Return the form of a value in which it is compared: spaces and case where they don't matter."""
    if category is Category.ID:
        return value
    value = unicodedata.normalize("NFKC", value).strip()
    match category:
        case Category.EMAIL:
            return value.casefold()
        case Category.NAME | Category.ADDRESS:
            return " ".join(value.casefold().split())
        case Category.CARD:
            return re.sub(r"\.0+$|[\W_]", "", value).upper()
        case Category.IBAN | Category.NATIONAL_ID:
            return re.sub(r"[\W_]", "", value).upper()
        case Category.PHONE:
            return _e164(value)
        case Category.IP:
            return value.lower()
    return value


def _e164(value: str) -> str:
    number = re.sub(r"^00", "+", value)
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return re.sub(r"\D", "", value)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
