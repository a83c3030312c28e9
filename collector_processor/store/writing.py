"""The one write path: lock the key rows, unite the facts, fold, write.

Locks are taken in one order (strays, then key rows that are new by id, then those that exist by id), so that two
writers don't wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.errors import StoreError, UnfitError, told
from collector_processor.model.stages import Choose, Revise, SpanKey, Stray
from collector_processor.model.withheld import tells_apart
from collector_processor.store.contribution import (
    Contribution,
    Unite,
    each_fact,
    kind_of,
    refusal,
    span_ids,
    weight,
    without,
)
from collector_processor.store.database import Connection
from collector_processor.store.joining import find_points, parent_of, stray_of
from collector_processor.store.merge import Brought, Held, Merged, merge
from collector_processor.store.points import insert_keys, lock_and_read, mark_stale, write_new, write_points
from collector_processor.store.rows import instant
from collector_processor.store.statements import statement
from collector_processor.store.tally import Tally

_PAGE: Final = 250
"""New points whose key rows are inserted in one statement, and whose records are copied in one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How facts become records: `revise` folds and judges, `unite` joins, clocks may differ by `clock_skew`.

    `choose` decides which deep facets are kept.
    """

    revise: Revise
    unite: Unite
    clock_skew: timedelta
    choose: Choose | None = None

    def merge(self, id_: UUID, key: SpanKey, held: Held | None, brought: Brought) -> Merged:
        """Merge. Whatever goes wrong is told as UnfitError: one record's fault must not stop the others."""
        try:
            return merge((id_, key), held, brought, self.revise, self.unite, choose=self.choose)
        except Exception as error:
            raise UnfitError(told(error)) from error


class Work(NamedTuple):
    """What is stored together: shares in order of id, strays that arrive, strays that have waited in the database."""

    shares: Sequence[Contribution] = ()
    arriving: Sequence[Stray] = ()
    waiting: Sequence[Stray] = ()


class First(NamedTuple):
    """A batch's share of a point, and what is to be written if nobody has that point yet."""

    share: Contribution
    merged: Merged


async def write(connection: Connection, work: Work, rules: Rules) -> tuple[Tally, Tally]:
    """Store it in the running transaction; counts what came, and what was moved from waiting to a point.

    Shares that make no record are in the first one's `refused`.
    Raises UnfitError, psycopg.Error or a transient StoreError; the caller's savepoint undoes what was written until
    then.
    """
    fresh = await _insert_strays(connection, work.arriving)
    arriving = [stray for stray in work.arriving if stray.fact.fact_id in fresh]
    related, elsewhere = await _related_strays(connection, work.shares)
    passed = [stray for stray in related if stray.fact.fact_id not in fresh]
    strays, waiting = [*arriving, *work.waiting], [*work.waiting, *passed]

    tally = Tally(duplicate=_weight(work.arriving) - _weight(arriving))
    folding = _fold((_leave_given_away(share, elsewhere) for share in work.shares), rules, tally)
    new: dict[UUID, Merged] = {}
    if strays or passed:
        # A stray may belong to any point of the batch, so all of them have to stand first.
        firsts = list(folding)
        new = await _insert_new(connection, firsts)
    else:
        firsts = await _write_first(connection, folding, tally)
    shares = {first.share.id: first.share for first in firsts}
    places = await find_points(connection, strays, passed, shares.values(), rules.clock_skew)
    brought = _sort(shares, arriving, waiting, places)
    held = await lock_and_read(connection, sorted(brought.keys() - new.keys()))
    if brought.keys() - new.keys() - held.keys():
        # Key rows that were there a moment ago: whoever tries again begins these records anew.
        raise StoreError("records were retired while they were written to", transient=True)
    merges: dict[UUID, Merged] = {}
    for id_, brings in brought.items():
        if id_ in new and brings == Brought(shares[id_]):
            merges[id_] = new[id_]
        else:
            before = held.get(id_)
            merges[id_] = rules.merge(id_, before.key if before else shares[id_].key, before, brings)
    await write_points(connection, merges, held, {id_: merged.key for id_, merged in new.items()})
    await _join(connection, places)

    tally.orphaned = _weight(stray for stray in arriving if stray.fact.fact_id not in places)
    joined = [stray for stray in waiting if stray.fact.fact_id in places]
    moved = Tally(orphaned=-_weight(joined), joined=len(joined))
    tally.add(*(merged.tally for merged in merges.values()))
    moved.add(*(merged.moved for merged in merges.values()))
    return tally, moved


async def _write_first(connection: Connection, folding: Iterator[First], tally: Tally) -> list[First]:
    """Write the points that nobody has yet, page by page, and return the others.

    Folding is most of the work: the next page is folded while the server writes this one.
    """
    existing: list[First] = []
    ahead: list[First] = []
    times: list[str] = []
    while page := [*ahead, *islice(folding, _PAGE - len(ahead))]:
        new = await _insert_new(connection, page)
        existing += [first for first in page if first.share.id not in new]
        ahead.clear()
        times += await write_new(connection, new, lambda sent: ahead.extend(islice(folding, sent)))
        tally.add(*(merged.tally for merged in new.values()))
    await mark_stale(connection, times)
    return existing


async def _insert_new(connection: Connection, firsts: Sequence[First]) -> dict[UUID, Merged]:
    """Insert the key rows of points that nobody has yet; returns what is to be written of these."""
    ids = await insert_keys(connection, [first.merged.key for first in firsts if first.merged.key])
    return {first.share.id: first.merged for first in firsts if first.share.id in ids}


def _fold(shares: Iterable[Contribution], rules: Rules, tally: Tally) -> Iterator[First]:
    """Fold as the first of their points; what can't be folded is refused."""
    for share in shares:
        try:
            merged = rules.merge(share.id, share.key, None, Brought(share))
        except UnfitError as error:
            tally.refused.append(refusal(share, str(error)))
        else:
            yield First(share, merged)


def _sort(
    shares: Mapping[UUID, Contribution], arriving: Iterable[Stray], waiting: Iterable[Stray], places: Mapping[str, UUID]
) -> dict[UUID, Brought]:
    """What comes to each point."""
    brought = {id_: Brought(share) for id_, share in shares.items()}
    for strays, waits in ((arriving, False), (waiting, True)):
        for stray in strays:
            id_ = places.get(stray.fact.fact_id)
            if id_ is not None:
                brought[id_] = brought.get(id_, Brought()).plus(stray, waits=waits)
    return brought


def _leave_given_away(share: Contribution, elsewhere: Mapping[str, UUID]) -> Contribution:
    """Without the facts that another point got when their task was unknown: they stay there."""
    if not elsewhere:
        return share
    gone = frozenset(
        fact.fact_id for fact in each_fact(share.facts) if elsewhere.get(fact.fact_id, share.id) != share.id
    )
    if not gone:
        return share
    spans = len(span_ids(share.facts) & gone)
    return share._replace(facts=without(share.facts, gone), repeated=share.repeated + spans)


def _weight(strays: Iterable[Stray]) -> int:
    return sum(weight(stray.fact) for stray in strays)


# -- Statements ------------------------------------------------------------------------------------


async def _insert_strays(connection: Connection, strays: Sequence[Stray]) -> frozenset[str]:
    if not strays:
        return frozenset()
    rows = await connection.execute(
        statement("insert_strays"),
        {
            "fact_id": [stray.fact.fact_id for stray in strays],
            "trace_id": [bytes.fromhex(stray.fact.trace_id) for stray in strays],
            "span_id": [bytes.fromhex(stray.fact.span_id) for stray in strays],
            "parent_id": [parent_of(stray) for stray in strays],
            "timestamp": [instant(stray.fact.start) for stray in strays],
            "kind": [kind_of(stray.fact) for stray in strays],
            "task_id": [stray.fact.task_id for stray in strays],
            "namespace": [stray.namespace for stray in strays],
            "tenant": [stray.tenant for stray in strays],
            "spans": [weight(stray.fact) for stray in strays],
            "fact": [msgspec.json.encode(stray.fact).decode() for stray in strays],
            "anomalies": [msgspec.json.encode(stray.anomalies).decode() for stray in strays],
        },
    )
    return frozenset(each["fact_id"] for each in await rows.fetchall())


async def _related_strays(
    connection: Connection, shares: Sequence[Contribution]
) -> tuple[list[Stray], dict[str, UUID]]:
    """Strays that wait for points like these, and the points that others of their traces went to."""
    if not shares:
        return [], {}
    named = {share.facts.task.task_id for share in shares if share.facts.task} - {None}
    rows = await connection.execute(
        statement("related_strays"),
        {
            "trace_ids": [*{share.key.trace_id for share in shares}],
            "task_ids": [task_id for task_id in named if task_id and tells_apart(task_id)],
        },
    )
    waiting: list[Stray] = []
    elsewhere: dict[str, UUID] = {}
    for found in await rows.fetchall():
        if found["id"] is None:
            waiting.append(stray_of(found))
        else:
            elsewhere[found["fact_id"]] = found["id"]
    return waiting, elsewhere


async def _join(connection: Connection, places: Mapping[str, UUID]) -> None:
    if places:
        await connection.execute(statement("join_strays"), {"fact_ids": [*places], "ids": [*places.values()]})


async def move(connection: Connection, kind: str, moved: Tally) -> None:
    """Write down spans that are counted elsewhere from now on."""
    await connection.execute(statement("move_spans"), {"kind": kind, **moved.counts()})
