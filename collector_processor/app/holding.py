"""Hold back the tasks of halted sources: they are journalled under a share of the journal, and not sealed.

A trace waits as a whole as long as one of its sources is halted. Used in the journal's commit thread alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector_processor.assemble.messages import RawTraces
from collector_processor.errors import DamagedEntryError, JournalFullError
from collector_processor.journal.transaction import Transaction
from collector_processor.model.stages import Closing, Fragment, Stored
from collector_processor.store.halts import UNKNOWN
from otel_benchmark import attributes as a


class Held(NamedTuple):
    """What the journal holds of a halted source, of the bytes it may; how long until then at the rate so far."""

    bytes: int
    max_bytes: int
    seconds_to_full: float | None


class Holding:
    """Which sources are halted, and what is held of them.

    Args:
        max_bytes: what the journal may hold of one source.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.sources: frozenset[str] = frozenset()
        self._since: dict[str, float] = {}
        self._bytes: dict[str, int] = {}
        self._of_fragment: dict[int, frozenset[str]] = {}
        self._traces: set[bytes] = set()

    def halt(self, sources: frozenset[str]) -> set[bytes]:
        """Halt these and no others; returns the traces that are to be looked at anew."""
        self._since = {source: self._since.get(source, time.monotonic()) for source in sources}
        self._bytes = dict.fromkeys(sources, 0)
        self._of_fragment = {}
        self.sources = sources
        held, self._traces = self._traces, set()
        return held

    def check(self, fragments: Iterable[Fragment]) -> None:
        """Refuse a request of a halted source whose share is used up. Raises JournalFullError."""
        if not self.sources:
            return
        sizes = dict(self._bytes)
        for fragment in fragments:
            for source in sources_of(fragment.payload) & self.sources:
                sizes[source] += len(fragment.payload)
                if sizes[source] > self.max_bytes:
                    raise JournalFullError(
                        f"{source} is halted after a privacy violation, and its share of the journal "
                        f"({self.max_bytes} bytes) is full: `otel-benchmark privacy status`"
                    )

    def note(self, stored: Stored, payload: bytes) -> None:
        """A fragment is in the journal."""
        if self.sources and stored.sequence not in self._of_fragment:
            self._count(stored.sequence, payload)

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
        return [closing for closing in closings if closing.trace_id not in held], held

    def _is_halted(self, transaction: Transaction, sequence: int) -> bool:
        known = self._of_fragment.get(sequence)
        if known is None:
            try:
                payload = transaction.payload(sequence)
            except DamagedEntryError:
                return False  # nobody can read it: its task becomes a dead letter
            known = self._count(sequence, payload)
        return bool(known)

    def _count(self, sequence: int, payload: bytes) -> frozenset[str]:
        halted = self._of_fragment[sequence] = sources_of(payload) & self.sources
        for source in halted:
            self._bytes[source] += len(payload)
        return halted

    def state(self) -> dict[str, Held]:
        """What is held, by source."""
        now = time.monotonic()
        states = {}
        for source, size in self._bytes.items():
            rate = size / max(now - self._since.get(source, now), 1.0)  # the commit thread may just have resumed it
            states[source] = Held(size, self.max_bytes, (self.max_bytes - size) / rate if rate else None)
        return states


def sources_of(payload: bytes) -> frozenset[str]:
    """Where the spans of an OTLP payload come from: `namespace/name` of each service."""
    return frozenset(_source(b"".join(each.resource)) for each in RawTraces.FromString(payload).resource_spans)


@lru_cache(maxsize=1024)
def _source(resource: bytes) -> str:
    try:
        attributes = {each.key: each.value.string_value for each in Resource.FromString(resource).attributes}
    except DecodeError:
        return UNKNOWN
    return "/".join(filter(None, map(attributes.get, (a.SERVICE_NAMESPACE, a.SERVICE_NAME)))) or UNKNOWN
