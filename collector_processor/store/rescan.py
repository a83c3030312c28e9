"""Read stored records again, page by page, and mend those in which something is found; then all that stands beside.

A record with a finding, its own or one of its deep samples', is folded of the facts that may stay, quarantined by what
these say, and written down in the audit trail; its samples are mended with it. That is one transaction under its lock.
One that can't be searched is withheld, and doesn't stop the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.errors import StoreError, UnfitError, told
from collector_processor.model.record import BenchmarkDataPoint, GateName, Severity, State, decode_point
from collector_processor.model.stages import Revise
from collector_processor.store.database import Connection, Database
from collector_processor.store.halts import halt, source_of
from collector_processor.store.merge import Held, Merged, carry_over, key_of
from collector_processor.store.points import lock_and_read, write_points
from collector_processor.store.rows import instant
from collector_processor.store.samples import mend_samples, read_contents
from collector_processor.store.statements import statement
from collector_processor.store.sweep import Searcher, sweep

BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
"""Before every record."""
_PAGE: Final = 200
"""Records that are read at once."""
AUTHOR: Final = "privacy scan"


class Violation(NamedTuple):
    """A record in which something was found, or that has texts nobody could read: how much by type."""

    id: UUID
    task_id: str | None
    source: str
    found: Mapping[str, int]
    withheld: Mapping[str, int]


class Unsearched(NamedTuple):
    """A record that could not be searched, and why."""

    id: UUID
    problem: str


class Scanned(NamedTuple):
    """How many records were read, what was found, and how many rows were mended `elsewhere`, by place."""

    records: int
    violations: Sequence[Violation]
    unsearched: Sequence[Unsearched]
    elsewhere: Mapping[str, int]


class Scan:
    """A run through the database.

    Args:
        searcher: what is found, and what it is to become.
        revise: folds and judges.
        halting: halt the source of a record in which something is found, in the same transaction.
    """

    def __init__(self, database: Database, searcher: Searcher, revise: Revise, *, halting: bool = False) -> None:
        self._database = database
        self._searcher = searcher
        self._revise = revise
        self._halting = halting

    async def run(self, since: datetime, limit: int | None = None) -> Scanned:
        """Scan the records from `since` on, the oldest first, `limit` of them at most, and all that stands beside.

        Raises StoreError; what was mended until then stays so.
        """
        read, violations, unsearched = 0, list[Violation](), list[Unsearched]()
        place = (since, UUID(int=0))
        while limit is None or read < limit:
            page = await self._page(place, _PAGE if limit is None else min(_PAGE, limit - read))
            if not page:
                break
            read += len(page)
            place = (page[-1]["timestamp"], page[-1]["id"])
            for row in page:
                match await self._attend(row):
                    case Violation() as violation:
                        violations.append(violation)
                    case Unsearched() as problem:
                        unsearched.append(problem)
        return Scanned(read, violations, unsearched, await sweep(self._database, self._searcher))

    async def _page(self, place: tuple[datetime, UUID], size: int) -> list[dict[str, Any]]:
        async with self._database.writing() as connection:
            asked = {"timestamp": place[0], "id": place[1], "page": size}
            return await (await connection.execute(statement("page_of_records"), asked)).fetchall()

    async def _attend(self, row: dict[str, Any]) -> Violation | Unsearched | None:
        try:
            record = decode_point(row["record"])
            samples = await self._samples(record) if row["sampled"] else {}
            if self._searcher.record(record.facts, record.tenant_id, samples) is None:
                return None
            return await self._mend(row["id"])
        except Exception as error:
            if isinstance(error, StoreError) and error.transient:
                raise
            return await self._withhold(row["id"], told(error))

    async def _samples(self, record: BenchmarkDataPoint) -> dict[str, Any]:
        async with self._database.writing() as connection:
            return await read_contents(connection, record)

    async def _mend(self, id_: UUID) -> Violation | None:
        """Mend a record as it is now, which may be another revision than was read."""
        async with self._database.writing() as connection:
            held = (await lock_and_read(connection, [id_])).get(id_)
            if held is None or held.record is None:
                return None
            record = held.record
            samples = await read_contents(connection, record)
            mended = self._searcher.record(record.facts, record.tenant_id, samples)
            if mended is None:
                return None
            revised = carry_over(record, self._revise(id_, mended.facts, record.revision + 1).point)
            if record.state is State.DISCARDED:
                revised = msgspec.structs.replace(revised, state=record.state)
            await _replace(connection, held, revised)
            await mend_samples(connection, revised, mended.samples)
            counted = Counter(mended.found) + Counter(mended.withheld)
            await _write_down(connection, id_, ", ".join(f"{count} {name}" for name, count in sorted(counted.items())))
            source = source_of(revised.provenance.source)
            if self._halting and mended.found:
                await halt(connection, source, id_, mended.found)
            return Violation(id_, revised.task.id, source, dict(mended.found), dict(mended.withheld))

    async def _withhold(self, id_: UUID, problem: str) -> Unsearched:
        """Let no view but quarantine show a record that can't be searched. Where it can't even be read, by its row."""
        async with self._database.writing() as connection:
            try:
                held = (await lock_and_read(connection, [id_])).get(id_)
            except UnfitError:
                changed = await _withhold_row(connection, id_)
            else:
                changed = held is not None and await self._condemn(connection, held, problem)
            if changed:
                await _write_down(connection, id_, f"can't be searched: {problem}")
        return Unsearched(id_, problem)

    async def _condemn(self, connection: Connection, held: Held, problem: str) -> bool:
        condemned = self._searcher.condemn(held.record, problem) if held.record is not None else None
        if condemned is not None:
            await _replace(connection, held, condemned)
        return condemned is not None


async def _replace(connection: Connection, held: Held, record: BenchmarkDataPoint) -> None:
    merged = Merged(key_of(record, held.spans), record, replaced=instant(record.timestamp))
    await write_points(connection, {record.id: merged}, {record.id: held})


async def _withhold_row(connection: Connection, id_: UUID) -> bool:
    failed = {"id": id_, "gate": GateName.TEXT_WITHHELD.value, "severity": Severity.CRITICAL.value}
    rows = await (await connection.execute(statement("withhold_point"), failed)).fetchall()
    if rows:
        await connection.execute(statement("mark_stale"), {"timestamps": [row["timestamp"] for row in rows]})
    return bool(rows)


async def _write_down(connection: Connection, id_: UUID, reason: str) -> None:
    entry = {"id": id_, "action": "scan", "author": AUTHOR, "reason": reason, "patch": None}
    await connection.execute(statement("write_audit"), entry)


def by_type(violations: Sequence[Violation]) -> dict[str, int]:
    """How much was found, or withheld, in all, by type."""
    total: Counter[str] = Counter()
    for each in violations:
        total.update(each.found)
        total.update(each.withheld)
    return dict(total)
