"""Laws of `split` and `headers` over any request, and over any bytes."""

from __future__ import annotations

import contextlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector_processor.assemble import wire
from collector_processor.assemble.messages import RawTraces
from collector_processor.errors import MalformedRequestError
from collector_processor.model.stages import HEADER
from otel_benchmark import attributes as names

ids = st.sampled_from([b"\x01" * 16, b"\x02" * 16, b"\x03" * 16, bytes(16), b"short"])
span_ids = st.one_of(
    st.integers(1, 50).map(lambda n: n.to_bytes(8, "big")), st.sampled_from([b"", bytes(8), b"123456789"])
)
span_names = st.sampled_from(
    ["task x", "route r", "invoke_agent a", "execute_tool t", "evaluate e", "GET", "", "größer"]
)


@st.composite
def spans(draw):
    span = Span(
        trace_id=draw(ids),
        span_id=draw(span_ids),
        parent_span_id=draw(span_ids),
        name=draw(span_names),
        start_time_unix_nano=draw(st.sampled_from([0, 5, 2**64 - 1])),
        end_time_unix_nano=draw(st.sampled_from([0, 5, 9, 2**64 - 1])),
    )
    for key in draw(st.lists(st.sampled_from([names.TASK_ID, names.GEN_AI_OPERATION_NAME, "other"]), max_size=2)):
        span.attributes.add(key=key).value.string_value = "v" * draw(st.sampled_from([1, 40_000]))
    return span


@st.composite
def requests(draw):
    traces = TracesData()
    for _ in range(draw(st.integers(0, 3))):
        resource = traces.resource_spans.add(schema_url=draw(st.sampled_from(["", "r"])))
        for key in draw(st.lists(st.text(max_size=3), max_size=2)):
            resource.resource.attributes.add(key=key)
        for _ in range(draw(st.integers(0, 3))):
            scope = resource.scope_spans.add(schema_url=draw(st.sampled_from(["", "s"])))
            if draw(st.booleans()):
                scope.scope.name = draw(st.text(max_size=3))
            scope.spans.extend(draw(st.lists(spans(), max_size=6)))
    return traces.SerializeToString()


def walk(payload: bytes):
    """(resource, scope, span), each as bytes with its schema URL, for every span of a message."""
    for resource in RawTraces.FromString(payload).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield (
                    (tuple(resource.resource), tuple(resource.schema_url)),
                    (tuple(scope.scope), tuple(scope.schema_url)),
                    span,
                )


@given(requests())
def test_nothing_is_lost_and_every_span_resource_and_scope_is_byte_identical(body):
    split = wire.split(body)
    received = list(walk(body))
    kept = [entry for fragment in split.fragments for entry in walk(fragment.payload)]
    assert split.spans == len(received) == len(kept) + sum(rejection.spans for rejection in split.rejections)
    assert not Counter(kept) - Counter(received)
    for trace_id in {fragment.trace_id for fragment in split.fragments}:
        own = [e for f in split.fragments if f.trace_id == trace_id for e in walk(f.payload)]
        assert [span for *_, span in own] == [
            span for *_, span in received if Span.FromString(span).trace_id == trace_id and (_kept(span, kept))
        ]


def _kept(span: bytes, kept) -> bool:
    return any(span == other for *_, other in kept)


@given(requests())
def test_headers_of_a_payload_are_what_split_packed(body):
    for fragment in wire.split(body).fragments:
        assert wire.headers(fragment.payload) == fragment.headers
        entries = list(HEADER.iter_unpack(fragment.headers))
        for (span_id, parent_id, _, size), (*_, raw) in zip(entries, walk(fragment.payload), strict=True):
            span = Span.FromString(raw)
            assert (span.trace_id, span.span_id, span.parent_span_id or bytes(8), len(raw)) == (
                fragment.trace_id,
                span_id,
                parent_id,
                size,
            )


@given(requests())
def test_what_was_kept_is_kept_again(body):
    for fragment in wire.split(body).fragments:
        again = wire.split(fragment.payload)
        assert again.rejections == []
        assert b"".join(part.headers for part in again.fragments) == fragment.headers


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_malformed(body):
    with contextlib.suppress(MalformedRequestError):
        wire.split(body)


@given(requests(), st.data())
def test_no_damage_raises_anything_but_malformed(body, data):
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, min(len(damaged), 500) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedRequestError):
        split = wire.split(bytes(damaged))
        for fragment in split.fragments:
            assert wire.headers(fragment.payload) == fragment.headers
