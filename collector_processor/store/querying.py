"""A person's own query, as the role that may only read the views."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from psycopg import Error, errors
from psycopg.rows import tuple_row

from collector_processor.errors import StoreError, Trouble
from collector_processor.store.database import Database

_MENDING: Final[dict[type[Error], str]] = {
    errors.UndefinedColumn: "`SELECT * FROM view LIMIT 0` shows the columns of a view",
    errors.InsufficientPrivilege: "queries may only read the views of schema benchmark",
    # Writing to a view of several tables is refused before any right is asked for.
    errors.ObjectNotInPrerequisiteState: "queries may only read the views of schema benchmark",
}


class Answer(NamedTuple):
    """Column names, and rows of Python values in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


async def query(database: Database, text: str, *, timeout_seconds: float = 60.0) -> Answer:
    """Run one statement that gives rows; views may be named without their schema.

    Raises StoreError: it is no single statement, gives no rows, takes too long, or wants what the reader may not.
    """
    if not text.strip():
        raise StoreError("the query is empty: try SELECT * FROM data_points LIMIT 1")
    try:
        return await _run(database, text, timeout_seconds)
    except StoreError as error:
        mending = await _mending(database, error.__cause__, timeout_seconds)
        if mending is None:
            raise
        mended = type(error.__cause__) in _MENDING
        trouble = Trouble.SETUP if mended else error.trouble
        raise StoreError(f"{error}; {mending}", trouble=trouble) from error.__cause__


async def _run(database: Database, text: str, timeout_seconds: float) -> Answer:
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


async def _mending(database: Database, error: BaseException | None, timeout_seconds: float) -> str | None:
    """How a person may mend the query: the server's own hint, or what we know of the schema."""
    if not isinstance(error, Error):
        return None
    if isinstance(error, errors.UndefinedTable):
        views = await _run(
            database, "SELECT viewname FROM pg_views WHERE schemaname = 'benchmark' ORDER BY 1", timeout_seconds
        )
        return f"the views are {', '.join(name for (name,) in views.rows)}"
    if isinstance(error, errors.ObjectNotInPrerequisiteState):
        return _MENDING[type(error)]
    return error.diag.message_hint or _MENDING.get(type(error))
