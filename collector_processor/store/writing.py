"""The one write path: lock the key rows, unite the facts, fold, write. COPY is its form for new and for revised rows.

Locks are taken in one order (strays, then key rows by id), so that two writers don't wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from collector_processor.model.facts import Facts
from collector_processor.model.record import decode_point
from collector_processor.model.stages import Revise, SpanKey, Stray
from collector_processor.store.contribution import (
    Contribution,
    Unite,
    each_fact,
    kind_of,
    span_ids,
    weight,
    without,
)
from collector_processor.store.database import Connection
from collector_processor.store.joining import find_points, parent_of, stray_of
from collector_processor.store.merge import AWAITED, Brought, Held, Key, Merged, merge
from collector_processor.store.rows import COLUMN_TYPES, instant, row
from collector_processor.store.statements import statement
from collector_processor.store.tally import Tally


class UnfitError(Exception):
    """A record can't be made of its facts; the message says why. It concerns that record alone."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How facts become records: `revise` folds and judges, `unite` joins, clocks may differ by `clock_skew`."""

    revise: Revise
    unite: Unite
    clock_skew: timedelta

    def merge(self, id_: UUID, key: SpanKey, held: Held | None, brought: Brought) -> Merged:
        """Merge. Whatever goes wrong is told as UnfitError: one record's fault must not stop the others."""
        try:
            return merge((id_, key), held, brought, self.revise, self.unite)
        except Exception as error:
            raise UnfitError(f"{type(error).__name__}: {error}") from error


class First(NamedTuple):
    """A batch's share of a point, and what is to be written if nobody has that point yet."""

    share: Contribution
    merged: Merged


class Work(NamedTuple):
    """What is stored together: shares, strays that arrive, and strays that have waited in the database."""

    firsts: Sequence[First] = ()
    arriving: Sequence[Stray] = ()
    waiting: Sequence[Stray] = ()


async def write(connection: Connection, work: Work, rules: Rules) -> tuple[Tally, Tally]:
    """Store it in the running transaction; counts what came, and what was moved from waiting to a point.

    Raises UnfitError or psycopg.Error; the caller's savepoint undoes what was written until then.
    """
    firsts = {first.share.id: first for first in work.firsts}
    fresh = await _insert_strays(connection, work.arriving)
    arriving = [stray for stray in work.arriving if stray.fact.fact_id in fresh]
    related, elsewhere = await _related_strays(connection, work.firsts)
    passed = [stray for stray in related if stray.fact.fact_id not in fresh]
    shares = {id_: _leave_given_away(first.share, elsewhere) for id_, first in firsts.items()}
    new = await _insert_keys(connection, work.firsts)

    strays = [*arriving, *work.waiting]
    places = await find_points(connection, strays, passed, shares.values(), rules.clock_skew)
    waiting = [*work.waiting, *passed]
    brought = _sort(shares, arriving, waiting, places)
    held = await lock_and_read(connection, sorted(brought.keys() - new))
    merges: dict[UUID, Merged] = {}
    for id_, brings in brought.items():
        if id_ in new and brings == Brought(firsts[id_].share):
            merges[id_] = firsts[id_].merged
        else:
            before = held.get(id_)
            merges[id_] = rules.merge(id_, before.key if before else shares[id_].key, before, brings)
    written = {id_: firsts[id_].merged.key for id_ in new}
    await write_points(connection, merges, held, written)
    await _join(connection, places)

    tally = Tally(
        duplicate=_weight(work.arriving) - _weight(arriving),
        orphaned=_weight(stray for stray in arriving if stray.fact.fact_id not in places),
    )
    joined = [stray for stray in waiting if stray.fact.fact_id in places]
    moved = Tally(orphaned=-_weight(joined), joined=len(joined))
    for merged in merges.values():
        tally.add(merged.tally)
        moved.add(merged.moved)
    return tally, moved


def _sort(
    shares: Mapping[UUID, Contribution], arriving: Iterable[Stray], waiting: Iterable[Stray], places: Mapping[str, UUID]
) -> dict[UUID, Brought]:
    """What comes to each point."""
    brought = {id_: Brought(share) for id_, share in shares.items()}
    for strays, waits in ((arriving, False), (waiting, True)):
        for stray in strays:
            id_ = places.get(stray.fact.fact_id)
            if id_ is not None:
                brought[id_] = brought.get(id_, Brought()).plus(stray, waits=waits)
    return brought


def _leave_given_away(share: Contribution, elsewhere: Mapping[str, UUID]) -> Contribution:
    """Without the facts that another point got when their task was unknown: they stay there."""
    gone = frozenset(
        fact.fact_id for fact in each_fact(share.facts) if elsewhere.get(fact.fact_id, share.id) != share.id
    )
    if not gone:
        return share
    spans = len(span_ids(share.facts) & gone)
    return share._replace(facts=without(share.facts, gone), repeated=share.repeated + spans)


def _weight(strays: Iterable[Stray]) -> int:
    return sum(weight(stray.fact) for stray in strays)


# -- Statements ------------------------------------------------------------------------------------


async def _insert_strays(connection: Connection, strays: Sequence[Stray]) -> frozenset[str]:
    if not strays:
        return frozenset()
    rows = await connection.execute(
        statement("insert_strays"),
        {
            "fact_id": [stray.fact.fact_id for stray in strays],
            "trace_id": [bytes.fromhex(stray.fact.trace_id) for stray in strays],
            "span_id": [bytes.fromhex(stray.fact.span_id) for stray in strays],
            "parent_id": [parent_of(stray) for stray in strays],
            "timestamp": [instant(stray.fact.start) for stray in strays],
            "kind": [kind_of(stray.fact) for stray in strays],
            "task_id": [stray.fact.task_id for stray in strays],
            "namespace": [stray.namespace for stray in strays],
            "tenant": [stray.tenant for stray in strays],
            "spans": [weight(stray.fact) for stray in strays],
            "fact": [msgspec.json.encode(stray.fact).decode() for stray in strays],
            "anomalies": [msgspec.json.encode(stray.anomalies).decode() for stray in strays],
        },
    )
    return frozenset(each["fact_id"] for each in await rows.fetchall())


async def _related_strays(connection: Connection, firsts: Sequence[First]) -> tuple[list[Stray], dict[str, UUID]]:
    """Strays that wait for points like these, and the points that others of their traces went to."""
    if not firsts:
        return [], {}
    tasks = [first.share.facts.task for first in firsts]
    rows = await connection.execute(
        statement("related_strays"),
        {
            "trace_ids": sorted({first.share.key.trace_id for first in firsts}),
            "task_ids": sorted({task.task_id for task in tasks if task and task.task_id is not None}),
        },
    )
    waiting: list[Stray] = []
    elsewhere: dict[str, UUID] = {}
    for found in await rows.fetchall():
        if found["id"] is None:
            waiting.append(stray_of(found))
        else:
            elsewhere[found["fact_id"]] = found["id"]
    return waiting, elsewhere


async def _insert_keys(connection: Connection, firsts: Sequence[First]) -> frozenset[UUID]:
    """Returns the ids that nobody had."""
    keys = [first.merged.key for first in firsts if first.merged.key]
    if not keys:
        return frozenset()
    rows = await connection.execute(statement("insert_keys"), _columns(keys))
    return frozenset(each["id"] for each in await rows.fetchall())


async def lock_and_read(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Held]:
    """Lock those of the points that exist, and read what is known of them. Raises UnfitError."""
    if not ids:
        return {}
    await connection.execute(statement("lock_keys"), {"ids": ids})
    return await read(connection, ids)


async def read(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Held]:
    """What is known of those of the points that exist. Raises UnfitError."""
    rows = await (await connection.execute(statement("read_points"), {"ids": ids})).fetchall()
    return {each["id"]: _held(each) for each in rows}


def _held(found: DictRow) -> Held:
    try:
        record = decode_point(found["record"]) if found["record"] is not None else None
        facts = record.facts if record else None
        if found["facts"] is not None:
            facts = msgspec.json.decode(found["facts"], type=Facts)
    except msgspec.DecodeError as error:
        raise UnfitError(f"the stored record {found['id']} can't be read: {error}") from error
    return Held(SpanKey(found["trace_id"], found["span_id"]), found["state"], found["spans"], record, facts)


async def write_points(
    connection: Connection,
    merges: Mapping[UUID, Merged],
    held: Mapping[UUID, Held],
    written: Mapping[UUID, Key | None] | None = None,
) -> None:
    """Write what merging gave; `held` are the points that exist, `written` the key rows that stand there already."""
    written = written or {}
    keys = [merged.key for id_, merged in merges.items() if merged.key and merged.key != written.get(id_)]
    if keys:
        await connection.execute(statement("update_keys"), _columns(keys))
    awaited = {id_: merged.awaited.decode() for id_, merged in merges.items() if merged.awaited is not None}
    if awaited:
        await connection.execute(statement("keep_awaited"), {"ids": [*awaited], "facts": [*awaited.values()]})
    arrived = [id_ for id_, merged in merges.items() if merged.record and id_ in held and held[id_].state == AWAITED]
    if arrived:
        await connection.execute(statement("drop_awaited"), {"ids": arrived})
    replaced = {id_: merged.replaced for id_, merged in merges.items() if merged.replaced}
    if replaced:
        await connection.execute(statement("delete_points"), {"ids": [*replaced], "timestamps": [*replaced.values()]})
    records = [merged.record for merged in merges.values() if merged.record]
    if records:
        # Rows are made as they are sent: the server writes one while the next is encoded.
        await copy_rows(connection, map(row, records))
        timestamps = [instant(record.timestamp) for record in records]
        await connection.execute(statement("mark_quality_stale"), {"timestamps": timestamps})


async def copy_rows(connection: Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Write what `row` makes of records."""
    async with connection.cursor() as cursor, cursor.copy(statement("copy_points")) as copy:
        copy.set_types(COLUMN_TYPES)
        for values in rows:
            await copy.write_row(values)


async def _join(connection: Connection, places: Mapping[str, UUID]) -> None:
    if places:
        await connection.execute(statement("join_strays"), {"fact_ids": [*places], "ids": [*places.values()]})


async def move(connection: Connection, kind: str, moved: Tally) -> None:
    """Write down spans that are counted elsewhere from now on."""
    await connection.execute(statement("move_spans"), {"kind": kind, **moved.counts()})


def _columns(keys: Sequence[Key]) -> dict[str, list[object]]:
    """Key rows as one array a column."""
    return {name: list(values) for name, values in zip(Key._fields, zip(*keys, strict=True), strict=True)}
