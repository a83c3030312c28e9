"""What keeps a database quick and no larger than asked: settle statistics of hours that changed, retire old records.

Run every now and then, by any processor or by hand; one maintainer works at a time, and who finds another at work
leaves it to him. A record, its key row and the count of its spans go in one transaction, so that the ledger balances
at every moment. Statistics of records that are gone stay.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from collector_processor.store.database import Connection, translated
from collector_processor.store.migrations import connect
from collector_processor.store.statements import statement
from collector_processor.store.tiers import Lifetimes, Tier, used_tier

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
FOLD_AFTER: Final = 30 * DAY
"""Age at which the ledger's rows become one a day."""

_PAGE: Final = 7 * 24
"""Hours that are settled at once."""


class Retired(NamedTuple):
    """How many records are gone, and how many spans that never found one."""

    records: int = 0
    spans_waiting: int = 0


async def settle(url: str) -> int:
    """Bring statistics and results of gates of stale hours up to date; returns how many hours.

    Doing it again changes nothing. Raises StoreError; what was settled until then stays settled.
    """
    with translated():
        async with await connect(url) as connection:
            return await _settle(connection)


async def retire(url: str, lifetimes: Lifetimes, now: datetime) -> Retired:
    """Let go what is older than its lifetime, after the statistics of it are settled.

    Whole UTC days go at once, and with TimescaleDB whole chunks. Raises StoreError; what is gone until then is gone
    with all that belongs to it, and the next call goes on.
    """
    with translated():
        async with await connect(url) as connection:
            await _settle(connection)
            async with _alone(connection) as alone:
                if not alone:
                    return Retired()
                # Another maintainer may have kept us from settling, and what isn't settled now never will be.
                while await _settle_page(connection) == _PAGE:
                    pass
                return await _retire(connection, lifetimes, now)


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[bool]:
    found = await (await connection.execute(statement("try_maintenance"))).fetchone()
    if found is None or not found["held"]:
        yield False
        return
    try:
        yield True
    finally:
        if not connection.broken:
            await connection.execute(statement("end_maintenance"))


# -- Statistics ------------------------------------------------------------------------------------------------


async def _settle(connection: Connection) -> int:
    settled, page = 0, _PAGE
    while page == _PAGE:
        async with _alone(connection) as alone:
            if not alone:
                break
            page = await _settle_page(connection)
            settled += page
    return settled


async def _settle_page(connection: Connection) -> int:
    """The entries are read first and deleted last: a change in between has an entry that isn't among them."""
    stale = await (await connection.execute(statement("read_stale"), {"page": _PAGE})).fetchall()
    hours: list[datetime] = [row["hour"] for row in stale if row["living"]]
    days = sorted({midnight(hour) for hour in hours})
    community = await used_tier(connection) is Tier.COMMUNITY
    if community:
        for unit, moments, period in (("hourly", hours, HOUR), ("daily", days, DAY)):
            for since, until in ranges(moments, period):
                for subject in ("statistics", "latencies"):
                    asked = {"aggregate": f"benchmark_data.{unit}_{subject}_aggregate", "since": since, "until": until}
                    await connection.execute(statement("refresh_aggregate"), asked)
    async with connection.transaction():
        if hours and not community:
            await connection.execute(statement("settle_hours"), {"hours": hours, "days": days})
        if hours:
            await connection.execute(statement("settle_quality"), {"hours": hours})
        entries = [entry for row in stale for entry in row["entries"]]
        await connection.execute(statement("forget_stale"), {"entries": entries})
        await connection.execute(statement("note_settled"))
    return len(stale)


def ranges(moments: Sequence[datetime], period: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Join neighbours: [1h, 2h, 5h] of an hour each → (1h, 3h), (5h, 6h). `moments` ascend."""
    since: datetime | None = None
    until: datetime | None = None
    for moment in moments:
        if since is not None and until is not None and moment != until:
            yield since, until
            since = None
        since, until = since or moment, moment + period
    if since is not None and until is not None:
        yield since, until


# -- Records ---------------------------------------------------------------------------------------------------


async def _retire(connection: Connection, lifetimes: Lifetimes, now: datetime) -> Retired:
    retired = Retired()
    if lifetimes.retain_records is not None:
        retired = await _retire_records(connection, midnight(now - lifetimes.retain_records))
    async with connection.transaction():
        if lifetimes.retain_statistics is not None:
            before = midnight(now - lifetimes.retain_statistics)
            await connection.execute(statement("expire_statistics"), {"before": before})
        await connection.execute(statement("fold_ledger"), {"before": midnight(now - FOLD_AFTER)})
        await connection.execute(statement("expire_standing"), {"now": now})
        await connection.execute(statement("note_retired"))
    return retired


async def _retire_records(connection: Connection, before: datetime) -> Retired:
    chunks: list[Chunk] = []
    chunked = await used_tier(connection) is not Tier.POSTGRESQL
    if chunked:
        rows = await (await connection.execute(statement("old_chunks"), {"before": before})).fetchall()
        chunks = [Chunk(**row) for row in rows]
        before = outside(before, chunks)
    await connection.execute(statement("advance_horizon"), {"horizon": before})
    records = 0
    if chunked:
        for chunk in chunks:
            if chunk.range_end <= before:
                records += await _drop(connection, chunk)
    else:
        while hour := await _oldest_hour(connection, before):
            records += await _delete(connection, min(hour + HOUR, before))
    async with connection.transaction():
        await connection.execute(statement("begin_retirement"))
        if chunked:
            samples = {"relation": "benchmark_data.deep_samples", "since": None, "before": before}
            await connection.execute(statement("drop_chunks"), samples)
        waiting = await (await connection.execute(statement("expire_waiting"), {"before": before})).fetchone()
    return Retired(records, int(waiting["expired"]) if waiting else 0)


class Chunk(NamedTuple):
    """A chunk of records, named as SQL names it, and the time it is for."""

    chunk: str
    range_start: datetime
    range_end: datetime


def outside(moment: datetime, chunks: Iterable[Chunk]) -> datetime:
    """The last midnight up to that moment which no chunk straddles, as after a change of their interval."""
    while straddled := [each for each in chunks if each.range_start < moment < each.range_end]:
        moment = midnight(straddled[0].range_start)
    return moment


async def _drop(connection: Connection, chunk: Chunk) -> int:
    async with connection.transaction():
        await connection.execute(statement("begin_retirement"))
        await connection.execute(statement("close_chunk"), {"chunk": chunk.chunk})
        # Nothing older: a chunk that came in the meantime, for a task that is late, isn't closed.
        between = {"since": chunk.range_start, "before": chunk.range_end}
        records = await _expire_keys(connection, between)
        await connection.execute(statement("drop_chunks"), {"relation": "benchmark_data.points", **between})
    return records


async def _oldest_hour(connection: Connection, before: datetime) -> datetime | None:
    found = await (await connection.execute(statement("oldest_hour"), {"before": before})).fetchone()
    assert found is not None
    hour: datetime | None = found["hour"]
    return hour


async def _delete(connection: Connection, before: datetime) -> int:
    async with connection.transaction():
        await connection.execute(statement("begin_retirement"))
        records = await _expire_keys(connection, {"since": "-infinity", "before": before})
        await connection.execute(statement("expire_points"), {"before": before})
        await connection.execute(statement("expire_samples"), {"before": before})
    return records


async def _expire_keys(connection: Connection, between: Mapping[str, datetime | str]) -> int:
    found = await (await connection.execute(statement("expire_keys"), between)).fetchone()
    assert found is not None
    return int(found["records"])


def midnight(moment: datetime) -> datetime:
    """The beginning of its UTC day. Chunks of whole days begin there too."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
