"""Log records at both doors: the SDK's own exporters, JSON, and what is answered where some can't be taken."""

from __future__ import annotations

import http.client
import json
import time

import grpc
import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from support.logs import evaluated, logs_payload

from collector_processor.model.stages import FragmentFlag
from otel_benchmark import attributes as a

NAMED = SpanContext(0x0A0B, 0x0C0D, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
BROKEN = b"\x0a\x1b\x12\x19\x12\x17" + b"gen_ai.evaluation.resul"[:23]
"""A request with one record that is no protobuf message."""


def http_exporter(receivers):
    return HttpExporter(endpoint=f"{receivers.http}/v1/logs", compression=Compression.Gzip)


def grpc_exporter(receivers):
    return GrpcExporter(endpoint=f"http://{receivers.grpc}", insecure=True)


@pytest.mark.parametrize("make", [http_exporter, grpc_exporter])
def test_log_records_of_the_real_exporter_arrive(receivers, make):
    provider = LoggerProvider(resource=Resource({"service.name": "evaluator"}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(make(receivers)))
    provider.get_logger("evals").emit(
        LogRecord(
            timestamp=time.time_ns(),
            context=set_span_in_context(NonRecordingSpan(NAMED), Context()),
            event_name=a.GEN_AI_EVALUATION_EVENT,
            attributes={a.GEN_AI_EVALUATION_NAME: "relevance"},
        )
    )
    provider.shutdown()
    (fragment,) = receivers.intake.fragments
    assert fragment.flags == FragmentFlag.LOGS | FragmentFlag.LIFECYCLE
    assert fragment.trace_id == NAMED.trace_id.to_bytes(16, "big")
    (record,) = receivers.intake.records
    assert record.span_id == NAMED.span_id.to_bytes(8, "big")
    assert record.attributes[0].value.string_value == "relevance"


def post(receivers, body: bytes, content_type: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(receivers.http.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", "/v1/logs", body, {"content-type": content_type})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_json_carries_ids_as_hex(receivers):
    said = {"key": a.GEN_AI_EVALUATION_NAME, "value": {"stringValue": "relevance"}}
    record = {
        "traceId": "0a" * 16,
        "spanId": "0B" * 8,
        "eventName": a.GEN_AI_EVALUATION_EVENT,
        "timeUnixNano": "5",
        "severityNumber": 9,
        "body": {"kvlistValue": {"values": [{"key": "traceId", "value": {"stringValue": "no id"}}]}},
        "attributes": [said],
    }
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    assert post(receivers, body, "application/json") == (200, b"{}")
    (arrived,) = receivers.intake.records
    assert (arrived.trace_id, arrived.span_id, arrived.time_unix_nano) == (b"\x0a" * 16, b"\x0b" * 8, 5)
    assert arrived.body.kvlist_value.values[0].value.string_value == "no id"


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_partial_success_names_the_records(receivers, door):
    body = logs_payload([evaluated()]) + BROKEN
    if door == "http":
        status, answer = post(receivers, body, "application/x-protobuf")
        assert status == 200
    else:
        with grpc.insecure_channel(receivers.grpc) as channel:
            export = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export", bytes, bytes)
            answer = export(body)
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    assert partial.rejected_log_records == 1
    assert "log record is not a readable protobuf message" in partial.error_message
    assert len(receivers.intake.records) == 1


def test_another_body_is_400(receivers):
    status, answer = post(receivers, b"\xff", "application/x-protobuf")
    assert status == 400
    assert b"not an OTLP logs request" in answer
