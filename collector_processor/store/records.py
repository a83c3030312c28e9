"""Stored records, read in order of time: those that exports take (valid, or released by a person), or all shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from collector_processor.errors import StoreError
from collector_processor.model.record import BenchmarkDataPoint, decode_point
from collector_processor.model.sampling import Facet, Spent
from collector_processor.store.database import Database
from collector_processor.store.statements import statement

_PAGE: Final = 500
"""Records that are in memory at once."""
_PAGE_SECONDS: Final = 600.0


async def exportable(
    database: Database, *, since: datetime | None = None, task_type: str | None = None
) -> AsyncIterator[list[BenchmarkDataPoint]]:
    """Yield pages of the records that exports take. Raises StoreError."""
    async for page in _pages(database, "exportable_records", {"since": since, "task_type": task_type}):
        yield page


async def shown(database: Database, *, since: datetime) -> AsyncIterator[list[BenchmarkDataPoint]]:
    """Yield pages of all records that views show. Raises StoreError."""
    async for page in _pages(database, "records_since", {"since": since}):
        yield page


async def sample_sizes(database: Database, *, since: datetime) -> dict[Facet, Spent]:
    """Return facet → what its stored samples took. Raises StoreError."""
    async with database.reading(timeout_seconds=_PAGE_SECONDS) as connection:
        rows = await (await connection.execute(statement("sample_sizes"), {"since": since})).fetchall()
    return {Facet(row["facet"]): Spent(row["samples"], int(row["bytes"]), int(row["calls"])) for row in rows}


async def _pages(database: Database, name: str, asked: Mapping[str, Any]) -> AsyncIterator[list[BenchmarkDataPoint]]:
    """Read all of one moment: what is written meanwhile is not in it."""
    async with database.reading(timeout_seconds=_PAGE_SECONDS) as connection, connection.cursor(name=name) as cursor:
        await cursor.execute(statement(name), asked)
        while rows := await cursor.fetchmany(_PAGE):
            try:
                yield [decode_point(row["record"]) for row in rows]
            except msgspec.DecodeError as error:
                raise StoreError(f"a stored record can't be read: {error}") from error
