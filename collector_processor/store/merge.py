"""One point, before and after: unite what is stored with what came, fold again where that changed something.

Pure: the write path locks and reads before, and writes after. Every span that came is counted here, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.errors import UnfitError
from collector_processor.model.facts import Anomaly, Facts
from collector_processor.model.record import BenchmarkDataPoint, FacetSampling, State
from collector_processor.model.stages import Choose, Due, LifecycleFact, Revise, SpanKey, Stray
from collector_processor.store.contribution import Contribution, Unite, fact_ids, facts_of, span_ids, weight
from collector_processor.store.rows import instant, withheld
from collector_processor.store.tally import Tally

AWAITED: Final = "awaited"
ERASED: Final = "erased"
TOMBSTONES: Final = frozenset({State.DISCARDED.value, ERASED})


class Held(NamedTuple):
    """What the database has of a point, read under its lock. `facts` are of the record, or wait for their task.

    `tenant` is known of those that wait too.
    """

    key: SpanKey
    state: str
    spans: int
    record: BenchmarkDataPoint | None
    facts: Facts | None
    tenant: str | None = None


class Brought(NamedTuple):
    """What comes to a point: a batch's share, stray facts of the same batch, and stray facts that waited.

    `anomalies` are those of the spans behind the stray facts, `stray_tenant` is what one of these names.
    """

    contribution: Contribution | None = None
    arriving: Sequence[LifecycleFact] = ()
    waiting: Sequence[LifecycleFact] = ()
    anomalies: tuple[Anomaly, ...] = ()
    stray_tenant: str | None = None

    def plus(self, stray: Stray, *, waits: bool) -> Brought:
        """The same and one more stray."""
        more = self._replace(anomalies=self.anomalies + stray.anomalies, stray_tenant=self.stray_tenant or stray.tenant)
        if waits:
            return more._replace(waiting=(*self.waiting, stray.fact))
        return more._replace(arriving=(*self.arriving, stray.fact))

    @property
    def tenant(self) -> str | None:
        """What is said of it beside a task."""
        return (self.contribution.tenant if self.contribution else None) or self.stray_tenant


class Key(NamedTuple):
    """A row of point_keys, in the order of its columns."""

    id: UUID
    trace_id: bytes
    span_id: bytes
    timestamp: datetime | None
    task_id: str | None
    namespace: str | None
    tenant: str | None
    started: datetime | None
    ended: datetime | None
    revision: int
    state: str
    spans: int


@dataclass(slots=True)
class Merged:
    """What is to be written: a key with a record, a key with facts that await their task, or nothing.

    `replaced` is the time of the row that the new one stands in for; `moved` counts strays that waited until now.
    `weighed` are deep facets that were kept before, where this revision has changed their probability.
    """

    key: Key | None = None
    record: BenchmarkDataPoint | None = None
    awaited: bytes | None = None
    replaced: datetime | None = None
    tally: Tally = field(default_factory=Tally)
    moved: Tally = field(default_factory=Tally)
    weighed: Sequence[FacetSampling] = ()


def merge(
    key: tuple[UUID, SpanKey],
    held: Held | None,
    brought: Brought,
    revise: Revise,
    unite: Unite,
    *,
    choose: Choose | None = None,
) -> Merged:
    """Unite and count; without `choose` no more deep facets are kept than before.

    Whatever `revise` raises passes through, UnfitError where the record can't have a key.
    """
    merged = Merged()
    if held is not None and held.state in TOMBSTONES:
        _bury(held.state, brought, merged)
        return merged
    before = held.facts if held else None
    facts = _take_in(before, brought, unite, merged)
    if before is not None and facts == unite(before, before):
        return merged
    spans = (held.spans if held else 0) + merged.tally.in_points + merged.moved.in_points
    if facts.task is None:
        merged.awaited = msgspec.json.encode(facts)
        # Whose they are must be known for them to be erased, and for their pseudonyms to be found.
        tenant = (held.tenant if held else None) or brought.tenant
        merged.key = Key(key[0], *key[1], None, None, None, tenant, None, None, 0, AWAITED, spans)
        return merged
    previous = held.record if held else None
    point = revise(key[0], facts, previous.revision + 1 if previous else 1).point
    if previous is not None:
        point = carry_over(previous, point)
        merged.replaced = instant(previous.timestamp)
        merged.tally.revised += 1
    else:
        merged.tally.accepted += point.state is State.ACCEPTED
        merged.tally.quarantined += point.state is State.QUARANTINED
    if choose is not None:
        point = _choose(point, previous, choose, merged)
    merged.record = point
    merged.key = key_of(point, spans)
    return merged


def _choose(
    point: BenchmarkDataPoint, previous: BenchmarkDataPoint | None, choose: Choose, merged: Merged
) -> BenchmarkDataPoint:
    chosen = choose(point, previous)
    if chosen.added:
        place = point.provenance
        merged.tally.analyses.append(Due(bytes.fromhex(place.trace_id), bytes.fromhex(place.span_id), chosen.added))
    merged.tally.sampling.append(chosen.tally)
    if previous is not None:
        settled = {*previous.sampling.facets}
        merged.weighed = [
            each for each in chosen.point.sampling.facets if each not in settled and each.facet not in chosen.added
        ]
    return chosen.point


def carry_over(previous: BenchmarkDataPoint, revised: BenchmarkDataPoint) -> BenchmarkDataPoint:
    """What a revision may not change: the time that is part of the key, deep facets, and a person's decision.

    A released record is quarantined again only when a critical gate fails.
    """
    released = previous.state is State.RELEASED and not withheld(revised)
    return msgspec.structs.replace(
        revised,
        timestamp=previous.timestamp,
        sampling=msgspec.structs.replace(revised.sampling, facets=previous.sampling.facets),
        state=State.RELEASED if released else revised.state,
    )


def key_of(point: BenchmarkDataPoint, spans: int) -> Key:
    """The key row of a stored record."""
    task = point.facts.task
    if task is None:
        raise UnfitError("facts.task is null: a record exists only from its ended task span")
    return Key(
        point.id,
        bytes.fromhex(point.provenance.trace_id),
        bytes.fromhex(point.provenance.span_id),
        instant(point.timestamp),
        task.task_id,
        task.source.service_namespace,
        task.tenant,
        instant(task.start),
        instant(task.end),
        point.revision,
        point.state.value,
        spans,
    )


def _bury(state: str, brought: Brought, merged: Merged) -> None:
    """Nothing comes back to a tombstone."""
    came = sum(map(weight, brought.arriving)) + (brought.contribution.spans if brought.contribution else 0)
    setattr(merged.tally, state, came)
    setattr(merged.moved, state, sum(map(weight, brought.waiting)))


def _take_in(before: Facts | None, brought: Brought, unite: Unite, merged: Merged) -> Facts:
    """All facts together; those that waited came first, so a later copy of one is the duplicate."""
    share = brought.contribution
    if before is None and share is not None and share.facts.task is not None and brought == Brought(share):
        merged.tally.in_points, merged.tally.duplicate = share.spans - share.repeated, share.repeated
        return share.facts
    known = set() if before is None else set(fact_ids(before))
    strays: list[LifecycleFact] = []
    for some, tally in ((brought.waiting, merged.moved), (brought.arriving, merged.tally)):
        for fact in some:
            if fact.fact_id in known:
                tally.duplicate += weight(fact)
            else:
                tally.in_points += weight(fact)
                known.add(fact.fact_id)
                strays.append(fact)
    parts = [] if before is None else [before]
    if strays:
        spans_of_strays = {stray.span_id for stray in strays}
        noticed = tuple([each for each in brought.anomalies if each.span_id in spans_of_strays])
        parts.append(msgspec.structs.replace(facts_of(strays), anomalies=noticed))
    if share is not None:
        news = fact_ids(share.facts) - known
        spans = span_ids(share.facts)
        merged.tally.in_points += len(spans & news) + (share.silent if news else 0)
        merged.tally.duplicate += share.repeated + len(spans - news) + (0 if news else share.silent)
        parts.append(share.facts)
    return reduce(unite, parts)
