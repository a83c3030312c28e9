"""Hold back the tasks of halted sources: they are journalled under a share of the journal, and not sealed.

A trace waits as a whole as long as one of its sources is halted. Used in the journal's commit thread alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from collector_processor.errors import DamagedEntryError, JournalFullError
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Closing, Fragment, Stored


class Held(NamedTuple):
    """What the journal holds of a halted source, of the bytes it may; how long until then at the rate so far."""

    bytes: int
    max_bytes: int
    seconds_to_full: float | None


class Holding:
    """Which sources are halted, and what is held of them.

    Args:
        max_bytes: what the journal may hold of one source.
        sources_of: every name of the sources of a payload.
    """

    def __init__(self, max_bytes: int, sources_of: Callable[[bytes], frozenset[str]]) -> None:
        self.max_bytes = max_bytes
        self._sources_of = sources_of
        self.sources: frozenset[str] = frozenset()
        self._since: dict[str, float] = {}
        self._came: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._fragments: dict[int, _Known] = {}
        self._traces: set[bytes] = set()

    def halt(self, sources: frozenset[str]) -> set[bytes]:
        """Halt these and no others; returns the traces that are to be looked at anew."""
        self._since = {source: self._since.get(source, time.monotonic()) for source in sources}
        self._came = {source: self._came.get(source, 0) for source in sources}
        self.sources = sources
        if not sources:
            self._fragments = {}
        self._recount()
        held, self._traces = self._traces, set()
        return held

    def forget_gone(self, transaction: Transaction) -> None:
        """Count only what is still in the journal, after something was taken out of it otherwise than by sealing."""
        if self._fragments:
            present = {stored.sequence for stored in transaction.fragments()}
            self._fragments = {sequence: known for sequence, known in self._fragments.items() if sequence in present}
            self._recount()

    def _recount(self) -> None:
        held = Counter(dict.fromkeys(self.sources, 0))
        for known in self._fragments.values():
            held.update(dict.fromkeys(known.sources & self.sources, known.bytes))
        self._bytes = dict(held)

    def check(self, fragments: Iterable[Fragment]) -> None:
        """Refuse a request of a halted source whose share is used up. Raises JournalFullError."""
        if not self.sources:
            return
        sizes = dict(self._bytes)
        for fragment in fragments:
            for source in self._sources_of(fragment.payload) & self.sources:
                sizes[source] += len(fragment.payload)
                if sizes[source] > self.max_bytes:
                    raise JournalFullError(
                        f"{source} is halted after a privacy violation, and its share of the journal "
                        f"({self.max_bytes} bytes) is full: `otel-benchmark privacy status`"
                    )

    def note(self, stored: Stored, payload: bytes) -> None:
        """A fragment is in the journal."""
        if self.sources and stored.sequence not in self._fragments:
            for source in self._count(stored.sequence, payload):
                self._came[source] += len(payload)

    def part(self, transaction: Transaction, closings: Sequence[Closing]) -> tuple[list[Closing], set[bytes]]:
        """What may be sealed, and the traces that are held."""
        if not self.sources:
            return [*closings], set()
        held = {
            closing.trace_id
            for closing in closings
            if closing.sealed is not None
            and any(self._is_halted(transaction, member.sequence) for member in closing.sealed.members)
        }
        self._traces |= held
        parting = [closing for closing in closings if closing.trace_id not in held]
        for closing in parting:
            members = (*(closing.sealed.members if closing.sealed is not None else ()), *closing.dropped)
            self.left(member.sequence for member in members)
        return parting, held

    def _is_halted(self, transaction: Transaction, sequence: int) -> bool:
        known = self._fragments.get(sequence)
        if known is not None:
            return bool(known.sources & self.sources)
        try:
            payload = transaction.payload(sequence)
        except DamagedEntryError:
            return False  # nobody can read it: its task becomes a dead letter
        return bool(self._count(sequence, payload))

    def _count(self, sequence: int, payload: bytes) -> frozenset[str]:
        """Remember a fragment; returns the halted ones of its sources."""
        known = self._fragments[sequence] = _Known(self._sources_of(payload), len(payload))
        halted = known.sources & self.sources
        for source in halted:
            self._bytes[source] += known.bytes
        return halted

    def left(self, sequences: Iterable[int]) -> None:
        """Fragments go, or parts of them; of that, what stays is counted when it is looked at again."""
        for sequence in sequences:
            known = self._fragments.pop(sequence, None)
            if known is not None:
                for source in known.sources & self.sources:
                    self._bytes[source] -= known.bytes

    def state(self) -> dict[str, Held]:
        """What is held, by source."""
        now = time.monotonic()
        states = {}
        for source, size in self._bytes.items():
            # The commit thread may just have resumed it. What was held before the start came at a rate nobody knows.
            rate = self._came.get(source, 0) / max(now - self._since.get(source, now), 1.0)
            room = max(0, self.max_bytes - size)
            states[source] = Held(size, self.max_bytes, room / rate if rate else None)
        return states


class _Known(NamedTuple):
    """A fragment in the journal: every name of its sources, and its size."""

    sources: frozenset[str]
    bytes: int
