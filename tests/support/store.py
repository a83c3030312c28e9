"""A store on a database of a test's own, and what always holds for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from collector_processor.convert.union import unite
from collector_processor.model.record import point_id
from collector_processor.model.stages import Applied
from collector_processor.store.database import Database
from collector_processor.store.postgres import PostgresStore
from collector_processor.store.tiers import Lifetimes
from support.facts import revise

DAILY = Lifetimes(chunk_interval=timedelta(days=1))
"""Chunks of a day, so that a few days of records lie in several."""

Rows = Callable[..., list[dict[str, Any]]]
"""(query, parameters) → rows, asked as the database's owner."""


@asynccontextmanager
async def opened(
    url: str, *, name: str = "test worker", prepare_threshold: int | None = 5, **rules: Any
) -> AsyncIterator[PostgresStore]:
    """A store of one connection, with the project's own fold, gates and union unless others are given."""
    async with Database(url, application_name=name, prepare_threshold=prepare_threshold) as database:
        await database.terminate_others()
        yield PostgresStore(database, **{"revise": revise, "unite": unite} | rules)


async def execute(store: PostgresStore, statement: str, *parameters: Any) -> None:
    """Run a statement as the database's owner."""
    async with store._database.owning() as connection:
        await connection.execute(statement.encode(), parameters)


def counts(applied: Applied) -> dict[str, int]:
    """The counts that aren't zero."""
    named = {name: getattr(applied, name) for name in applied.__struct_fields__}
    return {name: value for name, value in named.items() if isinstance(value, int) and value}


def id_of(trace: int = 1, span: int = 1) -> UUID:
    """Id of the point of a task span."""
    return point_id(trace.to_bytes(16, "big"), span.to_bytes(8, "big"))


def assert_balanced(rows: Rows) -> None:
    """The ledger's sums are what the tables hold."""
    [ledger] = rows("SELECT sum(in_points) AS in_points, sum(orphaned) AS orphaned FROM benchmark_data.batches")
    [held] = rows(
        "SELECT (SELECT coalesce(sum(spans), 0) FROM benchmark_data.point_keys"
        " WHERE state NOT IN ('discarded', 'erased')) AS in_points,"
        " (SELECT coalesce(sum(spans), 0) FROM benchmark_data.strays WHERE id IS NULL) AS orphaned"
    )
    assert ledger == held
