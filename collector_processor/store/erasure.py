"""Erase what is stored of a tenant, a user or a task. Tombstones stay, so that nothing of it comes back.

A record is found by its tenant or task, or by a pseudonym that stands anywhere in it. Its row, deep samples, waiting
facts and the patches of corrections go; its key row stays as a tombstone that knows ids, times and hashes alone. Every
page is one transaction, in which the spans move to the count of what was erased: the ledger balances at every moment,
and asking again after a failure does the rest. What comes only later under an erased task's id is the subject of
`standing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from collector_processor.model.record import State, point_id
from collector_processor.model.stages import SpanKey
from collector_processor.store.database import Connection, Database
from collector_processor.store.statements import statement
from collector_processor.store.tally import Tally
from collector_processor.store.writing import move

T = TypeVar("T")

_PAGE: Final = 200
"""Records, or strays, that are erased in one transaction."""
REFUSED_FOR: Final = timedelta(days=30)
"""How long tasks of an erased id are refused: whatever waits somewhere comes sooner, and an id may be given anew."""


class Kind(StrEnum):
    """Whose data is to be erased."""

    TENANT = "tenant"
    USER = "user"
    TASK = "task"


class Marks(NamedTuple):
    """What stored data of somebody is found by: hashes of tenants, ids of tasks, pseudonyms in any text."""

    tenants: Sequence[str] = ()
    task_ids: Sequence[str] = ()
    pseudonyms: Sequence[str] = ()


class Request(NamedTuple):
    """Who asks for what. `subject` names it by a hash or pseudonym."""

    kind: Kind
    subject: str
    author: str
    reason: str


class Awaited(NamedTuple):
    """A task of which the journal had spans, and whose own span may still come. `task_id` where the spans told it."""

    key: SpanKey
    task_id: str | None = None


class Found(NamedTuple):
    """Ids of points, and fact ids of strays that wait."""

    points: Sequence[UUID]
    strays: Sequence[str]


class Erasure(NamedTuple):
    """Its number in the view `erasures`, and what it removed, by place."""

    number: int
    removed: dict[str, int]


def erased_name(task_id: str) -> str:
    """Under which a tombstone still knows its task: as benchmark_data.erased_name."""
    return f"sha256:{sha256(task_id.encode(errors='surrogatepass')).hexdigest()}"


async def tenants(database: Database) -> list[str]:
    """Hashes of all tenants that anything is stored of. Raises StoreError."""
    async with database.writing() as connection:
        rows = await connection.execute(statement("known_tenants"))
        return [row["tenant"] for row in await rows.fetchall()]


async def find(database: Database, marks: Marks) -> Found:
    """What would be erased; the whole of the records is searched where there are pseudonyms. Raises StoreError."""
    asked = {name: list(values) for name, values in marks._asdict().items()}
    async with database.owning() as connection:
        points = await (await connection.execute(statement("erasable_points"), asked)).fetchall()
        strays = await (await connection.execute(statement("erasable_strays"), asked)).fetchall()
    return Found([row["id"] for row in points], [row["fact_id"] for row in strays])


async def erase(
    database: Database, request: Request, marks: Marks, *, ahead: Collection[Awaited] = (), journal: dict[str, int]
) -> Erasure:
    """Erase what the marks find, refuse their task ids from now on, and leave tombstones for the tasks `ahead`.

    `journal` is what has gone from the journal, by place; it stands with the rest in the erasure's row.
    Raises StoreError; what is gone until then is gone, and the next call goes on under a number of its own.
    """
    async with database.writing() as connection:
        row = await (await connection.execute(statement("open_erasure"), request._asdict())).fetchone()
        assert row is not None
        number: int = row["number"]
        if marks.task_ids:  # before any row is locked: writers that are waited for may need it
            await _refuse(connection, number, marks.task_ids)
        await bury_ahead(connection, number, ahead)
        await _note(connection, number, journal)
    found = await find(database, marks)
    removed = Counter(journal)
    for page in _pages(found.points):
        async with database.writing() as connection:
            removed += await erase_points(connection, number, page)
            await _note(connection, number, removed)
    for fact_ids in _pages(found.strays):
        async with database.writing() as connection:
            removed += await _erase_strays(connection, number, fact_ids)
            await _note(connection, number, removed)
    return Erasure(number, dict(removed))


async def _refuse(connection: Connection, number: int, task_ids: Collection[str]) -> None:
    """Refuse these tasks from now on. Writers of this moment are waited for; others wait for the transaction's end."""
    await connection.execute(statement("lock_standing"))
    names = [erased_name(task_id) for task_id in task_ids]
    await connection.execute(statement("keep_standing"), {"number": number, "names": names, "period": REFUSED_FOR})


async def erase_points(connection: Connection, number: int, ids: Sequence[UUID]) -> Counter[str]:
    """Erase these points with all that belongs to them, in the running transaction; what that was, by place."""
    await connection.execute(statement("lock_keys"), {"ids": ids})
    keys = await (await connection.execute(statement("erasable_keys"), {"ids": ids})).fetchall()
    ids = [key["id"] for key in keys]
    records = [key for key in keys if key["timestamp"] is not None]
    if records:
        async with connection.cursor() as cursor:
            await cursor.executemany(statement("delete_points"), records)
        await connection.execute(statement("mark_stale"), {"timestamps": [key["timestamp"] for key in records]})
    removed = Counter(records=len(records), waiting_facts=len(keys) - len(records))
    for what, name in (("deep_samples", "erase_samples"), ("patches", "erase_patches")):
        removed[what] = (await connection.execute(statement(name), {"ids": ids})).rowcount
    await connection.execute(statement("drop_awaited"), {"ids": ids})
    await connection.execute(statement("bury_keys"), {"ids": ids, "number": number})
    discarded = sum(key["spans"] for key in keys if key["state"] == State.DISCARDED)
    spans = sum(key["spans"] for key in keys)
    await move(connection, "erasure", Tally(in_points=discarded - spans, discarded=-discarded, erased=spans))
    removed["spans"] = spans
    return removed


async def _erase_strays(connection: Connection, number: int, fact_ids: Sequence[str]) -> Counter[str]:
    asked = {"fact_ids": list(fact_ids), "number": number}
    gone = await (await connection.execute(statement("bury_strays"), asked)).fetchall()
    spans = sum(row["spans"] for row in gone)
    await move(connection, "erasure", Tally(orphaned=-spans, erased=spans))
    return Counter(orphans=len(gone), spans=spans)


async def bury_ahead(connection: Connection, number: int, ahead: Collection[Awaited]) -> None:
    """Leave tombstones for tasks of which no key row is there yet."""
    if ahead:
        columns = {
            "id": [point_id(*each.key) for each in ahead],
            "trace_id": [each.key.trace_id for each in ahead],
            "span_id": [each.key.span_id for each in ahead],
            "task_id": [each.task_id for each in ahead],
        }
        await connection.execute(statement("bury_ahead"), {"number": number, **columns})


async def _note(connection: Connection, number: int, removed: dict[str, int]) -> None:
    await connection.execute(
        statement("note_erased"), {"number": number, "removed": msgspec.json.encode(removed).decode()}
    )


def _pages(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _PAGE] for start in range(0, len(items), _PAGE)]
