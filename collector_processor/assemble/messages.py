"""Protobuf messages of our own over OTLP's wire format: the same bytes, read only as deep as needed.

`RawTraces` stops at spans, resources and scopes and keeps them as bytes; `HeaderTraces` reads each span's header
and skips the rest. A request of log records has the same numbers on the wire, so `RawTraces` reads it too, and
`HeaderLogs` goes by the same names. Everything textual is declared as `bytes`: one invalid UTF-8 string would
otherwise refuse a whole request. Resource, scope and schema URL are `repeated`, because a sender may write such a
field in parts: protobuf merges them, and repeating them as they came keeps that. `KnownSpan` declares every field of
a span, so that what it doesn't know is none, or has a wrong wire type.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "collector_processor.wire"

_MESSAGES: Final[dict[str, tuple[tuple[str, int, str], ...]]] = {
    "RawTraces": (("resource_spans", 1, "repeated RawResourceSpans"),),
    "RawResourceSpans": (
        ("resource", 1, "repeated bytes"),
        ("scope_spans", 2, "repeated RawScopeSpans"),
        ("schema_url", 3, "repeated bytes"),
    ),
    "RawScopeSpans": (
        ("scope", 1, "repeated bytes"),
        ("spans", 2, "repeated bytes"),
        ("schema_url", 3, "repeated bytes"),
    ),
    "HeaderTraces": (("resource_spans", 1, "repeated HeaderResourceSpans"),),
    "HeaderResourceSpans": (("scope_spans", 2, "repeated HeaderScopeSpans"),),
    "HeaderScopeSpans": (("spans", 2, "repeated SpanHeader"),),
    "SpanHeader": (
        ("trace_id", 1, "bytes"),
        ("span_id", 2, "bytes"),
        ("parent_span_id", 4, "bytes"),
        ("name", 5, "bytes"),
        ("start_time_unix_nano", 7, "fixed64"),
        ("end_time_unix_nano", 8, "fixed64"),
    ),
    "KnownSpan": (
        ("trace_id", 1, "bytes"),
        ("span_id", 2, "bytes"),
        ("trace_state", 3, "bytes"),
        ("parent_span_id", 4, "bytes"),
        ("name", 5, "bytes"),
        ("kind", 6, "uint64"),
        ("start_time_unix_nano", 7, "fixed64"),
        ("end_time_unix_nano", 8, "fixed64"),
        ("attributes", 9, "repeated bytes"),
        ("dropped_attributes_count", 10, "uint64"),
        ("events", 11, "repeated bytes"),
        ("dropped_events_count", 12, "uint64"),
        ("links", 13, "repeated bytes"),
        ("dropped_links_count", 14, "uint64"),
        ("status", 15, "bytes"),
        ("flags", 16, "fixed32"),
    ),
    "HeaderLogs": (("resource_spans", 1, "repeated HeaderResourceLogs"),),
    "HeaderResourceLogs": (("scope_spans", 2, "repeated HeaderScopeLogs"),),
    "HeaderScopeLogs": (("spans", 2, "repeated RecordHeader"),),
    "RecordHeader": (("trace_id", 9, "bytes"), ("span_id", 10, "bytes"), ("event_name", 12, "bytes")),
}
_SCALARS: Final = {
    "bytes": _Field.TYPE_BYTES,
    "uint64": _Field.TYPE_UINT64,
    "fixed64": _Field.TYPE_FIXED64,
    "fixed32": _Field.TYPE_FIXED32,
}


def _build() -> dict[str, Any]:
    """Build the message classes by name, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="collector_processor/wire.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, number, kind in fields:
            *repeated, type_name = kind.split()
            field = declared.field.add(name=name, number=number)
            field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if type_name in _SCALARS:
                field.type = _SCALARS[type_name]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_classes: Final = _build()

RawTraces: Final = _classes["RawTraces"]
HeaderTraces: Final = _classes["HeaderTraces"]
SpanHeader: Final = _classes["SpanHeader"]
KnownSpan: Final = _classes["KnownSpan"]
HeaderLogs: Final = _classes["HeaderLogs"]
RecordHeader: Final = _classes["RecordHeader"]


def unknown_fields(message: Any) -> list[tuple[int, int]]:
    """Fields that a message holds but doesn't declare, or declares with another wire type: (number, wire type)."""
    fields: Any = UnknownFieldSet(message)
    return [(field.field_number, field.wire_type) for field in fields]
