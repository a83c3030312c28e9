"""Small OTLP spans for tests that care about trees and bytes, not about attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from otel_benchmark import attributes as names

NAMES = {
    "task": "task code-editing",
    "route": "route bandit",
    "execution": "invoke_agent alpha",
    "tool": "execute_tool read_file",
    "evaluation": "evaluate rubric",
    "foreign": "GET /",
}


class Piece(NamedTuple):
    """One span of a test: numbers stand for trace and span ids; parent 0 is a root."""

    trace: int
    span: int
    parent: int
    kind: str
    task_id: str = "t"

    @property
    def trace_id(self) -> bytes:
        return self.trace.to_bytes(16, "big")

    @property
    def span_id(self) -> bytes:
        return self.span.to_bytes(8, "big")

    def message(self, *, start: int = 1_760_000_000_000_000_000) -> Span:
        span = Span(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent.to_bytes(8, "big") if self.parent else b"",
            name=NAMES[self.kind],
            start_time_unix_nano=start,
            end_time_unix_nano=start + 1_000_000,
        )
        if self.kind != "foreign":
            span.attributes.append(KeyValue(key=names.TASK_ID, value=AnyValue(string_value=self.task_id)))
        return span


def request(pieces: Iterable[Piece]) -> bytes:
    """A trace request that holds the spans in this order."""
    scope = ScopeSpans(spans=[piece.message() for piece in pieces])
    return TracesData(resource_spans=[ResourceSpans(scope_spans=[scope])]).SerializeToString()
