"""Deep samples: which are still to be made of records, the one way of writing them, and what stands in them.

A sample is written under the lock of its point's key, with the policy and probability that the record has at that
moment: whoever erases or revises the record meanwhile comes before or after, never in between. Many are read and
written at once, because a transaction costs more than what is in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.samples import Sample, SampleReason, SampleStatus
from collector_processor.model.sampling import Facet
from collector_processor.store.database import Connection, Database
from collector_processor.store.merge import TOMBSTONES, Held
from collector_processor.store.points import lock_and_read, read
from collector_processor.store.rows import instant
from collector_processor.store.statements import statement


class Ready(NamedTuple):
    """A record, and the deep samples that it has already."""

    record: BenchmarkDataPoint
    done: frozenset[Facet]


async def read_ready(database: Database, ids: Collection[UUID]) -> dict[UUID, Ready]:
    """Points' records, of those that are neither gone nor discarded. Raises StoreError, UnfitError."""
    async with database.writing() as connection:
        records = _living(await read(connection, [*ids]))
        done: defaultdict[UUID, set[Facet]] = defaultdict(set)
        asked = {"ids": [*records], "timestamps": [instant(record.timestamp) for record in records.values()]}
        for row in await (await connection.execute(statement("samples_of_points"), asked)).fetchall():
            done[row["id"]].add(Facet(row["facet"]))
        return {id_: Ready(record, frozenset(done[id_])) for id_, record in records.items()}


async def write_samples(database: Database, samples: Mapping[UUID, Sequence[Sample]]) -> frozenset[UUID]:
    """Write samples of points, all or none; one that is there stays.

    Returns the points that are there: of a record that is gone or discarded nothing is written.

    Raises StoreError, UnfitError.
    """
    async with database.writing() as connection:
        records = _living(await lock_and_read(connection, [*samples]))
        rows = [row for id_, record in records.items() for each in samples[id_] if (row := _row(record, each))]
        if rows:
            await _write(connection, rows)
        return frozenset(records)


async def read_contents(connection: Connection, record: BenchmarkDataPoint) -> dict[str, Any]:
    """The contents of a record's samples, in plain JSON types, by facet."""
    rows = await (await connection.execute(statement("contents_of_point"), _key(record))).fetchall()
    return {row["facet"]: msgspec.json.decode(row["content"]) for row in rows}


async def mend_samples(connection: Connection, record: BenchmarkDataPoint, contents: Mapping[str, Any]) -> None:
    """Put other contents, by facet, in place of those of a point whose key is locked."""
    for facet, content in contents.items():
        mended = _key(record) | {"facet": facet} | _content(msgspec.json.encode(content))
        await connection.execute(statement("mend_sample"), mended)


def _key(record: BenchmarkDataPoint) -> dict[str, object]:
    return {"id": record.id, "timestamp": instant(record.timestamp)}


def _living(held: Mapping[UUID, Held]) -> dict[UUID, BenchmarkDataPoint]:
    return {id_: each.record for id_, each in held.items() if each.record is not None and each.state not in TOMBSTONES}


def _row(record: BenchmarkDataPoint, sample: Sample) -> dict[str, object] | None:
    kept = {each.facet: each for each in record.sampling.facets}.get(sample.facet)
    if kept is None:
        return None  # a person's restore of an older database: the record no longer says that it was kept
    return {
        **_key(record),
        "facet": sample.facet.value,
        "inclusion_probability": kept.inclusion_probability,
        "policy": kept.policy,
        "status": sample.status.value,
        "reason": sample.reason,
        "gaps": [*sample.gaps],
        "analyser": sample.analyser,
        "seconds": sample.seconds,
        "calls": sample.calls,
        **_content(sample.content),
    }


async def _write(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Write rows; where one of several has no form in the database, each by itself, and that one as failed."""
    try:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany(statement("write_sample"), rows)
    except psycopg.DataError:
        if len(rows) > 1:
            for row in rows:
                await _write(connection, [row])
            return
        failed = {"status": SampleStatus.FAILED.value, "reason": SampleReason.CRASHED.value}
        await connection.execute(statement("write_sample"), rows[0] | failed | _content(b"{}"))


def _content(content: bytes) -> dict[str, object]:
    return {"content": content.decode(), "bytes": len(content)}
