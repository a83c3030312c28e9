"""Sources that are halted: after a privacy violation nothing more of them is stored until a person resumes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from collector_processor.errors import StoreError
from collector_processor.model.facts import Source
from collector_processor.store.database import Connection, Database
from collector_processor.store.statements import statement

UNKNOWN = "unknown"
"""The source of who doesn't say its service's name."""


class Halt(NamedTuple):
    """A halted source (`namespace/name` of its service), and the first record in which something was `found`."""

    source: str
    since: datetime
    id: UUID
    found: str


def source_of(source: Source) -> str:
    """What a service is called where it is halted."""
    return "/".join(filter(None, (source.service_namespace, source.service_name))) or UNKNOWN


async def halt(connection: Connection, source: str, id_: UUID, found: Mapping[str, int]) -> None:
    """Halt a source in the running transaction; one that is halted stays so, for its first reason."""
    told = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    await connection.execute(statement("halt_source"), {"source": source, "id": id_, "found": told})


async def halted(database: Database) -> list[Halt]:
    """All of them. Raises StoreError."""
    async with database.writing() as connection:
        rows = await connection.execute(statement("halted_sources"))
        return [Halt(**row) for row in await rows.fetchall()]


async def resume(database: Database, source: str, *, author: str, reason: str) -> None:
    """Let a source's tasks be stored again; it stands in the trail of the record. Raises StoreError where none is."""
    async with database.writing() as connection:
        row = await (await connection.execute(statement("resume_source"), {"source": source})).fetchone()
        if row is None:
            raise StoreError(f"{source!r} is not halted: `otel-benchmark privacy status` lists what is")
        entry = {"id": row["id"], "action": "resume", "author": author, "reason": reason, "patch": None}
        await connection.execute(statement("write_audit"), entry)
