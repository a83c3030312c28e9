"""Protobuf messages of our own over OTLP's wire format: the same bytes, decoded only as far as conversion needs.

`Span` declares its attributes as `map<string, AnyValue>`, which on the wire is what `repeated KeyValue` is: upb builds
the hash map in C and Python looks up only the names it wants. Two traps come with that: `map[name]` inserts, so only
`.get()` is used; and a KeyValue with an unknown field vanishes from the map whole, so such a span is read the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "collector_processor.convert"
_ANY_VALUE: Final = "opentelemetry.proto.common.v1.AnyValue"
_KEY_VALUE: Final = "opentelemetry.proto.common.v1.KeyValue"

_SCALARS: Final = {
    "bytes": _Field.TYPE_BYTES,
    "string": _Field.TYPE_STRING,
    "fixed32": _Field.TYPE_FIXED32,
    "fixed64": _Field.TYPE_FIXED64,
    "int32": _Field.TYPE_INT32,
    "uint32": _Field.TYPE_UINT32,
}

_MESSAGES: Final[dict[str, tuple[tuple[str, int, str], ...]]] = {
    "Resource": (("attributes", 1, "map"),),
    "Scope": (("name", 1, "string"), ("version", 2, "string")),
    "Header": (("trace_id", 1, "bytes"), ("span_id", 2, "bytes"), ("parent_span_id", 4, "bytes")),
    "Span": (
        ("trace_id", 1, "bytes"),
        ("span_id", 2, "bytes"),
        ("trace_state", 3, "string"),
        ("parent_span_id", 4, "bytes"),
        ("name", 5, "string"),
        ("kind", 6, "int32"),
        ("start_time_unix_nano", 7, "fixed64"),
        ("end_time_unix_nano", 8, "fixed64"),
        ("attributes", 9, "map"),
        ("dropped_attributes_count", 10, "uint32"),
        ("events", 11, "repeated Event"),
        ("dropped_events_count", 12, "uint32"),
        ("links", 13, "repeated Link"),
        ("dropped_links_count", 14, "uint32"),
        ("status", 15, "Status"),
        ("flags", 16, "fixed32"),
    ),
    "LogRecord": (
        ("time_unix_nano", 1, "fixed64"),
        ("attributes", 6, f"repeated {_KEY_VALUE}"),
        ("trace_id", 9, "bytes"),
        ("span_id", 10, "bytes"),
        ("observed_time_unix_nano", 11, "fixed64"),
        ("event_name", 12, "string"),
    ),
    "Event": (("time_unix_nano", 1, "fixed64"), ("name", 2, "string"), ("attributes", 3, f"repeated {_KEY_VALUE}")),
    "Link": (("trace_id", 1, "bytes"), ("span_id", 2, "bytes")),
    "Status": (("message", 2, "string"), ("code", 3, "int32")),
}


def _declare_map(message: descriptor_pb2.DescriptorProto, name: str, number: int) -> None:
    """Add a field `map<string, AnyValue>`, which a descriptor spells as repeated entries of a nested type."""
    entry = message.nested_type.add(name=f"{name.title()}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(
        name="value", number=2, type=_Field.TYPE_MESSAGE, type_name=f".{_ANY_VALUE}", label=_Field.LABEL_OPTIONAL
    )
    message.field.add(
        name=name,
        number=number,
        type=_Field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{message.name}.{entry.name}",
        label=_Field.LABEL_REPEATED,
    )


def _build() -> dict[str, Any]:
    """Build the message classes by name, in a pool of their own."""
    common = descriptor_pb2.FileDescriptorProto()
    common_pb2.DESCRIPTOR.CopyToProto(common)
    file = descriptor_pb2.FileDescriptorProto(
        name="collector_processor/convert.proto", package=_PACKAGE, syntax="proto3", dependency=[common.name]
    )
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind in fields:
            *repeated, type_name = kind.split()
            if type_name == "map":
                _declare_map(message, name, number)
                continue
            field = message.field.add(name=name, number=number)
            field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if type_name in _SCALARS:
                field.type = _SCALARS[type_name]
            else:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{type_name}" if "." in type_name else f".{_PACKAGE}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(common)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_classes: Final = _build()

Header: Final = _classes["Header"]
Resource: Final = _classes["Resource"]
Scope: Final = _classes["Scope"]
Span: Final = _classes["Span"]
LogRecord: Final = _classes["LogRecord"]

Lookup = Callable[[str], Any]
"""Attribute name → AnyValue, or None where it is absent."""


def span_attributes(span: Any, raw: bytes) -> Lookup:
    """Return the look-up of a decoded `Span`'s attributes; `raw` is what it was decoded from."""
    if _hides(span, field_number=9):
        return {item.key: item.value for item in trace_pb2.Span.FromString(raw).attributes}.get
    lookup: Lookup = span.attributes.get
    return lookup


def resource_attributes(resource: Any, raw: bytes) -> Lookup:
    """Return the look-up of a decoded `Resource`'s attributes; `raw` is what it was decoded from."""
    if _hides(resource, field_number=1):
        return {item.key: item.value for item in resource_pb2.Resource.FromString(raw).attributes}.get
    lookup: Lookup = resource.attributes.get
    return lookup


def _hides(message: Any, *, field_number: int) -> bool:
    """Tell whether entries of a map did not fit it: they stand among the unknown fields then."""
    unknown: Any = UnknownFieldSet(message)
    return bool(len(unknown)) and any(field.field_number == field_number for field in unknown)
