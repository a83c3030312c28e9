"""What a database is: its version and edition, what of it is in use, and what it lacks."""

from __future__ import annotations

from typing import Final, NamedTuple

from collector_processor.store.database import translated
from collector_processor.store.migrations import connect
from collector_processor.store.statements import migrations, statement
from collector_processor.store.tiers import tier_of

ROLES: Final = ("benchmark_writer", "benchmark_reader")


class DatabaseCheck(NamedTuple):
    """What `database check` says.

    `tier` is what is used: `postgresql`, `timescaledb-apache` or `timescaledb`. `schema_version` is 0 before the first
    migration, `known_version` what this program brings. `missing` says in words what is left to do; empty is good.
    """

    tier: str
    server_version: str
    extensions: dict[str, str]
    schema_version: int
    known_version: int
    compression: str
    missing: tuple[str, ...]


async def check(url: str) -> DatabaseCheck:
    """Look, and change nothing. Raises StoreError where the database can't be reached."""
    with translated():
        async with await connect(url) as connection:
            row = await (await connection.execute(statement("inspect"), {"roles": list(ROLES)})).fetchone()
            assert row is not None
            reached = 0
            if row["has_ledger"]:
                done = await (await connection.execute(statement("read_migrations"))).fetchall()
                reached = max((migration["version"] for migration in done), default=0)
    known = migrations()[-1].version
    extensions: dict[str, str] = row["extensions"]
    missing = [f"role {role}: run `otel-benchmark database migrate`" for role in row["roles_missing"]]
    if reached < known:
        missing.append(f"schema version {known} (it has {reached}): run `otel-benchmark database migrate`")
    if reached > known:
        missing.append(f"a release of otel-benchmark that knows schema version {reached}: this one knows {known}")
    return DatabaseCheck(
        tier=tier_of(row["timescaledb_license"], extension="timescaledb" in extensions),
        server_version=row["server_version"],
        extensions=extensions,
        schema_version=reached,
        known_version=known,
        compression="lz4" if row["has_lz4"] else "none (lz4 is not compiled into this server)",
        missing=tuple(missing),
    )
