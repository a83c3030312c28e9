"""What a database is: its version and edition, what of it is in use, and what it lacks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from collector_processor.store.database import Connection, translated
from collector_processor.store.migrations import connect
from collector_processor.store.statements import migrations, statement
from collector_processor.store.tiers import Tier, tier_of

ROLES: Final = ("benchmark_writer", "benchmark_reader")

_MORE: Final = {
    Tier.POSTGRESQL: "chunks that are dropped whole, columnar compression and continuous aggregates: install the "
    "TimescaleDB extension in this database (CREATE EXTENSION timescaledb), then run `otel-benchmark database migrate`",
    Tier.APACHE: "columnar compression and continuous aggregates: this TimescaleDB runs under its Apache license; with "
    "the Community edition set timescaledb.license = 'timescale', then run `otel-benchmark database migrate`",
    Tier.COMMUNITY: None,
}


class DatabaseCheck(NamedTuple):
    """What `database check` says.

    `tier` is what is used: `postgresql`, `timescaledb-apache` or `timescaledb`; `in_use` tells, in words, what of it.
    `schema_version` is 0 before the first migration, `known_version` what this program brings. `missing` says what is
    left to do; empty is good. `beyond` says what a higher tier would give, and how to get it; None on the highest.
    """

    tier: str
    server_version: str
    extensions: dict[str, str]
    schema_version: int
    known_version: int
    compression: str
    in_use: dict[str, str]
    missing: tuple[str, ...]
    beyond: str | None


async def check(url: str) -> DatabaseCheck:
    """Look, and change nothing. Raises StoreError where the database can't be reached."""
    with translated():
        async with await connect(url) as connection:
            row = await _one(connection, "inspect", {"roles": list(ROLES)})
            tier = tier_of(row["timescaledb_license"], extension="timescaledb" in row["extensions"])
            reached = 0
            if row["has_ledger"]:
                done = await (await connection.execute(statement("read_migrations"))).fetchall()
                reached = max((migration["version"] for migration in done), default=0)
            known = migrations()[-1].version
            in_use = await _in_use(connection, tier) if reached == known else {}
    missing = [f"role {role}: run `otel-benchmark database migrate`" for role in row["roles_missing"]]
    if reached < known:
        missing.append(f"schema version {known} (it has {reached}): run `otel-benchmark database migrate`")
    if reached > known:
        missing.append(f"a release of otel-benchmark that knows schema version {reached}: this one knows {known}")
    missing += [f"{words}: run `otel-benchmark database migrate`" for words in _unused(tier, in_use)]
    return DatabaseCheck(
        tier=tier,
        server_version=row["server_version"],
        extensions=row["extensions"],
        schema_version=reached,
        known_version=known,
        compression="lz4" if row["has_lz4"] else "none (lz4 is not compiled into this server)",
        in_use=in_use,
        missing=tuple(missing),
        beyond=_MORE[tier],
    )


async def _one(connection: Connection, name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    row = await (await connection.execute(statement(name), parameters)).fetchone()
    assert row is not None, f"{name} always gives a row"
    return row


async def _in_use(connection: Connection, tier: Tier) -> dict[str, str]:
    upkeep = await _one(connection, "inspect_upkeep")
    found: dict[str, str] = {}
    if tier is not Tier.POSTGRESQL:
        for table in await (await connection.execute(statement("inspect_chunks"))).fetchall():
            columnstore = f", columnstore on: {table['compressed']} compressed" if table["columnstore"] else ""
            found[f"hypertable {table['name']}"] = f"chunks of {table['interval']}: {table['chunks']}{columnstore}"
    if tier is Tier.COMMUNITY:
        community = await _one(connection, "inspect_aggregates")
        if community["aggregates"]:
            found["continuous aggregates"] = ", ".join(community["aggregates"])
        for kind, words in (community["policies"] or {}).items():
            found[kind.replace("_", " ")] = words
    found["statistics"] = f"{upkeep['stale_hours']} hours to settle, settled last {_moment(upkeep['settled_at'])}"
    found["records"] = (
        f"kept from {_moment(upkeep['horizon'], 'the first')} on, old ones looked for last "
        f"{_moment(upkeep['retired_at'])}"
    )
    return found


def _moment(time: datetime | None, otherwise: str = "never") -> str:
    return otherwise if time is None else f"{time:%Y-%m-%d %H:%M:%S%z}"


def _unused(tier: Tier, in_use: dict[str, str]) -> list[str]:
    """What the tier has and a migrated database doesn't use, as when the extension came later."""
    if not in_use or tier is Tier.POSTGRESQL:
        return []
    unused = [] if "hypertable points" in in_use else ["hypertables"]
    if tier is Tier.COMMUNITY and "continuous aggregates" not in in_use:
        unused.append("columnstore and continuous aggregates")
    return unused
