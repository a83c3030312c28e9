"""`erase`: remove a tenant, a user or a task from the journal and the database.

The journal comes first, so that nothing of it is stored anew meanwhile: the running processor is asked, else the
command takes the journal's lock itself. What a worker has in hand then meets a tombstone.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

from collector_processor.app.access import opened
from collector_processor.app.control import ask
from collector_processor.app.front import Front
from collector_processor.app.privacy import keyring_of, privacy_keys, written_reason
from collector_processor.app.subject import Subject
from collector_processor.app.withdrawal import Withdrawn
from collector_processor.config import PREFIX, Settings
from collector_processor.errors import ConfigError, NotRunningError
from collector_processor.guard.privacy import TELLING, Category, Detector, Keyring, Person, Redactor, Text
from collector_processor.guard.tenants import hashed
from collector_processor.guard.texts import IDENTIFIERS
from collector_processor.model.stages import PrivacyKeys
from collector_processor.store.database import Database
from collector_processor.store.erasure import (
    REFUSED_FOR,
    Awaited,
    Kind,
    Marks,
    Request,
    erase,
    erased_name,
    find,
    tenants,
)
from otel_benchmark import attributes as a

__all__ = ["Done", "Kind", "Order", "carry_out", "subject_of"]

_SECONDS = 600.0
"""How long the running processor may take to look through its journal."""


class Order(NamedTuple):
    """Whose data is to go, who asks for it and why; with `dry` it is only counted."""

    kind: Kind
    value: str
    author: str
    reason: str
    dry: bool = False


class Done(msgspec.Struct, frozen=True):
    """What was removed, or would be, by place. `number` is that of the view `erasures`.

    `waiting` spans without a task are sealed and not stored yet: they are found when it is asked again. What comes of
    an erased task is refused for `refused_days`.
    """

    kind: str
    subject: str
    number: int | None
    removed: dict[str, int]
    waiting: int = 0
    refused_days: int = 0


def subject_of(settings: Settings, kind: Kind, value: str) -> Subject:
    """Whom the journal is to be searched for. Raises ConfigError where its tenant's hash can't be known."""
    if kind is Kind.TENANT:
        return Subject(kind, value, hashes=_tenant_hashes(settings, value))
    return Subject(kind, value, person=Person(value, Detector()) if kind is Kind.USER else None)


def carry_out(settings: Settings, order: Order) -> Done:
    """Erase, or only look. Raises BenchmarkError; asking again does the rest."""
    keys = privacy_keys(settings)
    if order.kind is Kind.USER and keys is None:
        raise ConfigError(
            f"{PREFIX}PRIVACY is off: users are found by pseudonyms, which need its keys; erase by --task or --tenant"
        )
    subject = subject_of(settings, order.kind, order.value)
    order = order._replace(reason=written_reason(settings, order.reason, order.value))
    with opened(settings) as url:
        # What goes from the journal needs its tombstones: without a database nothing may go.
        asyncio.run(_reach(url))
        withdrawn = _withdraw(settings, subject, order)
        return asyncio.run(_erase(url, settings, keys, order, withdrawn))


def _withdraw(settings: Settings, subject: Subject, order: Order) -> Withdrawn:
    asked = {"kind": order.kind.value, "value": order.value, "dry": order.dry}
    try:
        return msgspec.convert(ask(settings.data_dir, "withdraw", asked, timeout=_SECONDS), Withdrawn, strict=False)
    except NotRunningError:
        if not (settings.data_dir / "journal" / "data.mdb").exists():
            return Withdrawn({}, (), 0)
        return asyncio.run(_withdraw_alone(settings, subject, dry=order.dry))


async def _withdraw_alone(settings: Settings, subject: Subject, *, dry: bool) -> Withdrawn:
    front = Front(settings, lambda _: None)
    await front.recover()
    try:
        return await front.withdraw(subject, dry=dry)
    finally:
        await front.stop()


async def _reach(url: str) -> None:
    async with Database(url, application_name="otel-benchmark erase") as database:
        await tenants(database)


async def _erase(url: str, settings: Settings, keys: PrivacyKeys | None, order: Order, withdrawn: Withdrawn) -> Done:
    async with Database(url, application_name="otel-benchmark erase") as database:
        keyring = keyring_of(keys)
        if order.kind is Kind.TENANT:
            hashes = _tenant_hashes(settings, order.value)
            marks, known_as = Marks(tenants=hashes), hashes[0]
        elif order.kind is Kind.TASK:
            names = _task_ids(order.value, keys)
            marks = Marks(task_ids=names)
            known_as = keyring.pseudonym(order.value, Category.ID, None) if keyring else erased_name(order.value)
        else:
            assert keyring is not None
            marks = Marks(pseudonyms=_pseudonyms(order.value, keyring, await tenants(database)))
            known_as = keyring.pseudonym(order.value, Category.USER, None)
        if order.dry:
            found = await find(database, marks)
            counts = {"records": len(found.points), "orphans": len(found.strays)} | withdrawn.removed
            removed = {place: count for place, count in counts.items() if count}
            return Done(order.kind, known_as, None, removed, withdrawn.waiting)
        task_id = marks.task_ids[0] if marks.task_ids else None
        done = await erase(
            database,
            Request(order.kind, known_as, order.author, order.reason),
            marks,
            ahead=[Awaited(key, task_id) for key in withdrawn.tasks],
            journal=withdrawn.removed,
        )
        refused_days = REFUSED_FOR.days if order.kind is Kind.TASK else 0
        return Done(order.kind, known_as, done.number, done.removed, withdrawn.waiting, refused_days)


# -- Names under which somebody is stored ------------------------------------------------------------------


def _tenant_hashes(settings: Settings, tenant: str) -> list[str]:
    """As it is stored now, and as under former keys."""
    keys = (settings.tenant_key, *(settings.former_tenant_keys or ()))
    hashes = dict.fromkeys(known_as for key in keys if (known_as := hashed(tenant, key)) is not None)
    if not hashes:
        raise ConfigError(
            f"{PREFIX}TENANT_KEY is not set: tenants are stored by their hash; set the key, or name the hash itself"
        )
    return [*hashes]


def _task_ids(task_id: str, keys: PrivacyKeys | None) -> list[str]:
    """As it is stored now, as under older keys, and in clear."""
    names: dict[str, None] = {}
    detector = Detector()
    for key_id, _ in keys or ():
        redactor = Redactor(Keyring(dict(keys or ()), current=key_id), detector, IDENTIFIERS)
        names[redactor.texts((Text(a.TASK_ID, task_id),), None).values[0]] = None
    names[task_id] = None
    return [*names]


def _pseudonyms(user: str, keyring: Keyring, known_tenants: list[str]) -> list[str]:
    """Of the value as a user and as whatever else it may have been taken for, in every tenant, under every key."""
    return [
        pseudonym
        for tenant in (None, *known_tenants)
        for category in TELLING
        for pseudonym in keyring.pseudonyms(user, category, tenant)
    ]
