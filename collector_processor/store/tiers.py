"""What a database offers beyond PostgreSQL, and how it is put to use: the best there is, without being asked."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from collector_processor.store.database import Connection
from collector_processor.store.statements import script, statement


class Tier(StrEnum):
    """What is used of a database, from least to most."""

    POSTGRESQL = "postgresql"
    APACHE = "timescaledb-apache"
    COMMUNITY = "timescaledb"


class Lifetimes(NamedTuple):
    """How long what is kept in which form; None is for ever, or never. Chunks are TimescaleDB's unit of all of it.

    A week of the 100 MB a day that the strategy allows fits in memory, and half a year is 27 chunks: over 180 of them
    PostgreSQL plans ten times as long as it then runs.
    """

    chunk_interval: timedelta = timedelta(days=7)
    compress_after: timedelta | None = timedelta(days=7)
    retain_records: timedelta | None = timedelta(days=180)
    retain_statistics: timedelta | None = timedelta(days=730)


_SCRIPTS: Final = {
    Tier.POSTGRESQL: (),
    Tier.APACHE: ("hypertables",),
    Tier.COMMUNITY: ("hypertables", "columnstore", "aggregates", "policies"),
}


async def read_tier(connection: Connection) -> Tier:
    """The tier that this database could be. Raises psycopg.Error."""
    found = await (await connection.execute(statement("read_timescaledb"))).fetchone()
    return tier_of(found["license"] if found else None, extension=found is not None)


async def used_tier(connection: Connection) -> Tier:
    """The tier that was put to use: an extension that came since the last migration isn't. Raises psycopg.Error."""
    found = await (await connection.execute(statement("read_tier"))).fetchone()
    assert found is not None, "the row of maintenance is never deleted"
    return Tier(found["tier"])


def tier_of(timescaledb_license: str | None, *, extension: bool) -> Tier:
    """The tier of a database that has the `extension` or not, under a license `apache` or `timescale`."""
    if not extension:
        return Tier.POSTGRESQL
    return Tier.APACHE if timescaledb_license == "apache" else Tier.COMMUNITY


async def adapt(connection: Connection, lifetimes: Lifetimes) -> None:
    """Put to use what the database offers, in the running transaction; doing it again changes nothing.

    Rows of a database that gained the extension move into chunks. Raises psycopg.Error.
    """
    await connection.execute(
        statement("set_lifetimes"),
        {
            "chunk_interval": _interval(lifetimes.chunk_interval),
            "compress_after": _interval(lifetimes.compress_after),
            "retain_statistics": _interval(lifetimes.retain_statistics),
        },
    )
    tier = await read_tier(connection)
    for name in _SCRIPTS[tier]:
        await connection.execute(script(f"timescaledb/{name}"))
    await connection.execute(statement("note_tier"), {"tier": tier})


def _interval(duration: timedelta | None) -> str:
    return "" if duration is None else f"{duration.total_seconds():.0f} seconds"
