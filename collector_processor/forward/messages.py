"""OTLP's frame read down to spans as bytes, so that one span that can't be decoded harms no other.

What is not asked for, a thousand other tasks of an endless trace, is never decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "collector_processor.forward"

# Resource and scope are repeated because a sender may write such a field in parts, which protobuf merges.
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str | None], ...]]] = {
    "Traces": (("resource_spans", 1, "ResourceSpans"),),
    "ResourceSpans": (("resource", 1, None), ("scope_spans", 2, "ScopeSpans")),
    "ScopeSpans": (("scope", 1, None), ("spans", 2, None)),
}


def _build() -> Any:
    """Build the message class `Traces`, in a pool of its own; a field is repeated bytes or repeated messages."""
    file = descriptor_pb2.FileDescriptorProto(
        name="collector_processor/forward.proto", package=_PACKAGE, syntax="proto3"
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
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Traces"))


_Traces: Final = _build()


class Origin(NamedTuple):
    """Resource and instrumentation scope of a span, as bytes."""

    resource: bytes
    scope: bytes


def spans_of(payload: bytes, positions: Sequence[int]) -> Iterator[tuple[Origin, bytes]]:
    """The spans at these positions of a `TracesData` message, as bytes, with where they come from.

    A payload that is no such message gives none.
    """
    try:
        traces = _Traces.FromString(payload)
    except DecodeError:
        return
    wanted = frozenset(positions)
    position = 0
    for resource_spans in traces.resource_spans:
        resource = b"".join(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            origin = Origin(resource, b"".join(scope_spans.scope))
            for span in scope_spans.spans:
                if position in wanted:
                    yield origin, span
                position += 1
