"""What analysers read: a task's record, and the spans and log records around it, decoded once.

A task's raw parts are OTLP payloads as the journal holds them; attribute values become plain Python values, whatever
convention they follow. Times are nanoseconds since the epoch, ids lower-case hex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from collector_processor.model.record import BenchmarkDataPoint
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import Signal


class Part(msgspec.Struct, frozen=True, array_like=True):
    """An OTLP `TracesData` or `LogsData`, and which of its spans or log records belong to the task."""

    payload: bytes
    positions: tuple[int, ...]
    signal: Signal = Signal.TRACES


class Work(msgspec.Struct, frozen=True):
    """One facet of one task, as it goes to the pool.

    Attributes:
        record: the record as it is stored, in its wire form: redacted.
        parts: the spans and log records of its sealed members; empty where they are gone.
        kept: all facets that were kept of the task: a judge reads the conversation only where it is kept too.
        gone: whether the parts had left the journal when the facet was wanted.
        calls: requests to a model that the pool grants; whoever gives the work leaves it alone.
    """

    facet: Facet
    record: bytes
    parts: tuple[Part, ...] = ()
    kept: tuple[Facet, ...] = ()
    gone: bool = False
    calls: int = 0


class Event(NamedTuple):
    """Something at a moment within a span, or a log record, whose body stands under `body`."""

    name: str
    time: int
    attributes: Mapping[str, Any]
    span_id: str = ""
    body: Any = None


class SpanRead(NamedTuple):
    """A span with its attributes as plain values."""

    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    events: Sequence[Event]
    failed: bool = False
    dropped: int = 0
    """Attributes that its sender left out."""


class Material(NamedTuple):
    """A task before an analyser: spans in order of their start, log records in order of time."""

    record: BenchmarkDataPoint
    spans: Sequence[SpanRead]
    logs: Sequence[Event]
    kept: frozenset[Facet] = frozenset()
    gone: bool = False
    calls: int = 0
    unreadable: int = 0
    """Spans and log records that can't be decoded."""
