"""The real OTLP exporters of the SDK against both receivers."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.lifecycle import payload, task
from support.processor import wait_until

from collector_processor.errors import OverloadedError
from collector_processor.model.stages import FragmentFlag
from otel_benchmark import attributes as names


def http_exporter(receivers, **options):
    return HttpExporter(endpoint=f"{receivers.http}/v1/traces", **options)


def grpc_exporter(receivers, **options):
    compression = GRPC_COMPRESSIONS[options.pop("compression", Compression.NoCompression)]
    return GrpcExporter(endpoint=f"http://{receivers.grpc}", insecure=True, compression=compression, **options)


GRPC_COMPRESSIONS = {
    Compression.NoCompression: grpc.Compression.NoCompression,
    Compression.Gzip: grpc.Compression.Gzip,
    Compression.Deflate: grpc.Compression.Deflate,
}
EXPORTERS = [http_exporter, grpc_exporter]


@pytest.fixture
def finished_spans():
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "arbiter"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("otel_benchmark")
    with (
        tracer.start_as_current_span("task code-editing", attributes={names.TASK_ID: "t-1"}),
        tracer.start_as_current_span("route bandit", attributes={names.ROUTING_SELECTED_ID: "a"}),
    ):
        pass
    provider.shutdown()
    return memory.get_finished_spans()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_spans_of_the_real_exporter_arrive(receivers, finished_spans, exporter, compression):
    with contextlib.closing(Shutdown(exporter(receivers, compression=compression))) as sender:
        assert sender.exporter.export(finished_spans) is SpanExportResult.SUCCESS
    (fragment,) = receivers.intake.fragments
    assert fragment.flags == FragmentFlag.TASK | FragmentFlag.LIFECYCLE
    assert [span.name for span in receivers.intake.spans] == ["route bandit", "task code-editing"]
    assert fragment.trace_id == finished_spans[0].context.trace_id.to_bytes(16, "big")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_batch_processor_delivers_all(receivers, exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter(receivers), max_export_batch_size=100))
    tracer = provider.get_tracer("app")
    for number in range(350):
        tracer.start_span(f"step {number}").end()
    provider.shutdown()
    assert {span.name for span in receivers.intake.spans} == {f"step {number}" for number in range(350)}
    assert len(receivers.intake.fragments) == 350


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_exporter_comes_back_after_an_overload(receivers, finished_spans, exporter):
    receivers.intake.errors.append(OverloadedError("the journal is full", retry_after=0.01))
    with contextlib.closing(Shutdown(exporter(receivers))) as sender:
        assert sender.exporter.export(finished_spans) is SpanExportResult.SUCCESS
    assert receivers.intake.requests == 2
    assert len(receivers.intake.spans) == 2


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_exporter_does_not_repeat_what_is_broken(receivers, finished_spans, exporter):
    receivers.intake.errors.append(RuntimeError("a bug"))
    with contextlib.closing(Shutdown(exporter(receivers))) as sender:
        assert sender.exporter.export(finished_spans) is SpanExportResult.FAILURE
    assert receivers.intake.requests == 1


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_greedy_connection_leaves_room_for_others(receivers, loop, export, finished_spans, exporter):
    receivers.intake.hold = asyncio.Event()
    body = payload([task()], {"filler": "x" * 1_900_000})
    greedy = export.future(body)
    wait_until(lambda: receivers.admission.bytes_in_flight >= len(body))
    with pytest.raises(grpc.RpcError) as refused:
        export(body)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "bytes of this connection" in str(refused.value.details())
    assert "google.rpc.retryinfo-bin" in dict(refused.value.trailing_metadata())
    with contextlib.closing(Shutdown(exporter(receivers))) as sender, ThreadPoolExecutor(1) as thread:
        sending = thread.submit(sender.exporter.export, finished_spans)
        wait_until(lambda: receivers.admission.bytes_in_flight > len(body))
        loop.call(receivers.intake.hold.set)
        assert sending.result(30) is SpanExportResult.SUCCESS
    assert greedy.result() == b""


class Shutdown:
    """An exporter under the name that contextlib.closing knows."""

    def __init__(self, exporter):
        self.exporter = exporter

    def close(self):
        self.exporter.shutdown()
