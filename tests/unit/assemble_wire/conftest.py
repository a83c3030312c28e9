"""Requests as senders write them, built with OTLP's official classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

START = 1_760_000_000_000_000_000
TRACE_A = bytes.fromhex("0a" * 16)
TRACE_B = bytes.fromhex("0b" * 16)


def _span(
    number: int = 1, *, trace_id: bytes = TRACE_A, name: str = "GET /", keys: Iterable[str] = (), **fields: Any
) -> Span:
    values: dict[str, Any] = {
        "trace_id": trace_id,
        "span_id": number.to_bytes(8, "big"),
        "parent_span_id": b"\x09" * 8,
        "name": name,
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 1,
    }
    span = Span(**(values | fields))
    for key in keys:
        span.attributes.add(key=key).value.string_value = "x"
    return span


def _request(*spans: Span) -> bytes:
    traces = TracesData()
    resource = traces.resource_spans.add(schema_url="https://example.test/resource")
    resource.resource.attributes.add(key="service.name").value.string_value = "arbiter"
    scope = resource.scope_spans.add(schema_url="https://example.test/scope", spans=spans)
    scope.scope.name = "otel_benchmark"
    return traces.SerializeToString()


@pytest.fixture
def make_span() -> Callable[..., Span]:
    return _span


@pytest.fixture
def make_request() -> Callable[..., bytes]:
    return _request
