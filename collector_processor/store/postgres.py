"""The store: applies prepared batches to PostgreSQL, exactly once in effect however often they are given.

One transaction a batch. The ledger row comes first, so a batch that was applied is only looked up; what the database
won't take for a reason of its own is found by halving inside savepoints, and refused, while the others are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from collector_processor.errors import UnfitError, told
from collector_processor.model import sampling as learned
from collector_processor.model.stages import Applied, PreparedBatch, Revise, Sampling, Stray
from collector_processor.store import standing
from collector_processor.store.contribution import Contribution, Unite, group, refusal
from collector_processor.store.database import Connection, Database
from collector_processor.store.joining import stray_of
from collector_processor.store.statements import statement
from collector_processor.store.tally import Tally
from collector_processor.store.writing import Rules, Work, move, write

_ONE_TOO_MANY: Final = (
    UnfitError,
    # A value that has no form in PostgreSQL: psycopg tells these as Python's own errors.
    ValueError,
    OverflowError,
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    # TimescaleDB decompresses only so many rows a statement: fewer at a time go through. A single record that is too
    # much must not keep the others waiting until a person has raised the limit.
    psycopg.errors.ConfigurationLimitExceeded,
)
"""Errors that one record causes, or several together. Halving finds it."""

_SWEEP_PAGE: Final = 500
_LISTED: Final = ("refused", "undecodable_spans", "analyses", "sampling")
"""Columns of the ledger that are JSON."""


class PostgresStore:
    """Data points in PostgreSQL.

    Args:
        database: where; its application name belongs to this process alone.
        revise: folds and judges the facts of a point (see `model.stages.Revise`).
        unite: unites two sets of facts.
        clock_skew: how far the clocks of two machines may be apart when a fact looks for its task by id.
        sampling: has deep facets chosen; without it none is kept.
    """

    def __init__(
        self,
        database: Database,
        revise: Revise,
        unite: Unite,
        *,
        clock_skew: timedelta = timedelta(seconds=1),
        sampling: Sampling | None = None,
    ) -> None:
        self._database = database
        self._rules = Rules(revise, unite, clock_skew)
        self._sampling = sampling

    async def apply(self, batch: PreparedBatch) -> Applied:
        """Store a batch and return its ledger row; a batch that was applied before returns the one of that time.

        Raises StoreError where nothing of it was stored; `transient` says whether trying again may help.
        """
        rules, sampling = self._rules, self._sampling
        if sampling is not None:
            rules = replace(rules, choose=sampling.choosing(batch.sampling))
        grouped = group(batch, rules.unite)
        tally = Tally(
            duplicate=grouped.repeated,
            discarded=grouped.speechless,
            undecodable=len(grouped.undecodable),
            refused=list(batch.refused),
        )
        async with self._database.writing() as connection:
            opened = await connection.execute(statement("open_batch"), {"batch_id": batch.id})
            if await opened.fetchone() is None:
                before = await _outcome(connection, batch.id)
                assert before is not None, (
                    "the ledger row that is in the way is committed, and folded only after a month"
                )
                return msgspec.structs.replace(before, undecodable_spans=tuple(grouped.undecodable))
            strays, tally.erased = await standing.refuse(connection, grouped.contributions, grouped.strays)
            tally.add(await self._store(connection, [*grouped.contributions, *strays], rules))
            total = sampling.total(tally.sampling) if sampling is not None else learned.Tally()
            applied = tally.applied(grouped.undecodable, total)
            await _close(connection, batch.id, applied)
        return applied

    async def outcome(self, batch_id: UUID) -> Applied | None:
        """The ledger row of a batch that was applied; None where it was not. Raises StoreError."""
        async with self._database.writing() as connection:
            return await _outcome(connection, batch_id)

    async def join_orphans(self) -> int:
        """Join the waiting strays whose point is known by now; returns how many. Doing it again changes nothing.

        They revise their records without a decision about deep facets: there is no batch that it would belong to.
        """
        joined, after = 0, ""
        while True:
            async with self._database.writing() as connection:
                rows = await connection.execute(statement("waiting_strays"), {"after": after, "page": _SWEEP_PAGE})
                page = await rows.fetchall()
                if not page:
                    return joined
                after = page[-1]["fact_id"]
                joined += await self._join(connection, [stray_of(row) for row in page])

    async def _store(self, connection: Connection, items: Sequence[Contribution | Stray], rules: Rules) -> Tally:
        """Store what can be stored; the rest is in the tally's `refused`."""
        if not items:
            return Tally()
        work = Work(
            [item for item in items if isinstance(item, Contribution)],
            [item for item in items if isinstance(item, Stray)],
        )
        try:
            async with connection.transaction():
                tally, moved = await write(connection, work, rules)
                if moved.joined:
                    await move(connection, "join", moved)
                    tally.joined = moved.joined
                return tally
        except _ONE_TOO_MANY as error:
            if len(items) == 1:
                return Tally(refused=[refusal(items[0], _reason(error))])
        middle = len(items) // 2
        tally = await self._store(connection, items[:middle], rules)
        tally.add(await self._store(connection, items[middle:], rules))
        return tally

    async def _join(self, connection: Connection, strays: Sequence[Stray]) -> int:
        """Join what can be joined; a stray that its record can't take goes on waiting."""
        try:
            async with connection.transaction():
                tally, moved = await write(connection, Work(waiting=strays), self._rules)
                moved.revised = tally.revised
                if moved.joined:
                    await move(connection, "join", moved)
                return moved.joined
        except _ONE_TOO_MANY:
            if len(strays) == 1:
                return 0
        middle = len(strays) // 2
        return await self._join(connection, strays[:middle]) + await self._join(connection, strays[middle:])


def _reason(error: Exception) -> str:
    """Why one record is refused. The server's own words may quote a value: its name for the error does not."""
    return f"{told(error)} ({error.sqlstate})" if isinstance(error, psycopg.Error) and error.sqlstate else told(error)


async def _outcome(connection: Connection, batch_id: UUID) -> Applied | None:
    row = await (await connection.execute(statement("outcome"), {"batch_id": batch_id})).fetchone()
    if row is None:
        return None
    listed = {name: msgspec.json.decode(row.pop(name)) for name in _LISTED}
    return msgspec.convert({**row, **listed}, Applied)


async def _close(connection: Connection, batch_id: UUID, applied: Applied) -> None:
    # Raw spans may hold anything, so they stay in the journal.
    named = tuple([(trace_id, span_id, b"", reason) for trace_id, span_id, _, reason in applied.undecodable_spans])
    row = msgspec.structs.asdict(msgspec.structs.replace(applied, undecodable_spans=named))
    listed = {name: msgspec.json.encode(row[name]).decode() for name in _LISTED}
    await connection.execute(statement("close_batch"), {"batch_id": batch_id, **row, **listed})
