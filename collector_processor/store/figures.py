"""Figures about the whole store: the ledger's sums beside what the tables hold, and the seed's CollectionMetrics."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, NamedTuple

from collector_processor.store.database import Database
from collector_processor.store.statements import statement


class Ledger(NamedTuple):
    """`spans`: what the ledger says was handed over. The others: what it says became of them, moves included."""

    spans: int
    in_points: int
    duplicate: int
    orphaned: int
    discarded: int
    erased: int
    expired: int


class Upkeep(NamedTuple):
    """Hours whose statistics are to be settled, and when maintenance did what it does last."""

    stale_hours: int
    settled_at: datetime | None
    retired_at: datetime | None


class Waiting(NamedTuple):
    """Facts in the database whose task is unknown, evaluations among them, and since when the oldest waits."""

    facts: int
    evaluations: int
    since: datetime | None


class Figures(NamedTuple):
    """Read in one snapshot, taken after `asked_at`, which is a moment of `time.monotonic`.

    `collection` has the names of the seed's CollectionMetrics. `deep_samples` of tasks of the last 24 hours are counted
    by facet and ending.
    """

    ledger: Ledger
    collection: dict[str, Any]
    database_bytes: int
    upkeep: Upkeep
    waiting: Waiting
    deep_samples: dict[str, dict[str, int]]
    asked_at: float


async def read_figures(database: Database) -> Figures:
    """Ask the database. Raises StoreError."""
    async with database.owning() as connection:
        asked_at = time.monotonic()
        found = await (await connection.execute(statement("figures"))).fetchone()
    assert found is not None
    ledger = Ledger(*(int(found.pop(f"ledger_{name}")) for name in Ledger._fields))
    found["complexity_distribution"] = found["complexity_distribution"] or {}
    for name in ("agents_covered", "task_types_covered"):
        found[name] = tuple(found[name] or ())
    database_bytes = found.pop("database_bytes")
    upkeep = Upkeep(*(found.pop(name) for name in Upkeep._fields))
    waiting = Waiting(*(found.pop(f"waiting_{name}") for name in Waiting._fields))
    samples: dict[str, dict[str, int]] = {}
    for facet, ending, count in found.pop("deep_samples"):
        samples.setdefault(facet, {})[ending] = count
    return Figures(ledger, found, database_bytes, upkeep, waiting, samples, asked_at)
