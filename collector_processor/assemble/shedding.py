"""Which foreign spans of open traces are let go of where journal or memory have no room for more. Pure.

Those of the largest traces go first, the latest of each first, so that a giant costs nobody else anything. Where there
are too many traces, the oldest go of those without a lifecycle span. A lifecycle span is never shed, and traces that
are about to be sealed are left alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from collector_processor.assemble.closing import shed
from collector_processor.assemble.index import ROLES, Entry, Lookup, Trace
from collector_processor.assemble.tree import OpenSpan
from collector_processor.model.stages import HEADER, Closing, FragmentFlag, Role

BYTES_AT_ONCE: Final = 8 << 20
SPANS_AT_ONCE: Final = 20_000
"""What one decision sheds: requests wait meanwhile."""
LOOKED_AT: Final = 20_000
CANDIDATES: Final = 2_000
"""Traces that it weighs for that, some 30 ms, and how many of the largest are taken apart."""
_ROLE: Final = slice(16, None, HEADER.size)
"""The roles in packed headers."""
_FOREIGN: Final = ROLES.index(Role.FOREIGN)
_LIFECYCLE: Final = FragmentFlag.TASK | FragmentFlag.LIFECYCLE


class Excess(NamedTuple):
    """What is too much: bytes in the journal, open spans, open traces."""

    bytes: int = 0
    spans: int = 0
    traces: int = 0


class Shedder:
    """Decides what is shed of an index, whose traces stand in order of age.

    Of very many traces each decision looks at some, and the next one at those that follow.
    """

    def __init__(self, traces: Mapping[bytes, Trace]) -> None:
        self._traces = traces
        self._place = 0

    def decide(
        self, leaving: Container[bytes], excess: Excess, size_of: Callable[[int], int], lookup: Lookup
    ) -> list[Closing]:
        """As much as is too much or one decision may; nothing where nothing can be shed.

        Args:
            leaving: ids of traces that are about to be sealed.
            excess: what is too much.
            size_of: bytes of a fragment by its sequence, 0 where those are not what is too many.
            lookup: the journal.
        """
        traces = [(trace_id, trace) for trace_id, trace in self._some() if trace_id not in leaving]
        if excess.traces > 0:
            return _whole(traces, excess.traces, lookup)
        weigh = _foreign_bytes if excess.bytes > 0 else _foreign_spans
        weighed = (
            (sum([weigh(entry, size_of) for entry in trace.entries]), place) for place, (_, trace) in enumerate(traces)
        )
        largest = heapq.nlargest(CANDIDATES, weighed)
        return _parts((traces[place] for weight, place in largest if weight), excess, lookup)

    def _some(self) -> list[tuple[bytes, Trace]]:
        start = self._place if self._place < len(self._traces) else 0
        self._place = start + LOOKED_AT
        return [*islice(self._traces.items(), start, self._place)]


def _whole(traces: Iterable[tuple[bytes, Trace]], number: int, lookup: Lookup) -> list[Closing]:
    closings: list[Closing] = []
    spans = 0
    for trace_id, trace in traces:
        if len(closings) >= number or spans >= SPANS_AT_ONCE:
            break
        if any(entry.flags & _LIFECYCLE for entry in trace.entries):
            continue
        known = trace.load(trace_id, lookup)
        going = trace.open_spans()
        if going:
            closings.append(shed(trace_id, [*going.values()], going, known))
            spans += len(going)
    return closings


def _parts(traces: Iterable[tuple[bytes, Trace]], excess: Excess, lookup: Lookup) -> list[Closing]:
    closings: list[Closing] = []
    bytes_left, spans_left = min(excess.bytes, BYTES_AT_ONCE), min(excess.spans, SPANS_AT_ONCE)
    most = SPANS_AT_ONCE
    for trace_id, trace in traces:
        if most <= 0 or (bytes_left <= 0 and spans_left <= 0):
            break
        known = trace.load(trace_id, lookup)
        spans = trace.open_spans()
        going: list[OpenSpan] = []
        for span in reversed(spans.values()):
            if len(going) >= most or (bytes_left <= 0 and spans_left <= 0):
                break
            if span.role is Role.FOREIGN:
                going.append(span)
                bytes_left -= span.size
                spans_left -= 1
        most -= len(going)
        if going:
            closings.append(shed(trace_id, going, spans, known))
    return closings


def _foreign(entry: Entry) -> int:
    """How many open foreign spans a fragment has; all that it has where its headers haven't been read."""
    if entry.headers is None:
        return entry.spans
    roles = entry.headers[_ROLE]
    if not entry.taken:
        return roles.count(_FOREIGN)
    return sum(role == _FOREIGN and not entry.taken >> position & 1 for position, role in enumerate(roles))


def _foreign_spans(entry: Entry, size_of: Callable[[int], int]) -> int:
    return _foreign(entry) if size_of(entry.sequence) else 0


def _foreign_bytes(entry: Entry, size_of: Callable[[int], int]) -> int:
    foreign = _foreign(entry)
    return size_of(entry.sequence) * foreign // entry.spans if foreign else 0
