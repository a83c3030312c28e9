"""Raw OTLP parts → the spans and log records of a task, with attribute values as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.analyse.material import Event, Material, Part, SpanRead, Work
from collector_processor.model.otlp import entries_of
from collector_processor.model.record import decode_point
from collector_processor.model.stages import Signal
from otel_benchmark import attributes as a

MAX_DEPTH: Final = 16
"""Of lists and maps within one another; what lies deeper is left out."""


def read(work: Work) -> Material:
    """Decode what an analyser works on.

    Raises:
        DecodeError: a part is no OTLP message, so the journal's entry is not what was written.
    """
    spans, logs, unreadable = _read(work.parts)
    return Material(
        record=decode_point(work.record),
        spans=spans,
        logs=logs,
        kept=frozenset(work.kept),
        gone=work.gone,
        calls=work.calls,
        unreadable=unreadable,
    )


@lru_cache(maxsize=2)
def _read(parts: tuple[Part, ...]) -> tuple[Sequence[SpanRead], Sequence[Event], int]:
    """Decode spans and log records, and count what can't be; the facets of two tasks come in turns."""
    spans: dict[str, SpanRead] = {}
    logs: list[Event] = []
    unreadable = 0
    for part in parts:
        for _, raw in entries_of(part.payload, part.positions):
            try:
                if part.signal is Signal.LOGS:
                    logs.append(_log(LogRecord.FromString(raw)))
                else:
                    span = _span(Span.FromString(raw))
                    spans.setdefault(span.span_id, span)
            except DecodeError:
                unreadable += 1
    ordered = sorted(spans.values(), key=lambda span: (span.start, span.end, span.span_id))
    return ordered, sorted(logs, key=lambda event: event.time), unreadable


def plain(value: AnyValue, depth: int = MAX_DEPTH) -> Any:
    """Return an attribute's value as a Python value; bytes become their number, for nobody reads them."""
    kind = value.WhichOneof("value")
    if kind is None or depth == 0:
        return None
    if kind == "array_value":
        return [plain(item, depth - 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value, depth - 1) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return f"<{len(value.bytes_value)} bytes>"
    return getattr(value, kind)


def _span(span: Span) -> SpanRead:
    return SpanRead(
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes={item.key: plain(item.value) for item in span.attributes},
        events=[
            Event(event.name, event.time_unix_nano, {item.key: plain(item.value) for item in event.attributes})
            for event in span.events
        ],
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        dropped=span.dropped_attributes_count,
    )


def _log(record: LogRecord) -> Event:
    attributes = {item.key: plain(item.value) for item in record.attributes}
    name = record.event_name or str(attributes.get(a.EVENT_NAME, ""))
    time = record.time_unix_nano or record.observed_time_unix_nano
    return Event(name, time, attributes, record.span_id.hex(), plain(record.body))
