"""Texts of a span: those of its copy, each with how to replace it, and all that it said. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.forward.allowed import SPAN

Clean = Callable[[Sequence[tuple[str, str]], str | None], Sequence[str]]
"""(texts as pairs of attribute and value, hash of their tenant) → as many texts that may leave."""


class LeavingText(NamedTuple):
    """A text of a copy: the attribute that says it, and the message and field where it stands."""

    key: str
    message: Any
    field: str

    @property
    def value(self) -> str:
        """What it says."""
        text: str = getattr(self.message, self.field)
        return text

    def replace(self, value: str) -> None:
        """Have it say something else."""
        if value != self.value:
            setattr(self.message, self.field, value)


def texts_of(copy: Span) -> Iterator[LeavingText]:
    """Give the texts that a sender chose; what this program added to the copy is none of them."""
    yield LeavingText("name", copy, "name")
    for item in copy.attributes:
        if item.key in SPAN:
            yield from values_of(item.key, item.value)
    for event in copy.events:
        for item in event.attributes:
            yield from values_of(item.key, item.value)


def values_of(key: str, value: Any) -> Iterator[LeavingText]:
    """Give the texts of an attribute's value: itself, or those of its list."""
    if value.WhichOneof("value") == "string_value":
        yield LeavingText(key, value, "string_value")
    for item in value.array_value.values if value.WhichOneof("value") == "array_value" else ():
        if item.WhichOneof("value") == "string_value":
            yield LeavingText(key, item, "string_value")


def said_by(original: Span | LogRecord | Resource) -> Iterator[tuple[str, str]]:
    """Give every text of a span, a log record or a resource as it came, with the name that it stands under."""
    for item in original.attributes:
        yield from _said(item.key, item.value)
    if isinstance(original, LogRecord):
        yield from _said("body", original.body)
    if isinstance(original, Span):
        yield "name", original.name
        yield "status.message", original.status.message
        for event in original.events:
            for item in event.attributes:
                yield from _said(item.key, item.value)


def _said(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give the texts of a value, those of maps under the path to them."""
    match value.WhichOneof("value"):
        case "string_value":
            yield key, value.string_value
        case "array_value":
            for item in value.array_value.values:
                yield from _said(key, item)
        case "kvlist_value":
            for item in value.kvlist_value.values:
                yield from _said(f"{key}.{item.key}", item.value)
