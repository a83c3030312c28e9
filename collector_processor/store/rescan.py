"""Read stored records and waiting strays again, page by page, and mend those in which something is found.

What is found decides the caller's `look`; it gives facts as they may stay. A record with a finding is folded of these,
quarantined and written down in the audit trail, in one transaction under its lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.model.facts import Facts
from collector_processor.model.record import BenchmarkDataPoint, State, decode_point
from collector_processor.model.stages import Revise
from collector_processor.store.contribution import each_fact, facts_of
from collector_processor.store.database import Connection, Database
from collector_processor.store.halts import UNKNOWN, halt
from collector_processor.store.joining import stray_of
from collector_processor.store.merge import Merged, carry_over, key_of
from collector_processor.store.points import lock_and_read, write_points
from collector_processor.store.rows import instant
from collector_processor.store.statements import statement

_PAGE: Final = 200
"""Records that are read at once."""
AUTHOR: Final = "privacy scan"


class Mended(NamedTuple):
    """Facts without what was found; `found` counts it by type (`EMAIL`), `condemn` withholds the record."""

    facts: Facts
    found: dict[str, int]
    condemn: Callable[[BenchmarkDataPoint], BenchmarkDataPoint]


Look = Callable[[Facts, str | None], Mended | None]
"""(facts, tenant) → what is to become of them; None where they are clean."""
Rename = Callable[[str], str]
"""A namespace as it may stay."""


class Violation(NamedTuple):
    """A record in which something was found, and how much by type."""

    id: UUID
    task_id: str | None
    source: str
    found: dict[str, int]


class Scanned(NamedTuple):
    """How much was read, and what was found. `strays` of those that wait were mended."""

    records: int
    violations: Sequence[Violation]
    strays: int


async def rescan(
    database: Database,
    look: Look,
    rename: Rename,
    revise: Revise,
    *,
    since: datetime,
    limit: int | None,
    halting: bool = False,
) -> Scanned:
    """Scan the records from `since` on, the oldest first, `limit` of them at most, and all strays that wait.

    With `halting`, the source of a record in which something is found is halted in the same transaction.
    Raises StoreError; what was mended until then stays so.
    """
    read, violations = 0, []
    place = (since, UUID(int=0))
    while limit is None or read < limit:
        page = await _page(database, place, _PAGE if limit is None else min(_PAGE, limit - read))
        if not page:
            break
        read += len(page)
        place = (page[-1]["timestamp"], page[-1]["id"])
        for row in page:
            record = decode_point(row["record"])
            if look(record.facts, record.tenant_id) is not None:
                found = await _mend(database, row["id"], look, revise, halting=halting)
                violations += [found] if found else []
    return Scanned(read, violations, await _mend_strays(database, look, rename))


async def _page(database: Database, place: tuple[datetime, UUID], size: int) -> list[dict[str, Any]]:
    async with database.writing() as connection:
        asked = {"timestamp": place[0], "id": place[1], "page": size}
        return await (await connection.execute(statement("page_of_records"), asked)).fetchall()


async def _mend(database: Database, id_: UUID, look: Look, revise: Revise, *, halting: bool) -> Violation | None:
    """Mend a record as it is now, which may be another revision than was read."""
    async with database.writing() as connection:
        held = (await lock_and_read(connection, [id_])).get(id_)
        if held is None or held.record is None:
            return None
        record = held.record
        mended = look(record.facts, record.tenant_id)
        if mended is None:
            return None
        revised = carry_over(record, mended.condemn(revise(id_, mended.facts, record.revision + 1).point))
        if record.state is State.DISCARDED:
            revised = msgspec.structs.replace(revised, state=record.state)
        merged = Merged(key_of(revised, held.spans), revised, replaced=instant(record.timestamp))
        await write_points(connection, {id_: merged}, {id_: held})
        reason = ", ".join(f"{count} {name}" for name, count in sorted(mended.found.items()))
        entry = {"id": id_, "action": "scan", "author": AUTHOR, "reason": reason, "patch": None}
        await connection.execute(statement("write_audit"), entry)
        source = revised.provenance.source
        named = "/".join(filter(None, (source.service_namespace, source.service_name)))
        if halting:
            await halt(connection, named or UNKNOWN, id_, mended.found)
        return Violation(id_, revised.task.id, named or UNKNOWN, mended.found)


async def _mend_strays(database: Database, look: Look, rename: Rename) -> int:
    mended, after = 0, ""
    while True:
        async with database.writing() as connection:
            asked = {"after": after, "page": _PAGE}
            page = await (await connection.execute(statement("page_of_strays"), asked)).fetchall()
            if not page:
                return mended
            after = page[-1]["fact_id"]
            for row in page:
                mended += await _mend_stray(connection, row, look, rename)


async def _mend_stray(connection: Connection, row: dict[str, Any], look: Look, rename: Rename) -> int:
    stray = stray_of(row)
    facts = msgspec.structs.replace(facts_of([stray.fact]), anomalies=stray.anomalies)
    found = look(facts, stray.tenant)
    namespace = rename(stray.namespace) if stray.namespace else stray.namespace
    if found is None and namespace == stray.namespace:
        return 0
    if found is not None:
        facts = found.facts
    (fact,) = each_fact(facts)
    await connection.execute(
        statement("mend_stray"),
        {
            "fact_id": row["fact_id"],
            "fact": msgspec.json.encode(fact).decode(),
            "task_id": fact.task_id,  # type: ignore[attr-defined]  # strays are lifecycle facts, which name their task
            "namespace": namespace,
            "anomalies": msgspec.json.encode(facts.anomalies).decode(),
        },
    )
    return 1


def by_type(violations: Sequence[Violation]) -> dict[str, int]:
    """How much was found in all, by type."""
    total: Counter[str] = Counter()
    for each in violations:
        total.update(each.found)
    return dict(total)


BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
"""Before every record."""
