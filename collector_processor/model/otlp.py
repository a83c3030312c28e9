"""OTLP's frame, read down to its entries: resources hold scopes, and scopes hold spans or log records, here as bytes.

So one that can't be decoded harms no other, and what is not asked for, a thousand other tasks of an endless trace, is
never decoded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "collector_processor.model"

# Resource and scope are repeated because a sender may write such a field in parts, which protobuf merges.
_MESSAGES: Final[dict[str, tuple[tuple[str, int, str | None], ...]]] = {
    "Frame": (("resources", 1, "InResource"),),
    "InResource": (("resource", 1, None), ("scopes", 2, "InScope")),
    "InScope": (("scope", 1, None), ("entries", 2, None)),
}


class Origin(NamedTuple):
    """Resource and instrumentation scope of an entry, as bytes."""

    resource: bytes
    scope: bytes


def entries_of(payload: bytes, positions: Collection[int]) -> list[tuple[Origin, bytes]]:
    """Return what stands at these positions of a `TracesData` or `LogsData`, with where it comes from.

    Positions are counted through the whole message, from 0; those behind its end give nothing.

    Raises:
        DecodeError: the payload is no such message.
    """
    wanted = sorted(positions)
    found: list[tuple[Origin, bytes]] = []
    first = at = 0
    for resource in _Frame.FromString(payload).resources:
        described = b"".join(resource.resource)
        for scope in resource.scopes:
            entries = scope.entries
            end = first + len(entries)
            upto = bisect_left(wanted, end, at)
            if upto > at:
                origin = Origin(described, b"".join(scope.scope))
                found += [(origin, entries[position - first]) for position in wanted[at:upto]]
            first, at = end, upto
    return found


def _build() -> Any:
    """Build the message class `Frame`, in a pool of its own; a field is repeated bytes or repeated messages."""
    file = descriptor_pb2.FileDescriptorProto(name="collector_processor/model.proto", package=_PACKAGE, syntax="proto3")
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
