"""Facts that came before their task wait in the database, within bounds of time and number."""

from __future__ import annotations

from datetime import datetime

from collector_processor.store.database import translated
from collector_processor.store.migrations import connect
from collector_processor.store.statements import statement


async def bound_waiting(url: str, *, before: datetime, most: int) -> int:
    """Let go what has waited since before that time, and the oldest above so many; returns how many facts went.

    Their spans are counted as `expired`. Doing it again changes nothing. Raises StoreError.
    """
    with translated():
        async with await connect(url) as connection, connection.transaction():
            found = await (
                await connection.execute(statement("bound_waiting"), {"before": before, "most": most})
            ).fetchone()
    assert found is not None
    return int(found["facts"])
