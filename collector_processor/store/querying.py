"""A person's own query, as the role that may only read the views."""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg.rows import tuple_row

from collector_processor.store.database import Database


class Answer(NamedTuple):
    """Column names, and rows of Python values in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


async def query(database: Database, text: str, *, timeout_seconds: float = 60.0) -> Answer:
    """Run one statement that gives rows; views may be named without their schema.

    Raises StoreError: it is no single statement, gives no rows, takes too long, or wants what the reader may not.
    """
    async with (
        database.reading(timeout_seconds=timeout_seconds) as connection,
        connection.cursor(row_factory=tuple_row) as cursor,
    ):
        # A stream uses the protocol that takes one statement only: nothing can follow a COMMIT.
        rows = [row async for row in cursor.stream(text.encode())]
        if cursor.description is None:
            # No row, so no names either; asking in binary form is the other way to send one statement.
            await cursor.execute(text.encode(), binary=True)
        return Answer(tuple(column.name for column in cursor.description or ()), rows)
