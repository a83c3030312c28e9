"""What becomes of one trace's open spans now, and when to look again. Pure.

| owner of a span | when | what |
|---|---|---|
| open task | grace after its last span, at most max_grace after the task's own | sealed as the task |
| closed task | grace after the last late span | sealed as late |
| root without a task, cycle | lifecycle: grace after the last; others: foreign_timeout | sealed as orphans; dropped |
| parent not seen | max_task_age; foreign_timeout where the trace has no lifecycle span | sealed as orphans; dropped |

An evaluation may come long after its task has left the journal, so it counts as no sign that one is on its way: with
no other lifecycle span in its trace it is sealed as an orphan after foreign_timeout, and finds its record in the
database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from collector_processor.assemble.tree import OpenSpan, Owner, Place, owners
from collector_processor.model.facts import Ending
from collector_processor.model.stages import Closing, Known, Link, LinkReason, Member, Role, SealedTask, SealKind

_EXPECTING: Final = frozenset({Role.TASK, Role.LIFECYCLE})
"""Spans of these roles tell that a task of their trace is here or still to come."""


MAX_LINKS: Final = 10_000
"""Spans of one trace that have left and are remembered, some 250 bytes of memory each: a trace may never end."""


class Limits(NamedTuple):
    """Durations in ns, sizes in spans and bytes; the settings of the same names."""

    grace: int
    max_grace: int
    max_task_age: int
    foreign_timeout: int
    max_task_spans: int
    max_task_bytes: int
    flush_records: int
    flush_interval: int


class Plan(NamedTuple):
    """Closings that are due, how many records they will touch, and when to look again (ns; None: never)."""

    closings: tuple[Closing, ...]
    records: int
    next: int | None


def plan(
    trace_id: bytes, spans: dict[bytes, OpenSpan], known: Known, limits: Limits, now: int, *, flush: bool = False
) -> Plan:
    """Decide for one trace.

    Args:
        trace_id: 16 bytes.
        spans: its open spans by id.
        known: what is remembered of it.
        limits: the settings.
        now: ns.
        flush: close what has its task span and hand on what can have none, without waiting for late spans.
    """
    found = owners(spans, known, known.links)
    groups: defaultdict[Owner, list[OpenSpan]] = defaultdict(list)
    for span_id, span in spans.items():
        groups[found[span_id]].append(span)
    around: _Surroundings | None = None
    closings: list[Closing] = []
    later: list[int] = []
    for owner, members in groups.items():
        kept, shed = _within_limits(members, limits)
        if owner.place is Place.TASK:
            own = spans[owner.span_id]
            due = min(max(span.arrived for span in kept) + limits.grace, own.arrived + limits.max_grace)
            if now >= due or flush:
                left = {link.reason for span_id, link in known.links.items() if found[span_id] == owner}
                ended_by = Ending.FLUSH if now < due else Ending.TASK_ENDED
                sealed = SealedTask(
                    SealKind.TASK,
                    trace_id,
                    owner.span_id,
                    _members(kept),
                    ended_by=ended_by,
                    truncated=bool(shed) or LinkReason.TRUNCATED in left,
                    children_given_away=LinkReason.GIVEN_AWAY in left,
                )
                closings.append(_sealed(sealed, kept, shed))
                continue
            later.append(due)
        elif owner.place is Place.CLOSED:
            due = max(span.arrived for span in kept) + limits.grace
            if now >= due or flush:
                sealed = SealedTask(SealKind.LATE, trace_id, owner.span_id, _members(kept), truncated=bool(shed))
                closings.append(_sealed(sealed, kept, shed))
                continue
            later.append(due)
        else:
            around = around or _surroundings(spans, known)
            orphans, gone, again = _unclaimed(owner.place, kept, limits, now, around)
            if flush and owner.place is not Place.WAITING:
                orphans = [span for span in kept if span.role is not Role.FOREIGN]
            later += again
            if orphans or gone:
                closing = _given_up(trace_id, owner.place, orphans, gone, shed)
                closings.append(closing._replace(links=_within_memory(closing.links, spans, known)))
                continue
        if shed:
            links = _within_memory(_links(shed, LinkReason.TRUNCATED), spans, known)
            closings.append(Closing(trace_id, None, b"", _members(shed), links, len(shed)))
    records = sum(closing.sealed is not None for closing in closings)
    return Plan(tuple(closings), records, min(later, default=None))


def erased(trace_id: bytes, spans: Sequence[OpenSpan]) -> Closing:
    """Let go of open spans that somebody wants erased; that they were here stays known, so they don't come again."""
    return Closing(trace_id, None, b"", _members(spans), _links(spans, LinkReason.ERASED))


def shed(trace_id: bytes, going: Sequence[OpenSpan], spans: dict[bytes, OpenSpan], known: Known) -> Closing:
    """Let go of some of a trace's open `spans` for want of room; the record of the task above them is truncated.

    As when they are given up, nothing is left behind below a root: no task can come above it.
    """
    found = owners(spans, known)
    linked = [span for span in going if found[span.span_id].place not in {Place.ROOT, Place.CYCLE}]
    links = _within_memory(_links(linked, LinkReason.TRUNCATED), spans, known)
    return Closing(trace_id, None, b"", _members(going), links)


class _Surroundings(NamedTuple):
    """Of a group without a task: the trace's last arrival, and whether it has lifecycle spans but evaluations."""

    last: int
    lifecycle: bool


def _surroundings(spans: dict[bytes, OpenSpan], known: Known) -> _Surroundings:
    lifecycle = bool(known.closed) or any(span.role in _EXPECTING for span in spans.values())
    return _Surroundings(max(span.arrived for span in spans.values()), lifecycle)


def _unclaimed(
    place: Place, members: Sequence[OpenSpan], limits: Limits, now: int, around: _Surroundings
) -> tuple[list[OpenSpan], list[OpenSpan], list[int]]:
    """(lifecycle spans to hand on as orphans, foreign spans to drop, when to look again) of a group without a task."""
    own = [span for span in members if span.role is not Role.FOREIGN]
    foreign = [span for span in members if span.role is Role.FOREIGN]
    if place is Place.WAITING:
        own_due = [span.arrived + limits.max_task_age for span in own]
        if not around.lifecycle:
            own_due = [min(due, around.last + limits.foreign_timeout) for due in own_due]
    else:
        own_due = [max((span.arrived for span in own), default=0) + limits.grace] * len(own)
    if place is Place.WAITING and around.lifecycle:
        foreign_due = [span.arrived + limits.max_task_age for span in foreign]
    else:
        foreign_due = [around.last + limits.foreign_timeout] * len(foreign)
    orphans = [span for span, due in zip(own, own_due, strict=True) if now >= due]
    gone = [span for span, due in zip(foreign, foreign_due, strict=True) if now >= due]
    return orphans, gone, [min(rest)] if (rest := [due for due in own_due + foreign_due if now < due]) else []


def _within_limits(members: list[OpenSpan], limits: Limits) -> tuple[list[OpenSpan], list[OpenSpan]]:
    """(kept, shed): foreign spans go first, the latest first; the task span itself never goes."""
    size = _size(members)
    if len(members) <= limits.max_task_spans and size <= limits.max_task_bytes:
        return members, []
    count = len(members)
    shed: list[OpenSpan] = []
    order = sorted(
        (span for span in members if span.role is not Role.TASK),
        key=lambda span: (span.role is not Role.FOREIGN, -span.arrived, -span.sequence, -span.position),
    )
    for span in order:
        if count <= limits.max_task_spans and size <= limits.max_task_bytes:
            break
        shed.append(span)
        count -= 1
        size -= span.size
    gone = {span.span_id for span in shed}
    return [span for span in members if span.span_id not in gone], shed


def _sealed(sealed: SealedTask, kept: list[OpenSpan], shed: list[OpenSpan]) -> Closing:
    ids = b"".join(span.span_id for span in kept)
    links = _links(shed, LinkReason.TRUNCATED)
    return Closing(sealed.trace_id, sealed, ids, _members(shed), links, len(shed), _size(kept))


def _given_up(
    trace_id: bytes, place: Place, orphans: list[OpenSpan], gone: list[OpenSpan], shed: list[OpenSpan]
) -> Closing:
    """Below a root nothing is left behind: no task can come above it. A chain through a waiting span may hold yet."""
    sealed = None
    if orphans:
        sealed = SealedTask(SealKind.ORPHAN, trace_id, b"", _members(orphans), cyclic=place is Place.CYCLE)
    ahead = [span for span in orphans if span.role is Role.EVALUATION]
    given_away = [span for span in orphans if span.role is not Role.EVALUATION]
    links = _links(ahead, LinkReason.SENT_AHEAD) + _links(given_away, LinkReason.GIVEN_AWAY)
    links += _links(shed, LinkReason.TRUNCATED)
    if place is Place.WAITING:
        links += _links(gone, LinkReason.FOREIGN)
    return Closing(trace_id, sealed, b"", _members(gone + shed), links, len(shed), _size(orphans))


def _size(spans: Iterable[OpenSpan]) -> int:
    return sum([span.size for span in spans])


def _links(spans: Iterable[OpenSpan], reason: LinkReason) -> tuple[Link, ...]:
    return tuple(Link(span.span_id, span.parent_id, reason) for span in spans)


def _within_memory(links: tuple[Link, ...], spans: dict[bytes, OpenSpan], known: Known) -> tuple[Link, ...]:
    """Those links that are kept: of very many only such as an open span hangs on, of lifecycle spans, and one more.

    A span below one of the others is taken for one whose parent was never seen, should it come later.
    """
    room = max(1, MAX_LINKS - len(known.links))
    if len(links) <= room:
        return links
    parents = {span.parent_id for span in spans.values()}
    return tuple(
        [
            link
            for number, link in enumerate(links)
            if number < room or link.span_id in parents or spans[link.span_id].role is not Role.FOREIGN
        ]
    )


def _members(spans: Sequence[OpenSpan]) -> tuple[Member, ...]:
    """Positions by fragment, in order of arrival."""
    if not spans:
        return ()
    positions: defaultdict[int, list[int]] = defaultdict(list)
    arrived: dict[int, int] = {}
    for _, _, _, _, sequence, position, arrival in spans:
        positions[sequence].append(position)
        arrived[sequence] = arrival
    return tuple(
        [Member(sequence, arrived[sequence], tuple(sorted(positions[sequence]))) for sequence in sorted(arrived)]
    )
