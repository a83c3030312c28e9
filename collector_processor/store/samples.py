"""Deep samples: which are still to be made of a record, the one way of writing them, and what stands in them.

A sample is written under the lock of its point's key, with the policy and probability that the record has at that
moment: whoever erases or revises the record meanwhile comes before or after, never in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


async def read_ready(database: Database, id_: UUID) -> Ready | None:
    """A point's record; None where it is gone, or discarded. Raises StoreError, UnfitError."""
    async with database.writing() as connection:
        record = _living((await read(connection, [id_])).get(id_))
        if record is None:
            return None
        rows = await (await connection.execute(statement("samples_of_point"), _key(record))).fetchall()
        return Ready(record, frozenset(Facet(row["facet"]) for row in rows))


async def write_samples(database: Database, id_: UUID, samples: Iterable[Sample]) -> bool:
    """Write samples of a point, all or none; one that is there stays. False where the record is gone or discarded.

    Raises StoreError, UnfitError.
    """
    async with database.writing() as connection:
        record = _living((await lock_and_read(connection, [id_])).get(id_))
        if record is not None:
            for sample in samples:
                await _write(connection, record, sample)
        return record is not None


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


def _living(held: Held | None) -> BenchmarkDataPoint | None:
    return held.record if held is not None and held.state not in TOMBSTONES else None


async def _write(connection: Connection, record: BenchmarkDataPoint, sample: Sample) -> None:
    kept = {each.facet: each for each in record.sampling.facets}.get(sample.facet)
    if kept is None:
        return  # a person's restore of an older database: the record no longer says that it was kept
    row = _key(record) | {
        "facet": sample.facet.value,
        "inclusion_probability": kept.inclusion_probability,
        "policy": kept.policy,
        "status": sample.status.value,
        "reason": sample.reason,
        "gaps": [*sample.gaps],
        "analyser": sample.analyser,
        "seconds": sample.seconds,
        "calls": sample.calls,
    }
    try:
        async with connection.transaction():
            await connection.execute(statement("write_sample"), row | _content(sample.content))
    except psycopg.DataError:
        failed = {"status": SampleStatus.FAILED.value, "reason": SampleReason.CRASHED.value}
        await connection.execute(statement("write_sample"), row | failed | _content(b"{}"))


def _content(content: bytes) -> dict[str, object]:
    return {"content": content.decode(), "bytes": len(content)}
