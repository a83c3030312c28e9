"""Statements about points: key rows inserted and locked, records read and written. COPY is the form of every record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from collector_processor.errors import UnfitError, told
from collector_processor.model.facts import Facts
from collector_processor.model.record import BenchmarkDataPoint, decode_point
from collector_processor.model.stages import SpanKey
from collector_processor.store.database import Connection
from collector_processor.store.merge import AWAITED, Held, Key, Merged
from collector_processor.store.rows import COLUMN_TYPES, instant, row
from collector_processor.store.statements import statement

_BURST: Final = 50
"""Records that are sent before other work is done: as many as sockets hold, so that the server has something to do."""


async def insert_keys(connection: Connection, keys: Collection[Key]) -> frozenset[UUID]:
    """Insert the key rows that are not there; returns their ids."""
    if not keys:
        return frozenset()
    rows = await connection.execute(statement("insert_keys"), _columns(keys))
    if rows.rowcount == len(keys):
        # Mostly nobody had any of them, and a thousand ids needn't be read.
        return frozenset(key.id for key in keys)
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
        raise UnfitError(f"the stored record {found['id']} can't be read: {told(error)}") from error
    key = SpanKey(found["trace_id"], found["span_id"])
    return Held(key, found["state"], found["spans"], record, facts, found["tenant"])


async def write_points(
    connection: Connection,
    merges: Mapping[UUID, Merged],
    held: Mapping[UUID, Held],
    written: Mapping[UUID, Key | None] = MappingProxyType({}),
) -> None:
    """Write what merging gave; `held` are the points that exist, `written` the key rows that stand there already."""
    keys = [merged.key for id_, merged in merges.items() if merged.key and merged.key != written.get(id_)]
    if keys:
        await connection.execute(statement("update_keys"), _columns(keys))
    arrived = [id_ for id_, merged in merges.items() if merged.record and id_ in held and held[id_].state == AWAITED]
    if arrived:
        await connection.execute(statement("drop_awaited"), {"ids": arrived})
    replaced = [{"id": id_, "timestamp": merged.replaced} for id_, merged in merges.items() if merged.replaced]
    if replaced:
        async with connection.cursor() as cursor:
            await cursor.executemany(statement("delete_points"), replaced)
    weighed = [
        {"id": id_, "timestamp": merged.replaced, **msgspec.structs.asdict(each)}
        for id_, merged in merges.items()
        for each in merged.weighed
    ]
    if weighed:
        async with connection.cursor() as cursor:
            await cursor.executemany(statement("weigh_sample"), weighed)
    await mark_stale(connection, await write_new(connection, merges))


async def write_new(
    connection: Connection, merges: Mapping[UUID, Merged], meanwhile: Callable[[int], object] = lambda _: None
) -> list[str]:
    """Write what has no row yet; returns the times of the records, which make their hours stale.

    `meanwhile` is called after every few records that were sent, with their number, for work that can be done while the
    server writes.
    """
    awaited = {id_: merged.awaited.decode() for id_, merged in merges.items() if merged.awaited is not None}
    if awaited:
        await connection.execute(statement("keep_awaited"), {"ids": [*awaited], "facts": [*awaited.values()]})
    # Neighbours in time are neighbours on disk, and fall into one chunk.
    records = sorted((merged.record for merged in merges.values() if merged.record), key=_timestamp)
    if records:
        await copy_rows(connection, _rows(records, meanwhile))
    return [record.timestamp for record in records]


def _rows(records: Sequence[BenchmarkDataPoint], meanwhile: Callable[[int], object]) -> Iterator[tuple[object, ...]]:
    # Made as they are sent: the server writes some while the next are encoded.
    for first in range(0, len(records), _BURST):
        some = records[first : first + _BURST]
        yield from map(row, some)
        meanwhile(len(some))


async def mark_stale(connection: Connection, times: Iterable[str]) -> None:
    """Mark the hours of these times: their statistics have to be computed anew."""
    one_each = {time[:13]: time for time in times}
    if one_each:
        await connection.execute(statement("mark_stale"), {"timestamps": [*map(instant, one_each.values())]})


def _timestamp(record: BenchmarkDataPoint) -> str:
    return record.timestamp


async def copy_rows(connection: Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Write what `row` makes of records."""
    async with connection.cursor() as cursor, cursor.copy(statement("copy_points")) as copy:
        copy.set_types(COLUMN_TYPES)
        for values in rows:
            await copy.write_row(values)


def _columns(keys: Collection[Key]) -> dict[str, list[object]]:
    """Key rows as one array a column."""
    return {name: list(values) for name, values in zip(Key._fields, zip(*keys, strict=True), strict=True)}
