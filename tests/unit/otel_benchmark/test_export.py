"""The processor's own queue: bounded, lifecycle spans first, nothing of it reaches the application."""

import logging
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from otel_benchmark import export
from otel_benchmark.environment import Settings
from otel_benchmark.export import PrioritySpanProcessor, is_lifecycle, otlp_exporter

OURS, THEIRS = InstrumentationScope("otel_benchmark"), InstrumentationScope("requests")


def span(name: str, *, sampled: bool = True, scope: InstrumentationScope = THEIRS) -> ReadableSpan:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return ReadableSpan(name, SpanContext(1, 2, is_remote=False, trace_flags=flags), instrumentation_scope=scope)


class Kept(SpanExporter):
    def __init__(self, *, result: SpanExportResult = SpanExportResult.SUCCESS, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.result, self.error = result, error
        self.closed = False
        self.suppressed: list[bool] = []
        self.threads: set[str] = set()

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]

    def export(self, spans):
        self.suppressed.append(not is_instrumentation_enabled())
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        self.batches.append([each.name for each in spans])
        return self.result

    def shutdown(self):
        self.closed = True


class Waiting(PrioritySpanProcessor):
    """Exports only when asked, so that a test decides what the queue holds."""

    def _run(self) -> None:
        pass


def test_what_is_a_lifecycle_span():
    assert is_lifecycle(span("anything", scope=OURS))
    assert is_lifecycle(span("task research"))
    assert is_lifecycle(span("evaluate"))
    assert not is_lifecycle(span("taskmaster run"))
    assert not is_lifecycle(span("GET /task"))


@given(st.lists(st.booleans(), max_size=60), st.integers(min_value=1, max_value=20))
def test_foreign_spans_never_displace_lifecycle_spans(kinds, capacity):
    exporter = Kept()
    processor = Waiting(lambda: exporter, capacity=capacity)
    for number, lifecycle in enumerate(kinds):
        processor.on_end(span(f"task {number}" if lifecycle else f"GET {number}"))
    processor.force_flush()
    lifecycle_names = [f"task {number}" for number, lifecycle in enumerate(kinds) if lifecycle]
    kept = [name for name in exporter.names if name.startswith("task")]
    assert kept == lifecycle_names[:capacity]
    assert len(exporter.names) == min(capacity, len(kinds))
    assert processor.dropped == len(kinds) - len(exporter.names)
    processor.shutdown()


def test_a_burst_of_foreign_spans_costs_no_record():
    exporter = Kept()
    processor = Waiting(lambda: exporter)
    for number in range(30_000):
        processor.on_end(span("task x" if number % 100 == 0 else "GET"))
    processor.shutdown()
    assert exporter.names.count("task x") == 300


def test_unsampled_spans_are_not_sent():
    exporter = Kept()
    processor = Waiting(lambda: exporter)
    processor.on_end(span("task", sampled=False))
    processor.shutdown()
    assert exporter.names == []
    assert exporter.closed is False  # it was never needed, so it was never made


def test_spans_leave_by_themselves_in_a_thread_of_their_own(monkeypatch):
    monkeypatch.setattr(export, "DELAY_S", 0.01)
    sent = threading.Event()

    class Telling(Kept):
        def export(self, spans):
            try:
                return super().export(spans)
            finally:
                sent.set()

    exporter = Telling()
    processor = PrioritySpanProcessor(lambda: exporter)
    processor.on_end(span("task"))
    assert sent.wait(30)
    processor.shutdown()
    assert exporter.threads == {"otel-benchmark-export"}
    assert exporter.suppressed == [True]
    assert exporter.closed
    processor.on_end(span("task after the end"))
    assert exporter.names == ["task"]


@pytest.mark.parametrize(
    "exporter", [Kept(error=OSError("refused")), Kept(result=SpanExportResult.FAILURE)], ids=["raises", "fails"]
)
def test_what_the_receiver_does_not_take_is_counted_and_said_once(exporter, caplog, monkeypatch):
    processor = Waiting(lambda: exporter)
    for _ in range(5):
        processor.on_end(span("task"))
    processor.force_flush()
    assert processor.dropped == 5
    with caplog.at_level(logging.WARNING):
        processor._log_drops()
        processor.on_end(span("task"))
        processor.force_flush()
        processor._log_drops()
    assert [record.getMessage().split(" ")[0] for record in caplog.records] == ["5"]
    processor.shutdown()


def test_an_exporter_that_can_not_be_made_drops_and_does_not_raise():
    def make() -> SpanExporter:
        raise ImportError("no grpc")

    processor = Waiting(make)
    processor.on_end(span("task"))
    assert processor.force_flush()
    assert processor.dropped == 1
    processor.shutdown()


def test_a_provider_drives_it():
    exporter = Kept()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(PrioritySpanProcessor(lambda: exporter))
    provider.get_tracer("host").start_span("GET").end()
    assert provider.force_flush()
    assert exporter.names == ["GET"]
    provider.shutdown()
    assert exporter.closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_starts_with_an_empty_queue_and_its_own_thread():
    exporter = Kept()
    processor = Waiting(lambda: exporter)
    processor.on_end(span("task of the parent"))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        processor.on_end(span("task of the child"))
        processor.force_flush()
        os.write(writer, "|".join(exporter.names).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"task of the child"
    os.close(reader)
    os.close(writer)
    processor.shutdown()
    assert exporter.names == ["task of the parent"]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://h:4318", "http://h:4318/v1/traces"),
        ("http://h:4318/", "http://h:4318/v1/traces"),
        ("https://h/base", "https://h/base/v1/traces"),
        ("https://h/base/v1/traces", "https://h/base/v1/traces"),
    ],
)
def test_the_http_exporter_gets_the_full_path(endpoint, url):
    exporter = otlp_exporter(Settings(endpoint=endpoint, headers={"authorization": "x"}))
    assert isinstance(exporter, HttpExporter)
    assert exporter._endpoint == url
    exporter.shutdown()


def test_the_grpc_exporter():
    exporter = otlp_exporter(Settings(endpoint="http://127.0.0.1:4317", protocol="grpc"))
    assert isinstance(exporter, GrpcExporter)
    exporter.shutdown()


def test_without_a_thread_to_be_had_spans_wait_for_shutdown(monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    exporter, ended = Kept(), span("task x")
    processor = PrioritySpanProcessor(lambda: exporter)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        processor.on_end(ended)
        processor.shutdown()
    assert exporter.names == ["task x"]
    assert exporter.closed
