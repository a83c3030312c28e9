"""What OTLP/HTTP answers: good requests in both forms, bad ones of every kind, and the next request after them."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import socket
import time
import zlib

import pytest
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]  # has no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from collector_processor.errors import ConfigError, OverloadedError
from collector_processor.receive import http_server
from collector_processor.receive.admission import Admission, Limits
from collector_processor.receive.otlp_http import HttpReceiver

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACE, SPAN = "0a" * 16, "0b" * 8


def request(name: str = "GET /", **fields) -> TracesData:
    traces = TracesData()
    span = traces.resource_spans.add().scope_spans.add().spans.add(name=name, trace_id=b"\x0a" * 16)
    span.span_id, span.start_time_unix_nano, span.end_time_unix_nano = b"\x0b" * 8, 1, 2
    for field, value in fields.items():
        setattr(span, field, value)
    return traces


GOOD = request().SerializeToString()


@pytest.fixture
def post(receivers):
    """POST to the receiver over one kept-alive connection: (status, headers, body)."""
    connection = http.client.HTTPConnection(receivers.http.removeprefix("http://"), timeout=30)

    def send(body=GOOD, content_type=PROTOBUF, encoding=None, path="/v1/traces", method="POST"):
        headers = {"content-type": content_type} if content_type else {}
        connection.request(method, path, body, headers | ({"content-encoding": encoding} if encoding else {}))
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    yield send
    assert send()[0] == 200, "the next request must work"
    connection.close()


def status_of(headers, body) -> status_pb2.Status:
    status = status_pb2.Status()
    if headers["content-type"] == JSON:
        json_format.Parse(body, status)
    else:
        assert headers["content-type"] == PROTOBUF
        status.ParseFromString(body)
    assert status.message
    return status


def wait_until(condition):
    """Wait without an end of its own: pytest's timeout is the end."""
    while not condition():
        time.sleep(0.005)


def json_span(**fields):
    span = {"traceId": TRACE, "spanId": SPAN, "name": "GET /", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    return span | fields


def json_request(*spans, **fields):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]} | fields).encode()


# -- Good --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [None, "identity", "gzip", "deflate", "GZIP"])
def test_protobuf_is_taken_in_every_encoding(receivers, post, encoding):
    packed = {"gzip": gzip.compress(GOOD), "deflate": zlib.compress(GOOD)}
    status, headers, body = post(packed.get(str(encoding).lower(), GOOD), encoding=encoding)
    assert (status, headers["content-type"], body) == (200, PROTOBUF, b"")
    assert receivers.intake.spans == [request().resource_spans[0].scope_spans[0].spans[0]]


def test_several_gzip_members_are_one_body(receivers, post):
    assert post(gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]), encoding="gzip")[0] == 200
    assert len(receivers.intake.spans) == 1


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_json_is_taken_with_hex_ids_and_answered_in_json(receivers, post, encoding):
    body = json_request(json_span())
    status, headers, answer = post(gzip.compress(body) if encoding else body, f"{JSON}; charset=utf-8", encoding)
    assert (status, headers["content-type"], json.loads(answer)) == (200, JSON, {})
    (span,) = receivers.intake.spans
    assert (span.trace_id.hex(), span.span_id.hex()) == (TRACE, SPAN)


def test_an_empty_request_is_fine(receivers, post):
    assert post(b"")[0] == 200
    assert post(b"{}", JSON)[0] == 200
    assert receivers.intake.fragments == []


def test_a_chunked_body_is_taken(receivers, post):
    assert post(iter([GOOD[:5], GOOD[5:]]))[0] == 200
    assert len(receivers.intake.spans) == 1


# -- Partial success ---------------------------------------------------------------------------------


def test_rejected_spans_are_reported_in_protobuf(receivers, post):
    status, _, body = post(request(name="").SerializeToString() + GOOD)
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    assert (status, partial.rejected_spans) == (200, 1)
    assert "name must be UTF-8 text and not empty" in partial.error_message
    assert len(receivers.intake.spans) == 1


def test_rejected_spans_are_reported_in_json_and_a_bad_hex_id_costs_its_span_only(receivers, post):
    body = json_request(
        json_span(),
        json_span(traceId="zz"),
        json_span(spanId="0b0"),
        json_span(parentSpanId="nohex"),
        json_span(spanId=7),
    )
    status, _, answer = post(body, JSON)
    partial = json.loads(answer)["partialSuccess"]
    assert (status, partial["rejectedSpans"]) == (200, "4")
    assert "1 spans: trace_id must be 16 bytes" in partial["errorMessage"]
    assert "2 spans: span_id must be 8 bytes" in partial["errorMessage"]
    assert "1 spans: parent_span_id must be empty or 8 bytes" in partial["errorMessage"]
    assert len(receivers.intake.spans) == 1


# -- Refused: malformed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "says"),
    [
        (GOOD[:-1], PROTOBUF, None, "not an OTLP trace request in protobuf"),
        (b"\x0a\x03abc", PROTOBUF, None, "not an OTLP trace request in protobuf"),
        (b"\x08\x01", PROTOBUF, None, "resource_spans has wire type 0"),
        (json_request(json_span()), PROTOBUF, None, "not an OTLP trace request in protobuf"),
        (GOOD, PROTOBUF, "gzip", "not valid gzip"),
        (gzip.compress(GOOD, mtime=0)[:-9], PROTOBUF, "gzip", "cut short"),
        (b"", PROTOBUF, "gzip", "cut short"),
        (gzip.compress(GOOD, mtime=0) + b"tail", PROTOBUF, "gzip", "not valid gzip"),
        (GOOD, JSON, None, "not JSON"),
        (b"[]", JSON, None, "a JSON object is expected"),
        (b'{"resourceSpans": 7}', JSON, None, "not an OTLP request in JSON"),
        (json_request(json_span(startTimeUnixNano="noon")), JSON, None, "not an OTLP request in JSON"),
        (b'{"resourceSpans": [{"resource": "\xff"}]}', JSON, None, "not JSON"),
    ],
)
def test_a_malformed_body_is_400_and_says_what_is_wrong(receivers, post, body, content_type, encoding, says):
    status, headers, answer = post(body, content_type, encoding)
    assert status == 400
    assert headers["content-type"] == content_type
    assert status_of(headers, answer).code == code_pb2.INVALID_ARGUMENT
    assert says in status_of(headers, answer).message
    assert receivers.intake.fragments == []


@pytest.mark.parametrize(
    ("content_type", "encoding", "says"),
    [
        (None, None, "content-type must be application/x-protobuf or application/json"),
        ("text/plain", None, "content-type must be application/x-protobuf or application/json"),
        (PROTOBUF, "br", "content-encoding must be gzip, deflate or identity"),
        (PROTOBUF, "gzip, gzip", "content-encoding must be gzip, deflate or identity"),
    ],
)
def test_an_unknown_form_is_415(post, content_type, encoding, says):
    status, headers, answer = post(content_type=content_type, encoding=encoding)
    assert status == 415
    assert says in status_of(headers, answer).message


@pytest.mark.parametrize("path", ["/v1/profiles", "/v1/metrics", "/", "/v1/traces/"])
def test_another_path_is_404_and_says_where_to_send(post, path):
    status, headers, answer = post(path=path)
    assert status == 404
    assert status_of(headers, answer).code == code_pb2.NOT_FOUND
    assert "/v1/traces" in status_of(headers, answer).message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_405(post, method):
    status, headers, answer = post(method=method)
    assert (status, headers["allow"]) == (405, "POST")
    assert status_of(headers, answer).code == code_pb2.UNIMPLEMENTED


# -- Refused: too large ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "limit"),
    [
        (bytes(2_000_001), PROTOBUF, None, "2,000,000"),
        (b'{"a":"' + b"x" * 100_000 + b'"}', JSON, None, "100,000"),
        (gzip.compress(b" " * 100_001, mtime=0), JSON, "gzip", "100,000"),
        (gzip.compress(bytes(50_000_000), mtime=0), PROTOBUF, "gzip", "2,000,000"),
        (gzip.compress(bytes(1_500_000), mtime=0) * 2, PROTOBUF, "gzip", "2,000,000"),
    ],
)
def test_a_body_over_the_limit_is_413(receivers, post, body, content_type, encoding, limit):
    status, headers, answer = post(body, content_type, encoding)
    assert status == 413
    assert "retry-after" not in headers
    assert status_of(headers, answer).code == code_pb2.RESOURCE_EXHAUSTED
    assert limit in status_of(headers, answer).message
    assert receivers.intake.requests == 0


def test_a_chunked_body_over_the_limit_is_413(post):
    assert post(iter([bytes(100_000)] * 30))[0] == 413


def test_a_large_attribute_below_the_limit_is_taken(receivers, post):
    traces = request()
    span = traces.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="text").value.string_value = "x" * 1_900_000
    assert post(gzip.compress(traces.SerializeToString()), encoding="gzip")[0] == 200
    assert receivers.intake.spans == [span]


# -- Refused: overload and failure -------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_an_overload_is_503_with_a_short_delay_in_header_and_status(receivers, post, content_type):
    receivers.intake.errors.append(OverloadedError("the journal is full"))
    status, headers, answer = post(GOOD if content_type == PROTOBUF else json_request(), content_type)
    assert status == 503
    assert headers["retry-after"] in {"1", "2"}
    refused = status_of(headers, answer)
    assert (refused.code, refused.message) == (code_pb2.UNAVAILABLE, "the journal is full")
    info = error_details_pb2.RetryInfo()
    assert refused.details[0].Unpack(info)
    assert 1 <= info.retry_delay.ToMilliseconds() / 1000 <= 2


def test_bytes_in_flight_are_bounded_over_both_receivers(receivers, loop, post, export):
    padded = request()
    padded.resource_spans[0].schema_url = "x" * 1_700_000
    held = padded.SerializeToString()
    receivers.intake.hold = asyncio.Event()
    call = export.future(held)
    wait_until(lambda: receivers.admission.bytes_in_flight > 1_700_000)
    status, headers, answer = post(gzip.compress(held), encoding="gzip")
    assert status == 503
    assert "in flight" in status_of(headers, answer).message
    loop.call(receivers.intake.hold.set)
    assert call.result() == b""
    assert post(held)[0] == 200


def test_an_unforeseen_error_is_500_without_its_text(receivers, post):
    receivers.intake.errors.append(RuntimeError("secret"))
    status, headers, answer = post()
    assert status == 500
    assert status_of(headers, answer).code == code_pb2.INTERNAL
    assert b"secret" not in answer


# -- Clients that stall ------------------------------------------------------------------------------


def connect(receivers) -> socket.socket:
    host, port = receivers.http.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def read_all(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    return received


HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"


@pytest.mark.parametrize("sent", [b"", b"POST /v1", HEAD, b"\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(receivers, monkeypatch, sent):
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT", 0.05)
    with connect(receivers) as client:
        client.sendall(sent)
        assert read_all(client) == b""


def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(receivers, monkeypatch):
    monkeypatch.setattr(http_server, "DRAIN_TIMEOUT", 0.05)
    with connect(receivers) as client:
        client.sendall(HEAD + b"content-length: 9000000\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 413")


def test_an_endless_head_is_refused(receivers):
    with connect(receivers) as client:
        client.sendall(HEAD + b"x: " + b"y" * http_server.MAX_HEAD_BYTES)
        assert read_all(client).startswith(b"HTTP/1.1 400")


def test_a_client_that_leaves_gives_its_bytes_back(receivers):
    with connect(receivers) as client:
        client.sendall(HEAD + b"content-length: 100000\r\n\r\n" + bytes(50_000))
        wait_until(lambda: receivers.admission.bytes_in_flight)
    wait_until(lambda: not receivers.admission.bytes_in_flight)


# -- Addresses ---------------------------------------------------------------------------------------


def test_a_port_in_use_names_the_setting(receivers, loop):
    port = int(receivers.http.rpartition(":")[2])
    other = loop.call(lambda: HttpReceiver(receivers.intake, Admission(1), Limits(), "COLLECTOR_PROCESSOR_OTLP_HTTP"))
    with pytest.raises(ConfigError, match=f"COLLECTOR_PROCESSOR_OTLP_HTTP: can't listen on 127.0.0.1:{port}"):
        loop.run(other.start("127.0.0.1", port))
    loop.run(other.stop())
