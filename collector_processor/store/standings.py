"""How stored records stand, for those that forward their tasks' spans."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from collector_processor.model.stages import Standing
from collector_processor.store.database import Database
from collector_processor.store.statements import statement


class Standings(NamedTuple):
    """By the point's id, and by the fact id of stray spans that have joined a point. Who isn't there has no record."""

    of_points: dict[UUID, Standing]
    of_strays: dict[str, Standing]


async def read_standings(database: Database, ids: Collection[UUID], fact_ids: Collection[str] = ()) -> Standings:
    """Ask how points stand, and those that strays have joined. Raises StoreError."""
    async with database.owning() as connection:
        parameters = {"ids": list(ids), "fact_ids": list(fact_ids)}
        rows = await (await connection.execute(statement("standings"), parameters)).fetchall()
    standings = Standings({}, {})
    for row in rows:
        fact_id = row.pop("fact_id")
        standing = Standing(**row | {"gates_failed": tuple(row["gates_failed"])})
        if fact_id is None:
            standings.of_points[standing.id] = standing
        else:
            standings.of_strays[fact_id] = standing
    return standings


async def erased_traces(database: Database, trace_ids: Collection[bytes]) -> frozenset[bytes]:
    """Those of which something was erased. Raises StoreError."""
    async with database.owning() as connection:
        rows = await connection.execute(statement("erased_traces"), {"trace_ids": list(trace_ids)})
        return frozenset([row["trace_id"] for row in await rows.fetchall()])
