"""What OTLP/gRPC answers, and what its trailers say."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]  # has no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from collector_processor.errors import ConfigError, OverloadedError, RequestTooLargeError
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.otlp_grpc import GrpcReceiver


def request(name: str = "GET /") -> bytes:
    traces = TracesData()
    span = traces.resource_spans.add().scope_spans.add().spans.add(name=name, trace_id=b"\x0a" * 16)
    span.span_id, span.start_time_unix_nano, span.end_time_unix_nano = b"\x0b" * 8, 1, 2
    return traces.SerializeToString()


GOOD = request()


@pytest.fixture
def refused(export):
    """Call, expect an error: (code, details, trailers); then see that the next call works."""

    def call(body=GOOD, **options):
        with pytest.raises(grpc.RpcError) as error:
            export(body, **options)
        assert export(GOOD) == b""
        return (
            error.value.code(),
            error.value.details(),
            {entry.key: entry.value for entry in error.value.trailing_metadata()},
        )

    return call


@pytest.mark.parametrize("compression", grpc.Compression)
def test_a_request_is_handed_on_as_it_came(receivers, export, compression):
    assert export(GOOD, compression=compression) == b""
    assert [fragment.payload for fragment in receivers.intake.fragments] == [GOOD]


def test_an_empty_request_is_fine(receivers, export):
    assert export(b"") == b""
    assert receivers.intake.fragments == []


def test_rejected_spans_are_reported(receivers, export):
    partial = ExportTraceServiceResponse.FromString(export(request(name="") + GOOD)).partial_success
    assert partial.rejected_spans == 1
    assert "name must be UTF-8 text and not empty" in partial.error_message
    assert len(receivers.intake.spans) == 1


@pytest.mark.parametrize("body", [GOOD[:-1], b"\x0a\x03abc", b"\x08\x01"])
def test_a_malformed_body_is_an_invalid_argument(receivers, refused, body):
    code, details, trailers = refused(body)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "protobuf" in details or "wire type" in details
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (code_pb2.INVALID_ARGUMENT, details)
    assert len(receivers.intake.spans) == 1


def test_an_overload_tells_the_delay_in_both_places(receivers, refused):
    receivers.intake.errors.append(OverloadedError("the journal is full"))
    code, details, trailers = refused()
    assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "the journal is full")
    info = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details[0].Unpack(info)
    assert 1 <= info.retry_delay.ToMilliseconds() / 1000 <= 2
    assert error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]) == info


def test_what_the_intake_finds_too_large_is_exhausted_without_a_delay(receivers, refused):
    receivers.intake.errors.append(RequestTooLargeError("too many traces"))
    code, details, trailers = refused()
    assert (code, details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many traces")
    assert not status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
    assert "google.rpc.retryinfo-bin" not in trailers


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_over_the_limit_is_exhausted_also_where_it_was_small_on_the_wire(receivers, refused, compression):
    code, _, trailers = refused(bytes(50_000_000), compression=compression)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in trailers
    assert receivers.intake.requests == 1


def test_an_unforeseen_error_is_internal_without_its_text(receivers, refused):
    receivers.intake.errors.append(RuntimeError("secret"))
    code, details, _ = refused()
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in details


def test_a_service_that_is_not_received_is_unimplemented(receivers):
    with grpc.insecure_channel(receivers.grpc) as channel:
        metrics = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", bytes, bytes)
        with pytest.raises(grpc.RpcError) as error:
            metrics(b"")
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_work_goes_on_and_is_counted_after_its_client_has_given_up(receivers, loop, export):
    receivers.intake.hold = asyncio.Event()
    call = export.future(GOOD)
    wait_until(lambda: receivers.admission.bytes_in_flight)
    call.cancel()
    with grpc.insecure_channel(receivers.grpc) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/no.Such/Method", bytes, bytes)(b"")
    assert receivers.admission.bytes_in_flight == len(GOOD)
    loop.call(receivers.intake.hold.set)
    wait_until(lambda: not receivers.admission.bytes_in_flight)
    assert len(receivers.intake.spans) == 1


def wait_until(condition):
    """Wait without an end of its own: pytest's timeout is the end."""
    while not condition():
        time.sleep(0.005)


def test_a_port_in_use_names_the_setting(receivers, loop):
    port = int(receivers.grpc.rpartition(":")[2])
    other = GrpcReceiver(receivers.intake, Admission(1), Limits(), "COLLECTOR_PROCESSOR_OTLP_GRPC")
    with pytest.raises(ConfigError, match=f"COLLECTOR_PROCESSOR_OTLP_GRPC: can't listen on 127.0.0.1:{port}"):
        loop.run(other.start("127.0.0.1", port))
    loop.run(other.stop())
