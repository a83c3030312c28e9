"""Raw OTLP parts → the spans and log records of a task, with attribute values as plain Python values.

`TracesData` and `LogsData` have one frame: resources hold scopes, scopes hold entries. It is read down to entries as
bytes, so that one that can't be decoded harms no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.analyse.material import Event, Material, Part, SpanRead, Work
from collector_processor.model.record import decode_point
from collector_processor.model.stages import Signal
from otel_benchmark import attributes as a

MAX_DEPTH: Final = 16
"""Of lists and maps within one another; what lies deeper is left out."""

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "collector_processor.analyse"
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str | None], ...]]] = {
    "Frame": (("resources", 1, "InResource"),),
    "InResource": (("scopes", 2, "InScope"),),
    "InScope": (("entries", 2, None),),
}


def read(work: Work) -> Material:
    """Decode what an analyser works on.

    Raises:
        DecodeError: a part is no OTLP message, so the journal's entry is not what was written.
    """
    spans: dict[str, SpanRead] = {}
    logs: list[Event] = []
    unreadable = 0
    for part in work.parts:
        for raw in _entries(part):
            try:
                if part.signal is Signal.LOGS:
                    logs.append(_log(LogRecord.FromString(raw)))
                else:
                    span = _span(Span.FromString(raw))
                    spans.setdefault(span.span_id, span)
            except DecodeError:
                unreadable += 1
    return Material(
        record=decode_point(work.record),
        spans=sorted(spans.values(), key=lambda span: (span.start, span.end, span.span_id)),
        logs=sorted(logs, key=lambda event: event.time),
        kept=frozenset(work.kept),
        gone=work.gone,
        calls=work.calls,
        unreadable=unreadable,
    )


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


def _entries(part: Part) -> Iterator[bytes]:
    wanted: Sequence[int] | frozenset[int] = frozenset(part.positions)
    position = 0
    for resource in _Frame.FromString(part.payload).resources:
        for scope in resource.scopes:
            for entry in scope.entries:
                if position in wanted:
                    yield entry
                position += 1


def _build() -> Any:
    """Build the message class `Frame`, in a pool of its own; a field is repeated bytes or repeated messages."""
    file = descriptor_pb2.FileDescriptorProto(
        name="collector_processor/analyse.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, number, type_name in fields:
            field = message.field.add(name=name, number=number, label=_Field.LABEL_REPEATED, type=_Field.TYPE_BYTES)
            if type_name is not None:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Frame"))


_Frame: Final = _build()
