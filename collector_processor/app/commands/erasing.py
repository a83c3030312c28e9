"""`erase`: remove a tenant, a user or a task from the journal and the database.

The journal comes first, so that nothing of it is stored anew meanwhile: the running processor is asked, else the
command takes the journal's lock itself. What a worker has in hand then meets a tombstone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

import msgspec

from collector_processor.app.commands.access import opened
from collector_processor.app.commands.stored_names import line_matcher, pseudonyms, task_ids, tenant_hashes
from collector_processor.app.control import ask
from collector_processor.app.journalling.front import Front
from collector_processor.app.journalling.subject import Subject
from collector_processor.app.journalling.withdrawal import Withdrawn
from collector_processor.app.outage import Outage
from collector_processor.app.privacy import detector, keyring_of, privacy_keys, written_reason
from collector_processor.app.storing.fallback import Fallback
from collector_processor.app.storing.fallback_erasure import withdraw_lines
from collector_processor.config import PREFIX, Settings
from collector_processor.errors import ConfigError, NotRunningError
from collector_processor.guard.privacy import Category, Person
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

__all__ = ["Done", "Kind", "Order", "carry_out", "subject_of", "withdraw"]

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
        return Subject(kind, value, hashes=tenant_hashes(settings, value))
    return Subject(kind, value, person=Person(value, detector()) if kind is Kind.USER else None)


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
        fallback = Fallback(settings, front, Outage(settings.store_attempts, settings.store_pause))
        await fallback.start()
        return await withdraw(settings, front, fallback, subject, dry=dry)
    finally:
        await front.stop()


async def _reach(url: str) -> None:
    async with Database(url, application_name="otel-benchmark erase") as database:
        await tenants(database)


async def withdraw(settings: Settings, front: Front, fallback: Fallback, subject: Subject, *, dry: bool) -> Withdrawn:
    """Erase what journal and fallback hold of somebody, or only look. Raises JournalError, FallbackError."""
    lines, spans, letters, tasks = await withdraw_lines(front, fallback, line_matcher(settings, subject), dry=dry)
    withdrawn = await front.withdraw(subject, dry=dry)
    removed = Counter(withdrawn.removed) + Counter(fallback_lines=lines, fallback_spans=spans, dead_letters=letters)
    return withdrawn._replace(removed=dict(removed), tasks=[*withdrawn.tasks, *tasks])


async def _erase(url: str, settings: Settings, keys: PrivacyKeys | None, order: Order, withdrawn: Withdrawn) -> Done:
    async with Database(url, application_name="otel-benchmark erase") as database:
        keyring = keyring_of(keys)
        if order.kind is Kind.TENANT:
            hashes = tenant_hashes(settings, order.value)
            marks, known_as = Marks(tenants=hashes), hashes[0]
        elif order.kind is Kind.TASK:
            names = task_ids(order.value, keys)
            marks = Marks(task_ids=names)
            known_as = keyring.pseudonym(order.value, Category.ID, None) if keyring else erased_name(order.value)
        else:
            assert keyring is not None
            marks = Marks(pseudonyms=pseudonyms(order.value, keyring, await tenants(database)))
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
