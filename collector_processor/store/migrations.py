"""Bring a database to this program's schema: forward only, written down with checksums, safe for two at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from collector_processor.errors import MigrationError, Trouble
from collector_processor.store.database import Connection, translated
from collector_processor.store.faults import describe, trouble_of
from collector_processor.store.statements import Migration, migrations, script, statement
from collector_processor.store.tiers import Lifetimes, adapt

_LOCK_WAIT: Final = "5min"
_DEFAULT_LIFETIMES: Final = Lifetimes()


async def migrate(url: str, lifetimes: Lifetimes = _DEFAULT_LIFETIMES) -> list[str]:
    """Apply what is missing and return its names, oldest first; an up-to-date database gives an empty list.

    Each migration is one transaction under an advisory lock, so a second process waits and then finds it done. What
    TimescaleDB offers is put to use in the last one, and follows `lifetimes`.
    Needs a role that may create schemas in the database, and roles unless `benchmark_writer` and
    `benchmark_reader` exist. Raises MigrationError where the database is newer than this program or its history
    another one, StoreError where it can't be reached.
    """
    applied: list[str] = []
    with translated():
        async with await connect(url) as connection:
            await _make_roles(connection)
            while step := await _take_step(connection, lifetimes):
                applied.append(step)
    return applied


async def connect(url: str) -> Connection:
    """A connection of one's own, for work that is done once. Raises psycopg.Error."""
    connection: AsyncConnection[DictRow] = await AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        application_name="otel-benchmark database",
        connect_timeout=10,
        # Each statement is run once; and an in-process server, which tests have, keeps no prepared ones.
        prepare_threshold=None,
    )
    return connection


def pending(known: Sequence[Migration], done: Sequence[tuple[int, str, str]]) -> Sequence[Migration]:
    """The migrations that a database still needs, given those that it says were done (version, name, checksum).

    Raises MigrationError where the two histories don't agree.
    """
    ours = {migration.version: migration for migration in known}
    newest = max(ours)
    for version, name, checksum in done:
        migration = ours.get(version)
        if migration is None and version > newest:
            raise MigrationError(
                f"the database's schema has version {version} ({name}), this program knows up to {newest}: "
                "upgrade otel-benchmark"
            )
        if migration is None or migration.checksum != checksum:
            raise MigrationError(
                f"migration {version:04} ({name}) was applied to the database with another content than this program "
                "has: use the release that made it, migrations never change"
            )
    reached = max((version for version, _, _ in done), default=0)
    return [migration for migration in known if migration.version > reached]


async def _make_roles(connection: Connection) -> None:
    try:
        await connection.execute(script("roles"))
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError(
            "the role of DATABASE_URL may not create or use the roles benchmark_writer and benchmark_reader: "
            "give it CREATEROLE, or create both as NOLOGIN and grant them to it"
        ) from error


async def _take_step(connection: Connection, lifetimes: Lifetimes) -> str | None:
    """Apply the next migration; None when there is none left, and tier and grants are in place."""
    async with connection.transaction():
        await connection.execute(statement("begin_migration"), {"lock_wait": _LOCK_WAIT})
        await connection.execute(script("ledger"))
        rows = await (await connection.execute(statement("read_migrations"))).fetchall()
        left = pending(migrations(), [(row["version"], row["name"], row["checksum"]) for row in rows])
        if not left:
            await adapt(connection, lifetimes)
            await connection.execute(script("grants"))
            return None
        migration = left[0]
        try:
            await connection.execute(migration.sql)
        except psycopg.Error as error:
            if trouble_of(error) in {Trouble.PASSING, Trouble.SLOW}:
                raise
            raise MigrationError(f"migration {migration.version:04} ({migration.name}): {describe(error)}") from error
        await connection.execute(
            statement("record_migration"),
            {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
        )
        return f"{migration.version:04}_{migration.name}"
