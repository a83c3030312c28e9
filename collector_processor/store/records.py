"""Stored records, read in order of time: those that exports take, which are valid or released by a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import msgspec

from collector_processor.errors import StoreError
from collector_processor.model.record import BenchmarkDataPoint, decode_point
from collector_processor.store.database import Database
from collector_processor.store.statements import statement

_PAGE: Final = 500
"""Records that are in memory at once."""
_PAGE_SECONDS: Final = 600.0


async def exportable(
    database: Database, *, since: datetime | None = None, task_type: str | None = None
) -> AsyncIterator[list[BenchmarkDataPoint]]:
    """Yield pages of records, all of one moment: what is written meanwhile is not in them. Raises StoreError."""
    async with (
        database.reading(timeout_seconds=_PAGE_SECONDS) as connection,
        connection.cursor(name="exportable") as cursor,
    ):
        await cursor.execute(statement("exportable_records"), {"since": since, "task_type": task_type})
        while rows := await cursor.fetchmany(_PAGE):
            try:
                yield [decode_point(row["record"]) for row in rows]
            except msgspec.DecodeError as error:
                raise StoreError(f"a stored record can't be read: {error}") from error
