"""The official exporters against receivers that answer in every way: what is kept, what is dropped, and why."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # upstream's module is untyped
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from otel_benchmark.environment import Settings
from otel_benchmark.export.otlp import otlp_sender
from otel_benchmark.export.sender import Answer, Verdict

SPANS = [ReadableSpan("task", SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))]
PARTIAL = ExportTraceServiceResponse()
PARTIAL.partial_success.rejected_spans = 3
PARTIAL.partial_success.error_message = "no task id"
RETRY = ("google.rpc.retryinfo-bin", RetryInfo().SerializeToString())


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """An exporter's own retries end at once."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")


@pytest.fixture
def new_grpc() -> Iterator[Callable[..., tuple[str, list[dict[str, str]]]]]:
    servers: list[Any] = []

    def start(answer: Callable[[grpc.ServicerContext], ExportTraceServiceResponse]) -> Any:
        headers: list[dict[str, str]] = []

        class Service(TraceServiceServicer):
            def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
                headers.append({key: str(value) for key, value in context.invocation_metadata()})
                return answer(context)

        server = grpc.server(ThreadPoolExecutor(1))
        servers.append(server)
        add_TraceServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"http://127.0.0.1:{port}", headers

    yield start
    for server in servers:
        server.stop(None).wait()


def send(endpoint: str, protocol: str, **headers: str) -> Answer:
    sender = otlp_sender(Settings(endpoint=endpoint, protocol=protocol, headers=headers))()
    try:
        return sender.send(SPANS)
    finally:
        sender.close()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.TAKEN),
        (204, Verdict.TAKEN),
        (302, Verdict.NEVER),
        (400, Verdict.NEVER),
        (401, Verdict.NEVER),
        (413, Verdict.TOO_LARGE),
        (429, Verdict.LATER),
        (500, Verdict.NEVER),
        (503, Verdict.LATER),
    ],
)
def test_an_http_status_says_whether_to_keep_the_spans(http, status, verdict, caplog):
    http.status = status
    answer = send(http.url, "http/protobuf")
    assert answer.verdict is verdict
    assert answer.reason == ("" if verdict is Verdict.TAKEN else f"HTTP {status}")
    assert caplog.messages == []  # the exporter's own lines, a line for every retry


def test_what_an_http_receiver_left_out_is_heard(http):
    http.body = PARTIAL.SerializeToString()
    assert send(http.url, "http/protobuf") == Answer(Verdict.TAKEN, "no task id", 3)


def test_an_answer_in_another_form_is_an_answer(http):
    http.body = b"<html>thanks</html>"
    assert send(http.url, "http/protobuf") == Answer(Verdict.TAKEN)


def test_a_receiver_that_hangs_up_or_is_away_gets_the_spans_later(http):
    http.hangs_up = True
    assert send(http.url, "http/protobuf") == Answer(Verdict.LATER, "ConnectionError")
    assert send("http://127.0.0.1:9", "http/protobuf") == Answer(Verdict.LATER, "ConnectionError")
    assert send("http://127.0.0.1:9", "grpc") == Answer(Verdict.LATER, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("path", "received"),
    [
        ("", "/v1/traces"),
        ("/", "/v1/traces"),
        ("/base", "/base/v1/traces"),
        ("/base/v1/traces", "/base/v1/traces"),
    ],
)
def test_the_http_exporter_gets_the_full_path(http, path, received):
    send(http.url + path, "http/protobuf")
    assert [each for each, _ in http.requests] == [received]


def test_headers_for_the_applications_own_receiver_are_not_sent_to_ours(http, new_grpc, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-vendor-key=secret,authorization=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-vendor-key=secret,authorization=secret")
    url, received = new_grpc(lambda _: ExportTraceServiceResponse())
    for headers in ({}, {"x-team": "agents"}):
        assert send(url, "grpc", **headers).verdict is Verdict.TAKEN
        assert send(http.url, "http/protobuf", **headers).verdict is Verdict.TAKEN
    received += [each for _, each in http.requests]
    assert "secret" not in repr(received)
    assert [each.get("x-team") for each in received] == [None, "agents", None, "agents"]


@pytest.mark.parametrize(
    ("code", "trailing", "verdict"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, (), Verdict.NEVER),
        (grpc.StatusCode.UNAUTHENTICATED, (), Verdict.NEVER),
        (grpc.StatusCode.UNAVAILABLE, (), Verdict.LATER),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (RETRY,), Verdict.LATER),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (), Verdict.TOO_LARGE),
    ],
)
def test_a_grpc_code_says_whether_to_keep_the_spans(new_grpc, code, trailing, verdict, caplog):
    def refuse(context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        context.set_trailing_metadata(trailing)
        context.abort(code, "no")
        raise AssertionError  # abort() raises

    url, _ = new_grpc(refuse)
    caplog.clear()
    answer = send(url, "grpc")
    assert answer.verdict is verdict
    assert answer.reason in {code.name, "DEADLINE_EXCEEDED"}
    assert [record.name for record in caplog.records if record.name.startswith("opentelemetry")] == []


def test_both_receivers_may_ask_for_a_delay(http, new_grpc):
    """Longer than an exporter waits itself."""
    delay = RetryInfo()
    delay.retry_delay.FromMilliseconds(60_500)

    def refuse(code: grpc.StatusCode) -> Callable[[grpc.ServicerContext], ExportTraceServiceResponse]:
        def abort(context: grpc.ServicerContext) -> ExportTraceServiceResponse:
            context.set_trailing_metadata(((RETRY[0], delay.SerializeToString()),))
            context.abort(code, "no")
            raise AssertionError  # abort() raises

        return abort

    http.status, http.retry_after = 429, "60"
    assert send(http.url, "http/protobuf") == Answer(Verdict.LATER, "HTTP 429", delay_s=60)
    assert len(http.requests) == 1
    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        url, headers = new_grpc(refuse(code))
        assert send(url, "grpc") == Answer(Verdict.LATER, code.name, delay_s=60.5)
        assert len(headers) == 1


def test_what_a_grpc_receiver_left_out_is_heard(new_grpc):
    url, _ = new_grpc(lambda _: PARTIAL)
    assert send(url, "grpc") == Answer(Verdict.TAKEN, "no task id", 3)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_sending_imports_nothing(protocol):
    """An import in our thread, cut by a fork, would leave the child a module that is half made and locked."""
    code = f"""
import sys
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags
from otel_benchmark.environment import Settings
from otel_benchmark.export.otlp import otlp_sender
make = otlp_sender(Settings(endpoint="http://localhost:9", protocol={protocol!r}))
span = ReadableSpan("task", SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)), attributes={{"a": "b"}})
before = set(sys.modules)
make().send([span])
print(set(sys.modules) - before)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout == "set()\n"
