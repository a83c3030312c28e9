"""Jaeger takes a span and gives it back."""

from __future__ import annotations

import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import format_trace_id
from servers.jaeger import Jaeger

PATIENCE_SECONDS = 30


def test_a_span_sent_by_grpc_comes_back_by_the_query_api(jaeger: Jaeger) -> None:
    check(jaeger, GrpcExporter(endpoint=jaeger.otlp_grpc, insecure=True))


def test_a_span_sent_by_http_comes_back_by_the_query_api(jaeger: Jaeger) -> None:
    check(jaeger, HttpExporter(endpoint=f"http://{jaeger.otlp_http}/v1/traces"))


def test_a_trace_that_nobody_sent_is_not_there(jaeger: Jaeger) -> None:
    assert jaeger.trace("1".rjust(32, "0")) is None


def check(jaeger: Jaeger, exporter: SpanExporter) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "arbiter"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("tests").start_as_current_span("task", attributes={"colour": "green"}) as span:
        trace_id = format_trace_id(span.get_span_context().trace_id)
    provider.shutdown()

    deadline = time.monotonic() + PATIENCE_SECONDS
    while (trace := jaeger.trace(trace_id)) is None:
        assert time.monotonic() < deadline, "the span didn't come back"
        time.sleep(0.05)
    [found] = trace["spans"]
    assert found["operationName"] == "task"
    assert {"key": "colour", "type": "string", "value": "green"} in found["tags"]
    [process] = trace["processes"].values()
    assert process["serviceName"] == "arbiter"
