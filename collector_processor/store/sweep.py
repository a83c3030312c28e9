"""Read again what stands in the database beside records, page by page, and mend that in which something is found.

A page is a transaction that locks its rows, so that nobody erases or joins them meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from collector_processor.model.facts import Facts
from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.stages import Mended
from collector_processor.store.contribution import each_fact, facts_of
from collector_processor.store.database import Connection, Database
from collector_processor.store.joining import stray_of
from collector_processor.store.places import PLACES, Place
from collector_processor.store.statements import statement
from otel_benchmark import attributes as a

_PAGE: Final = 200
"""Rows that are read at once."""

_Row = dict[str, Any]


class Searcher(Protocol):
    """What looks at stored texts by the rules of today. `tenant` is a hash."""

    def record(self, facts: Facts, tenant: str | None, samples: Mapping[str, Any] = ...) -> Mended | None:
        """What is to become of a record's facts and of the contents of its deep samples, by facet.

        None where nothing is wrong. Raises where they can't be searched.
        """

    def facts(self, facts: Facts, tenant: str | None) -> Mended | None:
        """The same for facts that wait for their record; what can't be searched is withheld."""

    def texts(self, texts: Sequence[tuple[str, str]], tenant: str | None) -> list[str] | None:
        """What is to become of texts, each after its name; None where nothing is wrong."""

    def condemn(self, record: BenchmarkDataPoint, problem: str) -> BenchmarkDataPoint | None:
        """A record that can't be searched as one that is withheld; None where it is already."""


async def sweep(database: Database, searcher: Searcher) -> dict[str, int]:
    """Mend everything but records and their deep samples.

    Returns how many rows were mended, by place. Raises StoreError; what was mended until then stays so.
    """
    mended: Counter[str] = Counter()
    await _each(database, _STRAYS, searcher, mended)
    await _each(database, _AWAITED, searcher, mended)
    for place in PLACES:
        mended[place.name] = await _sweep(database, place, searcher)
    return {name: count for name, count in mended.items() if count}


# -- Facts that wait -------------------------------------------------------------------------------------------


class _Waiting(NamedTuple):
    """Rows of facts: how they are read, by which key, and mended."""

    name: str
    page: str
    key: str
    begin: str | UUID
    mend: Callable[[Connection, _Row, Searcher], Awaitable[bool]]


async def _each(database: Database, waiting: _Waiting, searcher: Searcher, mended: Counter[str]) -> None:
    after = waiting.begin
    while True:
        async with database.writing() as connection:
            asked = {"after": after, "page": _PAGE}
            rows = await (await connection.execute(statement(waiting.page), asked)).fetchall()
            if not rows:
                return
            after = rows[-1][waiting.key]
            for row in rows:
                try:
                    mended[waiting.name] += await waiting.mend(connection, row, searcher)
                except msgspec.DecodeError:
                    mended[f"{waiting.name} that can't be read"] += 1


async def _mend_stray(connection: Connection, row: _Row, searcher: Searcher) -> bool:
    stray = stray_of(row)
    known = msgspec.structs.replace(facts_of([stray.fact]), anomalies=stray.anomalies)
    found = searcher.facts(known, stray.tenant)
    namespace = searcher.texts([(a.SERVICE_NAMESPACE, stray.namespace)], None) if stray.namespace else None
    if found is None and namespace is None:
        return False
    facts = found.facts if found else known
    (fact,) = each_fact(facts)
    await connection.execute(
        statement("mend_stray"),
        {
            "fact_id": row["fact_id"],
            "fact": msgspec.json.encode(fact).decode(),
            "task_id": fact.task_id,  # type: ignore[attr-defined]  # strays are lifecycle facts, which name their task
            "namespace": namespace[0] if namespace else stray.namespace,
            "anomalies": msgspec.json.encode(facts.anomalies).decode(),
        },
    )
    return True


async def _mend_awaited(connection: Connection, row: _Row, searcher: Searcher) -> bool:
    found = searcher.facts(msgspec.json.decode(row["facts"], type=Facts), row["tenant"])
    if found is not None:
        kept = {"ids": [row["id"]], "facts": [msgspec.json.encode(found.facts).decode()]}
        await connection.execute(statement("keep_awaited"), kept)
    return found is not None


_STRAYS: Final = _Waiting("waiting spans", "page_of_strays", "fact_id", "", _mend_stray)
_AWAITED: Final = _Waiting("awaited facts", "page_of_awaited", "id", UUID(int=0), _mend_awaited)


# -- Texts -----------------------------------------------------------------------------------------------------


async def _sweep(database: Database, place: Place, searcher: Searcher) -> int:
    mended, key = 0, {**place.begin}
    while True:
        # Reasons and statistics are not for the role that stores.
        async with database.owning() as connection:
            asked = {**key, "page": _PAGE}
            rows = await (await connection.execute(statement(place.page), asked)).fetchall()
            if not rows:
                return mended
            for row in rows:
                key |= {name: row[name] for name in key if name in row}
                texts = _mended(place, row["texts"], searcher, row["tenant"])
                if texts is not None:
                    await connection.execute(statement(place.mend), {**key, "texts": texts})
                    mended += 1


def _mended(
    place: Place, texts: Sequence[str | None], searcher: Searcher, tenant: str | None
) -> list[str | None] | None:
    """A row's texts as they may stay, documents that were withheld as None; None where nothing is wrong."""
    names = chain(place.said_as, repeat(place.said_as[-1]))
    said = [(name, text) for name, text in zip(names, texts, strict=False) if text is not None]
    found = searcher.texts(said, tenant) if said else None
    if found is None:
        return None
    values = iter(found)
    mended = [None if text is None else next(values) for text in texts]
    return [
        None if number in place.documents and value is not None and not _is_json(value) else value
        for number, value in enumerate(mended)
    ]


def _is_json(value: str) -> bool:
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError:
        return False
    return True
