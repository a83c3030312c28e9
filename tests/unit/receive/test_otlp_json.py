"""OTLP/JSON becomes the protobuf that the same request would have been."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector_processor.errors import MalformedRequestError
from collector_processor.receive.endpoints import BY_PATH
from collector_processor.receive.otlp_json import to_protobuf

TRACES = BY_PATH["/v1/traces"]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.one_of(
    texts.map(lambda text: AnyValue(string_value=text)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number)),
    st.floats(allow_nan=False).map(lambda number: AnyValue(double_value=number)),
    st.booleans().map(lambda flag: AnyValue(bool_value=flag)),
    st.binary(max_size=5).map(lambda data: AnyValue(bytes_value=data)),
    st.just(AnyValue()),
)


@st.composite
def traces(draw):
    message = TracesData()
    scope = message.resource_spans.add(schema_url=draw(texts)).scope_spans.add()
    for _ in range(draw(st.integers(0, 3))):
        span = Span(
            trace_id=draw(st.binary(min_size=16, max_size=16)),
            span_id=draw(st.binary(min_size=8, max_size=8)),
            parent_span_id=draw(st.sampled_from([b"", b"\x07" * 8])),
            name=draw(texts),
            kind=draw(st.integers(0, 9)),
            start_time_unix_nano=draw(st.integers(0, 2**64 - 1)),
        )
        for key in draw(st.lists(st.one_of(texts, st.sampled_from(["traceId", "spanId"])), max_size=2)):
            span.attributes.add(key=key, value=draw(values))
        span.links.add(trace_id=draw(st.binary(min_size=16, max_size=16)), span_id=b"\x01" * 8)
        scope.spans.append(span)
    return message


def otlp_json(message: TracesData, *, snake: bool) -> bytes:
    """Write a message as OTLP/JSON, the other way round than the code under test: base64 back into hex."""
    document = json_format.MessageToDict(message, preserving_proto_field_name=snake, use_integers_for_enums=True)
    ids = ("trace_id", "span_id", "parent_span_id") if snake else ("traceId", "spanId", "parentSpanId")

    def rewrite(node: dict[str, Any]) -> None:
        for key in ids:
            if key in node:
                node[key] = base64.b64decode(node[key]).hex()

    for resource in document.get("resource_spans" if snake else "resourceSpans", []):
        for scope in resource.get("scope_spans" if snake else "scopeSpans", []):
            for span in scope.get("spans", []):
                rewrite(span)
                for link in span.get("links", []):
                    rewrite(link)
    return json.dumps(document).encode()


@given(traces(), st.booleans())
def test_json_is_read_as_the_protobuf_that_it_stands_for(message, snake):
    assert TracesData.FromString(to_protobuf(otlp_json(message, snake=snake), TRACES)) == message


def test_a_document_as_the_specification_shows_it():
    body = b"""{"resourceSpans": [{"resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "my.service"}}]},
      "scopeSpans": [{"scope": {"name": "my.library", "version": "1.0.0"}, "spans": [{
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span", "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000,
        "kind": 2, "someLaterField": {"a": [1]}, "attributes": [
          {"key": "n", "value": {"intValue": "7"}},
          {"key": "list", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}, {}]}}}]}]}]}]}"""
    traces = TracesData.FromString(to_protobuf(body, TRACES))
    (span,) = traces.resource_spans[0].scope_spans[0].spans
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert (span.span_id.hex(), span.parent_span_id.hex()) == ("eee19b7ec3c1b174", "eee19b7ec3c1b173")
    assert span.end_time_unix_nano - span.start_time_unix_nano == 10**9
    assert span.attributes[0].value.int_value == 7
    assert len(span.attributes[1].value.array_value.values) == 2


@pytest.mark.parametrize("bad", ["zz" * 16, "0a 0a", "0" * 31, 7, 1.5, [], {}, True, "ünï"])
@pytest.mark.parametrize("field", ["traceId", "spanId", "parentSpanId"])
def test_an_id_that_is_no_hex_gets_a_length_that_no_id_has(field, bad):
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{field: bad}, {"name": "kept"}]}]}]}).encode()
    spans = TracesData.FromString(to_protobuf(body, TRACES)).resource_spans[0].scope_spans[0].spans
    ids = {"traceId": spans[0].trace_id, "spanId": spans[0].span_id, "parentSpanId": spans[0].parent_span_id}
    assert len(ids[field]) == 1
    assert spans[1].name == "kept"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nul",
        b"1",
        b'"text"',
        b"[{}]",
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [1]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 1}]}]}]}',
        b'{"resourceSpans": [{"schemaUrl": "\\ud800"}]}',
        b'{"resourceSpans": [{"schemaUrl": "\xff"}]}',
        b'{"resourceSpans": ' + b"[" * 100_000,
        b'{"spans": [' * 5_000,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": -1}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": 18446744073709551616}]}]}]}',
    ],
)
def test_what_is_no_request_is_malformed(body):
    with pytest.raises(MalformedRequestError, match="The body is not"):
        to_protobuf(body, TRACES)


def test_deep_nesting_ends_in_no_crash():
    for depth in (100, 400, 600, 2_000, 100_000):
        with contextlib.suppress(MalformedRequestError):
            to_protobuf(b'{"spans": [' * depth + b"]}" * depth, TRACES)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "links",
                    "attributes",
                    "key",
                    "value",
                    "arrayValue",
                    "values",
                    "stringValue",
                    "intValue",
                    "kvlistValue",
                    "status",
                    "code",
                    "resource",
                    "name",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(st.one_of(json_values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60)))
def test_nothing_but_malformed_is_raised(body):
    with contextlib.suppress(MalformedRequestError):
        TracesData.FromString(to_protobuf(body, TRACES))
