"""Names under which somebody is stored: tenants by hashes, tasks by ids or pseudonyms, persons by pseudonyms."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from collector_processor.app.journalling.subject import Subject
from collector_processor.app.privacy import detector, keyring_of, privacy_keys
from collector_processor.config import PREFIX, Settings
from collector_processor.errors import ConfigError
from collector_processor.fallback import Line, encode, task_ids_of, tenants_of
from collector_processor.guard.privacy import TELLING, Keyring, Redactor, Text
from collector_processor.guard.tenants import hashed
from collector_processor.guard.texts import IDENTIFIERS
from collector_processor.model.stages import PrivacyKeys
from collector_processor.store.erasure import Kind
from otel_benchmark import attributes as a


def tenant_hashes(settings: Settings, tenant: str) -> list[str]:
    """As it is stored now, and as under former keys."""
    keys = (settings.tenant_key, *(settings.former_tenant_keys or ()))
    hashes = dict.fromkeys(known_as for key in keys if (known_as := hashed(tenant, key)) is not None)
    if not hashes:
        raise ConfigError(
            f"{PREFIX}TENANT_KEY is not set: tenants are stored by their hash; set the key, or name the hash itself"
        )
    return [*hashes]


def task_ids(task_id: str, keys: PrivacyKeys | None) -> list[str]:
    """As it is stored now, as under older keys, and in clear."""
    names: dict[str, None] = {}
    finder = detector()
    for key_id, _ in keys or ():
        redactor = Redactor(Keyring(dict(keys or ()), current=key_id), finder, IDENTIFIERS)
        names[redactor.texts((Text(a.TASK_ID, task_id),), None).values[0]] = None
    names[task_id] = None
    return [*names]


def pseudonyms(user: str, keyring: Keyring, known_tenants: list[str]) -> list[str]:
    """Of the value as a user and as whatever else it may have been taken for, in every tenant, under every key."""
    return [
        pseudonym
        for tenant in (None, *known_tenants)
        for category in TELLING
        for pseudonym in keyring.pseudonyms(user, category, tenant)
    ]


def line_matcher(settings: Settings, subject: Subject) -> Callable[[Line], bool]:
    """Tells the fallback's lines that name somebody, as those of records do: they are redacted. Raises ConfigError."""
    keys = privacy_keys(settings)
    if subject.kind is Kind.TENANT:
        hashes = set(tenant_hashes(settings, subject.value))
        return lambda line: bool(tenants_of(line) & hashes)
    if subject.kind is Kind.TASK:
        ids = set(task_ids(subject.value, keys))
        return lambda line: bool(task_ids_of(line) & ids)
    keyring = keyring_of(keys)
    assert keyring is not None, "users are erased by pseudonyms alone"

    @lru_cache(maxsize=1024)
    def marks(tenants: frozenset[str]) -> tuple[bytes, ...]:
        return tuple(each.encode() for each in pseudonyms(subject.value, keyring, sorted(tenants)))

    def names(line: Line) -> bool:
        raw = encode(line)
        return any(mark in raw for mark in marks(frozenset(tenants_of(line))))

    return names
