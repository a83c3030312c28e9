"""Decide when a task is closed, where late spans go, and what no task claims. Time is an argument.

The unit is one task: its span and all spans whose nearest task above it is. It closes `grace` after the last of
its spans arrived, but at most `max_grace` after its own span did, nested or not. All times are ns; arrival times
are the journalled ones, so that a restart changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from collector_processor.assemble.census import Census
from collector_processor.assemble.closing import Limits, Plan, plan
from collector_processor.assemble.index import Entry, Lookup, Trace, has_lifecycle, has_task, span_ids
from collector_processor.assemble.shedding import Excess, Shedder
from collector_processor.assemble.tree import OpenSpan, Owner, Place, owners
from collector_processor.assemble.whole import plan_whole
from collector_processor.model.stages import HEADER, Closing, Fragment, Known, SealKind, Stored

TICK: Final = 100_000_000
"""Grid of the timers: 0.1 s."""
SLACK: Final = 10
"""Ticks by which a clock that is set back is waited for: to plan every open trace anew takes longer."""
BUSY_SPANS_PER_SECOND: Final = 100_000
"""A trace of so many open spans is looked at once a second at most: one giant must not starve the others."""
NOTHING_KNOWN: Final = Known({}, {})


class Arrival(NamedTuple):
    """What the index says of a fragment before it is written: positions seen before, and what is known of a new trace.

    Of a trace that is indexed it is None: should its last task be sealed in the same commit, the journal knows more.
    """

    duplicates: int
    known: Known | None


class Assembler:
    """The index of open spans and its timers. Owned by one thread.

    Args:
        limits: durations, sizes and batch thresholds.
        started: ns; no task closes before `started + grace`.
    """

    def __init__(self, limits: Limits, started: int) -> None:
        self._limits = limits
        self._not_before = started + limits.grace
        self._traces: dict[bytes, Trace] = {}
        self._timers: defaultdict[int, list[bytes]] = defaultdict(list)
        self._clock = started // TICK
        self._ready: dict[bytes, Plan] = {}
        self._stale: set[bytes] = set()
        """Ready traces that were touched since: they are decided again before they are carried out."""
        self._ready_records = 0
        self._ready_since = 0
        self._census = Census()
        self._shedder = Shedder(self._traces)

    # -- Arrival ---------------------------------------------------------------------------------------------

    def judge(self, fragment: Fragment, staged: dict[bytes, set[bytes]], lookup: Lookup) -> Arrival:
        """Which positions of a fragment are duplicates. Changes nothing but `staged`.

        Args:
            fragment: about to be written.
            staged: ids per trace that the same group of requests has brought already; extended here.
            lookup: the journal, inside the transaction that will write the fragment.
        """
        trace_id = fragment.trace_id
        ids = span_ids(fragment)
        trace = self._traces.get(trace_id)
        known: Known | None
        if trace is None:
            known = lookup.known(trace_id)
        else:
            known = trace.load(trace_id, lookup)
            trace.remember_ids()
        before = staged.get(trace_id)
        fresh = set(ids)
        simple = trace is None and before is None and len(fresh) == len(ids) and not (known.closed or known.links)
        if before is None:
            before = staged[trace_id] = set()
        duplicates = 0
        if not simple:
            for position, span_id in enumerate(ids):
                if (
                    span_id in before
                    or span_id in known.closed
                    or span_id in known.links
                    or (trace is not None and trace.holds(span_id))
                ):
                    duplicates |= 1 << position
                before.add(span_id)
        before |= fresh
        return Arrival(duplicates, known if trace is None else None)

    def add(self, stored: Stored, arrival: Arrival, headers: bytes) -> None:
        """A fragment is durable: index it and plan when to look at its trace."""
        trace = self._traces.get(stored.trace_id)
        entry = Entry(stored, arrival.duplicates, headers)
        if trace is None:
            known = arrival.known
            shared = NOTHING_KNOWN if known is not None and not (known.closed or known.links) else known
            trace = self._traces[stored.trace_id] = Trace(shared, entry)
            self._census.enter(trace)
        else:
            if trace.ids is not None:
                trace.ids.update(headers[start : start + 8] for start in range(0, len(headers), HEADER.size))
            if has_task(entry.flags) and not trace.tasks:
                self._census.leave(trace)
                trace.append(entry)
                self._census.enter(trace)
            else:  # it is counted as before
                trace.append(entry)
        self._touch(stored, trace)

    def restore(self, found: Iterable[Stored], taken: Mapping[int, int]) -> None:
        """Index the fragments found at a start; `taken` are the masks of spans that are sealed or gone, by sequence."""
        traces, now, ahead = self._traces, self._clock * TICK, False
        for stored in found:
            gone = taken.get(stored.sequence, 0)
            if gone and gone.bit_count() == stored.spans:
                continue
            ahead = ahead or stored.arrived > now
            entry = Entry(stored, gone, None)
            trace = traces.get(stored.trace_id)
            if trace is None:
                traces[stored.trace_id] = Trace(None, entry)
            else:
                trace.append(entry)
        grace = self._limits.grace
        for trace_id, trace in traces.items():
            self._census.enter(trace)
            self._plan(trace_id, trace, trace.entries[0].arrived + grace)
        if ahead:
            self._set_back(now)

    def _touch(self, stored: Stored, trace: Trace) -> None:
        if stored.trace_id in self._ready:
            self._stale.add(stored.trace_id)
        limits, known, wait = self._limits, trace.known, self._limits.grace
        if len(trace.entries) == 1 and known is not None and not known.closed and not has_lifecycle(stored.flags):
            wait = min(limits.foreign_timeout, limits.max_task_age)
        self._plan(stored.trace_id, trace, stored.arrived + wait)

    def _plan(self, trace_id: bytes, trace: Trace, when: int) -> None:
        tick = max(-(-max(when, self._not_before) // TICK), self._clock + 1)
        if not trace.due or tick < trace.due:
            trace.due = tick
            self._timers[tick].append(trace_id)

    # -- Closing ---------------------------------------------------------------------------------------------

    def look(self, now: int, lookup: Lookup) -> None:
        """Look at every trace that is due; what can be closed becomes ready."""
        tick = now // TICK
        if tick < self._clock - SLACK:
            self._set_back(now)
        if tick - self._clock > len(self._timers):
            due_ticks: Iterable[int] = sorted(due for due in self._timers if due <= tick)
        else:
            due_ticks = range(self._clock + 1, tick + 1)
        for due in due_ticks:
            for trace_id in self._timers.pop(due, ()):
                trace = self._traces.get(trace_id)
                if trace is not None and trace.due == due:
                    trace.due = 0
                    self._look_at(trace_id, trace, now, lookup)
        self._clock = max(self._clock, tick)

    def _set_back(self, now: int) -> None:
        """Go on where the clock was set back: what came at a time still to come counts as if it came now."""
        self._clock = now // TICK
        self._not_before = min(self._not_before, now + self._limits.grace)
        self._ready_since = min(self._ready_since, now)
        self._timers.clear()
        for trace_id, trace in self._traces.items():
            self._census.leave(trace)
            for entry in trace.entries:
                entry.arrived = min(entry.arrived, now)
            self._census.enter(trace)
            trace.due = 0
            self._plan(trace_id, trace, trace.entries[0].arrived + self._limits.grace)

    def _look_at(self, trace_id: bytes, trace: Trace, now: int, lookup: Lookup, *, flush: bool = False) -> None:
        known = trace.load(trace_id, lookup)
        decided = None
        if trace.tasks == 1 and not (known.closed or known.links):
            decided = plan_whole(trace_id, trace.entries, self._limits, now, flush=flush)
        if decided is None:
            decided = plan(trace_id, trace.open_spans(), known, self._limits, now, flush=flush)
        waited = bool(self._ready)
        self._unready(trace_id)
        if decided.closings:
            if not waited:
                self._ready_since = now
            self._ready[trace_id] = decided
            self._ready_records += decided.records
        elif decided.next is not None:
            pause = trace.open * 10**9 // BUSY_SPANS_PER_SECOND
            self._plan(trace_id, trace, max(decided.next, now + pause))

    def _unready(self, trace_id: bytes) -> None:
        self._stale.discard(trace_id)
        decided = self._ready.pop(trace_id, None)
        if decided is not None:
            self._ready_records -= decided.records

    def take(self, now: int, lookup: Lookup, *, force: bool = False) -> list[Closing]:
        """What is to be carried out now: all that is ready, once there is enough of it or it waited long enough.

        The index is unchanged until `carried_out` says that the journal has done it.
        """
        limits = self._limits
        enough = self._ready_records >= limits.flush_records or now - self._ready_since >= limits.flush_interval
        if not self._ready or not (enough or force):
            return []
        for trace_id in tuple(self._stale):
            self._look_at(trace_id, self._traces[trace_id], now, lookup)
        return [closing for decided in self._ready.values() for closing in decided.closings]

    def flush(self, now: int, lookup: Lookup, trace_ids: Iterable[bytes]) -> list[Closing]:
        """Close every task of these traces whose span has come, and hand on what can have none, before late spans."""
        for trace_id in trace_ids:
            trace = self._traces.get(trace_id)
            if trace is not None:
                self._look_at(trace_id, trace, now, lookup, flush=True)
        return self.take(now, lookup, force=True)

    def carried_out(self, closings: Sequence[Closing], now: int) -> None:
        """The journal has sealed and dropped: those spans are open no longer."""
        touched: dict[bytes, None] = {}
        for closing in closings:
            trace = self._traces.get(closing.trace_id)
            if trace is None:
                continue
            touched[closing.trace_id] = None
            members = closing.dropped + (closing.sealed.members if closing.sealed else ())
            self._census.leave(trace)
            for member in members:
                trace.take(member.sequence, member.mask)
            self._census.enter(trace)
            if trace.entries:
                _remember(trace, closing)
        for trace_id in touched:
            trace = self._traces[trace_id]
            decided = self._ready.get(trace_id)
            if not trace.entries:
                del self._traces[trace_id]
            elif decided is not None and decided.next is not None:
                self._plan(trace_id, trace, max(decided.next, now))
            self._unready(trace_id)

    def put_off(self, trace_id: bytes, when: int) -> None:
        """Look at a trace no earlier than then, whatever is ready of it."""
        trace = self._traces.get(trace_id)
        if trace is not None:
            self._unready(trace_id)
            self._plan(trace_id, trace, when)

    def forget(self, trace_id: bytes, ids: Iterable[bytes]) -> None:
        """The journal remembers these closed or departed spans no longer: an endless trace must not grow for ever."""
        trace = self._traces.get(trace_id)
        if trace is not None:
            trace.forget(ids)

    # -- Shedding --------------------------------------------------------------------------------------------

    def excessive(self, excess: Excess, size_of: Callable[[int], int], lookup: Lookup) -> list[Closing]:
        """Foreign spans that are to be shed (see `Shedder.decide`). The index is unchanged until `relieved`."""
        return self._shedder.decide(self._ready, excess, size_of, lookup)

    def relieved(self, closings: Sequence[Closing], now: int) -> None:
        """The journal has shed them. What is remembered of them is read again when their trace is looked at."""
        self.carried_out(closings, now)
        for closing in closings:
            trace = self._traces.get(closing.trace_id)
            if trace is not None:
                trace.known = trace.ids = None

    # -- Questions -------------------------------------------------------------------------------------------

    @property
    def open_traces(self) -> int:
        """How many traces have open spans."""
        return len(self._traces)

    def fresh(self, trace_ids: Iterable[bytes]) -> int:
        """How many of these traces have none yet."""
        return len(set(trace_ids) - self._traces.keys())

    def traces(self) -> list[bytes]:
        """Ids of all traces with open spans."""
        return [*self._traces]

    def groups(self, trace_id: bytes, lookup: Lookup) -> dict[Owner, list[OpenSpan]]:
        """The open spans of a trace by what they belong to; none where it has none any more."""
        trace = self._traces.get(trace_id)
        if trace is None:
            return {}
        known = trace.load(trace_id, lookup)
        spans = trace.open_spans()
        groups: defaultdict[Owner, list[OpenSpan]] = defaultdict(list)
        for span_id, owner in owners(spans, known).items():
            if span_id in spans:
                groups[owner].append(spans[span_id])
        return groups

    def needed(self, lookup: Lookup) -> _Needed:
        """Which closed tasks still have open late spans: those are not forgotten."""
        return _Needed(self._traces, lookup)

    def summary(self) -> Summary:
        """Counts for `status`."""
        ready = sum(bool(self._traces[trace_id].tasks) for trace_id in self._ready)
        census = self._census
        return Summary(len(self._traces), census.with_task - ready, self._ready_records, census.oldest_arrival)


class Summary(NamedTuple):
    """Open traces, those with a task that waits for its grace, records ready to be sealed, the oldest arrival.

    That is in ns, to the second below.
    """

    traces: int
    with_task: int
    ready: int
    oldest_arrival: int | None


class _Needed:
    """Callable for the journal's expiry: (trace id, task span id) → an open span belongs to it."""

    def __init__(self, traces: dict[bytes, Trace], lookup: Lookup) -> None:
        self._traces = traces
        self._lookup = lookup
        self._cache: dict[bytes, set[bytes]] = defaultdict(set)

    def __call__(self, trace_id: bytes, task: bytes) -> bool:
        trace = self._traces.get(trace_id)
        if trace is None:
            return False
        if trace_id not in self._cache:
            known = trace.load(trace_id, self._lookup)
            found = owners(trace.open_spans(), known)
            self._cache[trace_id] = {owner.span_id for owner in found.values() if owner.place is Place.CLOSED}
        return task in self._cache[trace_id]


def _remember(trace: Trace, closing: Closing) -> None:
    """Keep the trace's own view of what is closed and gone in step with the journal's."""
    if trace.known is None or trace.known is NOTHING_KNOWN:
        trace.known = Known({}, {})
    sealed = closing.sealed
    if sealed is not None and sealed.kind is not SealKind.ORPHAN:
        for start in range(0, len(closing.span_ids), 8):
            trace.known.closed[closing.span_ids[start : start + 8]] = sealed.span_id
    for link in closing.links:
        trace.known.links[link.span_id] = link
