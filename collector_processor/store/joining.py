"""Which point a stray fact belongs to: what it links to, else its stored parent span, else its task id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from collector_processor.model.facts import Anomaly, EvaluationFact
from collector_processor.model.stages import SpanKey, Stray
from collector_processor.model.withheld import tells_apart
from collector_processor.store.contribution import Contribution, decode_fact, fact_ids
from collector_processor.store.database import Connection
from collector_processor.store.rows import instant
from collector_processor.store.statements import statement


async def find_points(
    connection: Connection,
    strays: Sequence[Stray],
    passed: Sequence[Stray],
    contributions: Iterable[Contribution],
    clock_skew: timedelta,
) -> dict[str, UUID]:
    """The points of those strays that have one: fact id → point id.

    `passed` are waiting strays that only may have to do with the points at hand: they are looked up further if these
    points, or a task's id, would have them. `contributions` are of points whose key rows this transaction holds,
    though their records aren't written yet.
    """
    everyone = [*strays, *passed]
    if not everyone:
        return {}
    places = {fact_id: share.id for share in contributions for fact_id in (share.key.hex, *fact_ids(share.facts))}
    by_task = await _by_task(connection, everyone, clock_skew)
    likely = assign(everyone, places, by_task)
    asked = [*strays, *(stray for stray in passed if stray.fact.fact_id in likely)]
    places |= await _by_span(connection, asked, places)
    return assign(asked, places, by_task)


def references(stray: Stray) -> tuple[str, ...]:
    """Fact ids that tell a stray's point, surest first: its own, those it links to, its parent's."""
    links = stray.fact.links if isinstance(stray.fact, EvaluationFact) else ()
    return (stray.fact.fact_id, *links, parent_of(stray))


def assign(strays: Sequence[Stray], places: Mapping[str, UUID], by_task: Mapping[str, UUID]) -> dict[str, UUID]:
    """Choose, given where spans are stored and what task ids mean. A stray goes where its parent goes, if it does."""
    named = {stray.fact.fact_id: stray for stray in strays}
    found: dict[str, UUID | None] = {}
    for stray in strays:
        # Up to a stray whose place is known or hangs on no parent, and down again: chains may be thousands long.
        way: dict[str, UUID | None] = {}
        next_up: Stray | None = stray
        while next_up is not None and (fact_id := next_up.fact.fact_id) not in way and fact_id not in found:
            way[fact_id] = next((places[each] for each in references(next_up) if each in places), None)
            next_up = named.get(parent_of(next_up)) if way[fact_id] is None else None
        above = found.get(next_up.fact.fact_id) if next_up is not None else None
        for fact_id, place in reversed(way.items()):
            above = found[fact_id] = place or above or by_task.get(fact_id)
    return {fact_id: point for fact_id, point in found.items() if point is not None}


def stray_of(row: Mapping[str, str]) -> Stray:
    """A waiting stray from its row. Raises msgspec.DecodeError."""
    fact = decode_fact(row["kind"], row["fact"])
    identity = bytes.fromhex(fact.fact_id)
    return Stray(
        SpanKey(identity[:16], identity[16:]),
        bytes.fromhex(row["parent_id"][32:]),
        fact,
        row["namespace"],
        row["tenant"],
        msgspec.json.decode(row["anomalies"], type=tuple[Anomaly, ...]),
    )


def parent_of(stray: Stray) -> str:
    """Fact id that its parent span has."""
    return stray.fact.trace_id + stray.parent_id.hex()


async def _by_span(connection: Connection, strays: Sequence[Stray], places: Mapping[str, UUID]) -> dict[str, UUID]:
    # A span's own trace: the id of a fact made of an event doesn't begin with it.
    traces = {each: each[:32] for stray in strays for each in references(stray)}
    traces |= {stray.fact.fact_id: stray.fact.trace_id for stray in strays}
    wanted = sorted(traces.keys() - places.keys())
    if not wanted:
        return {}
    rows = await connection.execute(
        statement("points_with_spans"),
        {"trace_ids": sorted({traces[each] for each in wanted}), "fact_ids": wanted},
    )
    return {row["fact_id"]: row["id"] for row in await rows.fetchall()}


async def _by_task(connection: Connection, strays: Sequence[Stray], clock_skew: timedelta) -> dict[str, UUID]:
    named = [stray for stray in strays if stray.fact.task_id is not None and tells_apart(stray.fact.task_id)]
    if not named:
        return {}
    rows = await connection.execute(
        statement("points_of_tasks"),
        {
            "fact_ids": [stray.fact.fact_id for stray in named],
            "task_ids": [stray.fact.task_id for stray in named],
            "namespaces": [stray.namespace for stray in named],
            "tenants": [stray.tenant for stray in named],
            "times": [instant(stray.fact.start) for stray in named],
            "clock_skew": clock_skew,
        },
    )
    return {row["fact_id"]: row["id"] for row in await rows.fetchall()}
