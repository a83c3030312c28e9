"""The index of open traces: little more than which fragments they have, because memory holds no spans.

Of a span there are 21 bytes, its packed header, so an open span costs less than 100 bytes in all. After a restart not
even those: headers are read again from the journal when a trace is touched or due.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, Protocol

from collector_processor.assemble.tree import OpenSpan
from collector_processor.errors import DamagedEntryError
from collector_processor.model.stages import HEADER, Fragment, FragmentFlag, Known, Role, Stored

ROLES: Final = tuple(Role)
_FLAGS: Final = [FragmentFlag(bits) for bits in range(2 ** len(FragmentFlag))]
_TASK: Final = tuple(bool(flags & FragmentFlag.TASK) for flags in _FLAGS)
_LIFECYCLE: Final = tuple(bool(flags & (FragmentFlag.TASK | FragmentFlag.LIFECYCLE)) for flags in _FLAGS)
"""By a fragment's flags: an operator of theirs takes a microsecond, and a start asks for a million fragments."""
MANY: Final = 256
"""Spans of one trace from which on a set of their ids is kept: looking through fragments gets slow."""


class Lookup(Protocol):
    """What the index reads from the journal."""

    def headers(self, sequence: int) -> bytes:
        """Packed headers of a fragment. Raises DamagedEntryError."""

    def known(self, trace_id: bytes) -> Known:
        """What is remembered of a trace beside its open spans."""


class Entry:
    """One journalled fragment of a trace. `taken` is the mask of positions that are no longer open."""

    __slots__ = ("arrived", "flags", "headers", "sequence", "spans", "taken")

    def __init__(self, stored: Stored, taken: int, headers: bytes | None) -> None:
        self.sequence, _, self.flags, self.spans, self.arrived = stored
        self.taken = taken
        self.headers = headers

    @property
    def exhausted(self) -> bool:
        """Whether no span of it is open."""
        return self.taken.bit_count() == self.spans


class Trace:
    """Open spans of one trace.

    `due` is the tick at which it is looked at next (0: not planned), `tasks` the number of fragments with a task span.
    """

    __slots__ = ("due", "entries", "ids", "known", "tasks")

    def __init__(self, known: Known | None, first: Entry) -> None:
        self.entries = [first]
        self.tasks = int(_TASK[first.flags])
        self.due = 0
        self.known = known
        self.ids: set[bytes] | None = None

    @property
    def spans(self) -> int:
        """How many spans its fragments hold, open or not."""
        return sum(entry.spans for entry in self.entries)

    @property
    def open(self) -> int:
        """How many of them are open."""
        return sum(entry.spans - entry.taken.bit_count() for entry in self.entries)

    def append(self, entry: Entry) -> None:
        """One more fragment, the newest."""
        self.entries.append(entry)
        self.tasks += has_task(entry.flags)

    def load(self, trace_id: bytes, lookup: Lookup) -> Known:
        """Read what isn't in memory since the restart. Spans of a damaged fragment stay in it, unseen."""
        for entry in self.entries:
            if entry.headers is None:
                try:
                    entry.headers = lookup.headers(entry.sequence)
                except DamagedEntryError:
                    entry.headers = b""
        if self.known is None:
            self.known = lookup.known(trace_id)
        return self.known

    def take(self, sequence: int, mask: int) -> None:
        """Positions of a fragment are no longer open; a fragment without open spans leaves the index."""
        place = bisect_left(self.entries, sequence, key=attrgetter("sequence"))
        entry = self.entries[place]
        entry.taken |= mask
        if entry.exhausted:
            del self.entries[place]
            self.tasks -= has_task(entry.flags)

    def forget(self, ids: Iterable[bytes]) -> None:
        """Forget spans that have left the journal's memory too."""
        if self.known is not None:
            for span_id in ids:
                self.known.closed.pop(span_id, None)
                self.known.links.pop(span_id, None)
        self.ids = None  # made anew of the fragments that are left

    def open_spans(self) -> dict[bytes, OpenSpan]:
        """Every open span by id; headers must have been loaded."""
        spans: dict[bytes, OpenSpan] = {}
        for entry in self.entries:
            taken = entry.taken
            sequence, arrived = entry.sequence, entry.arrived
            for position, (span_id, parent_id, role, size) in enumerate(HEADER.iter_unpack(entry.headers or b"")):
                if not taken >> position & 1:
                    spans[span_id] = OpenSpan(span_id, parent_id, ROLES[role], size, sequence, position, arrived)
        return spans

    def holds(self, span_id: bytes) -> bool:
        """Whether one of its fragments holds the span, open or sealed; headers must have been loaded."""
        if self.ids is not None:
            return span_id in self.ids
        for entry in self.entries:
            headers = entry.headers or b""
            place = headers.find(span_id)
            while place >= 0:
                if place % HEADER.size == 0:
                    return True
                place = headers.find(span_id, place + 1)
        return False

    def remember_ids(self) -> None:
        """Build the set of ids where looking through fragments would get slow."""
        if self.ids is None and self.spans > MANY:
            self.ids = {header[0] for entry in self.entries for header in HEADER.iter_unpack(entry.headers or b"")}


def span_ids(fragment: Fragment) -> list[bytes]:
    """Ids of a fragment's spans, in order."""
    headers = fragment.headers
    return [headers[start : start + 8] for start in range(0, len(headers), HEADER.size)]


def has_task(flags: FragmentFlag) -> bool:
    """Whether a task span is inside."""
    return _TASK[flags]


def has_lifecycle(flags: FragmentFlag) -> bool:
    """Whether a lifecycle span is inside, a task's or another one."""
    return _LIFECYCLE[flags]
