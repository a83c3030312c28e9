"""What `split` keeps, cuts, refuses and says."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from collector_processor.assemble import wire
from collector_processor.errors import MalformedRequestError, RequestTooLargeError
from collector_processor.model.stages import HEADER, FragmentFlag, Header, Rejection, Role, Split
from otel_benchmark import attributes as names

TRACE_A = b"\x0a" * 16
TRACE_B = b"\x0b" * 16


def headers_of(fragment):
    return [Header(*entry) for entry in HEADER.iter_unpack(fragment.headers)]


def spans_of(payload: bytes):
    return [
        span.SerializeToString()
        for resource in TracesData.FromString(payload).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_an_empty_request_is_fine():
    assert wire.split(b"") == Split([], 0, [])


def test_a_small_request_of_one_trace_is_its_own_payload(make_span, make_request):
    body = make_request(make_span(1), make_span(2))
    (fragment,) = wire.split(body).fragments
    assert fragment.payload is body
    assert fragment.trace_id == TRACE_A
    assert headers_of(fragment) == [
        Header((1).to_bytes(8, "big"), b"\x09" * 8, Role.FOREIGN, make_span(1).ByteSize()),
        Header((2).to_bytes(8, "big"), b"\x09" * 8, Role.FOREIGN, make_span(2).ByteSize()),
    ]


def test_traces_are_separated_and_carry_their_resource_and_scope(make_span, make_request):
    body = make_request(make_span(1), make_span(2, trace_id=TRACE_B), make_span(3))
    split = wire.split(body)
    assert (split.spans, split.rejections) == (3, [])
    assert [fragment.trace_id for fragment in split.fragments] == [TRACE_A, TRACE_B]
    for fragment, spans in zip(split.fragments, ((1, 3), (2,)), strict=True):
        traces = TracesData.FromString(fragment.payload)
        (resource,) = traces.resource_spans
        (scope,) = resource.scope_spans
        original = TracesData.FromString(body).resource_spans[0]
        assert resource.resource == original.resource
        assert resource.schema_url == original.schema_url
        assert scope.scope == original.scope_spans[0].scope
        assert scope.schema_url == original.scope_spans[0].schema_url
        assert tuple(int.from_bytes(span.span_id, "big") for span in scope.spans) == spans


@pytest.mark.parametrize(
    ("name", "keys", "role", "flags"),
    [
        ("task code-editing", [names.TASK_ID], Role.TASK, FragmentFlag.TASK | FragmentFlag.LIFECYCLE),
        ("task", [names.TASK_ID], Role.TASK, FragmentFlag.TASK | FragmentFlag.LIFECYCLE),
        ("route bandit", [names.ROUTING_SELECTED_ID], Role.LIFECYCLE, FragmentFlag.LIFECYCLE),
        ("route bandit", [names.TASK_ID], Role.LIFECYCLE, FragmentFlag.LIFECYCLE),
        ("invoke_agent coder", [names.GEN_AI_OPERATION_NAME], Role.LIFECYCLE, FragmentFlag.LIFECYCLE),
        ("execute_tool edit", [names.GEN_AI_OPERATION_NAME], Role.LIFECYCLE, FragmentFlag.LIFECYCLE),
        ("evaluate rubric", [names.EVALUATION_OVERALL_SCORE], Role.EVALUATION, FragmentFlag.LIFECYCLE),
        ("task code-editing", [], Role.FOREIGN, FragmentFlag.NONE),
        ("task code-editing", ["arbiter.task.id.other"], Role.FOREIGN, FragmentFlag.NONE),
        ("route /users", ["http.route"], Role.FOREIGN, FragmentFlag.NONE),
        ("tasks", [names.TASK_ID], Role.FOREIGN, FragmentFlag.NONE),
        ("Task code-editing", [names.TASK_ID], Role.FOREIGN, FragmentFlag.NONE),
        ("chat gpt", [names.GEN_AI_OPERATION_NAME], Role.FOREIGN, FragmentFlag.NONE),
    ],
)
def test_a_role_is_claimed_by_the_name_and_confirmed_by_an_attribute(make_span, make_request, name, keys, role, flags):
    (fragment,) = wire.split(make_request(make_span(name=name, keys=keys))).fragments
    assert headers_of(fragment)[0].role == role
    assert fragment.flags == flags


def test_an_evaluation_event_confirms_an_evaluation(make_span, make_request):
    span = make_span(name="evaluate rubric")
    span.events.add(name=names.GEN_AI_EVALUATION_EVENT)
    (fragment,) = wire.split(make_request(span)).fragments
    assert headers_of(fragment)[0].role == Role.EVALUATION


@pytest.mark.parametrize(
    ("kind", "said", "role"),
    [
        (names.OPENINFERENCE_EVALUATOR, "evaluations.0.evaluation.name", Role.EVALUATION),
        (names.OPENINFERENCE_EVALUATOR, "trace.annotations.0.annotation.name", Role.EVALUATION),
        (names.OPENINFERENCE_EVALUATOR, "input.value", Role.FOREIGN),
        ("CHAIN", "evaluations.0.evaluation.name", Role.FOREIGN),
    ],
)
def test_an_evaluator_of_openinference_that_says_something_is_an_evaluation(make_span, make_request, kind, said, role):
    span = make_span(name="harm evaluation", keys=[said, names.OPENINFERENCE_KIND])
    span.attributes[1].value.string_value = kind
    (fragment,) = wire.split(make_request(span)).fragments
    assert headers_of(fragment)[0].role == role


def test_a_task_id_in_a_text_confirms_nothing(make_span, make_request):
    span = make_span(name="task list", keys=["http.url"])
    span.attributes[0].value.string_value = "what is arbiter.task.id?"
    (fragment,) = wire.split(make_request(span)).fragments
    assert headers_of(fragment)[0].role == Role.FOREIGN


@pytest.mark.parametrize("parent", [b"", bytes(8)])
def test_a_root_has_a_parent_of_zeros(make_span, make_request, parent):
    (fragment,) = wire.split(make_request(make_span(parent_span_id=parent))).fragments
    assert headers_of(fragment)[0].parent_id == bytes(8)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b""}, "trace_id must be 16 bytes and not all zero"),
        ({"trace_id": b"\x01" * 15}, "trace_id must be 16 bytes and not all zero"),
        ({"trace_id": b"\x01" * 17}, "trace_id must be 16 bytes and not all zero"),
        ({"trace_id": bytes(16)}, "trace_id must be 16 bytes and not all zero"),
        ({"span_id": b""}, "span_id must be 8 bytes and not all zero"),
        ({"span_id": b"\x01" * 9}, "span_id must be 8 bytes and not all zero"),
        ({"span_id": bytes(8)}, "span_id must be 8 bytes and not all zero"),
        ({"parent_span_id": b"\x01" * 7}, "parent_span_id must be empty or 8 bytes"),
        ({"name": ""}, "name must be UTF-8 text and not empty"),
        ({"start_time_unix_nano": 0}, "start_time_unix_nano and end_time_unix_nano must not be zero"),
        ({"end_time_unix_nano": 0}, "start_time_unix_nano and end_time_unix_nano must not be zero"),
        (
            {"start_time_unix_nano": 9, "end_time_unix_nano": 8},
            "end_time_unix_nano must not be before start_time_unix_nano",
        ),
    ],
)
def test_a_bad_header_is_rejected_with_its_reason_and_its_neighbours_are_kept(make_span, make_request, fields, reason):
    body = make_request(make_span(1), make_span(**({"number": 2} | fields)), make_span(3))
    split = wire.split(body)
    assert split.spans == 3
    assert split.rejections == [Rejection(1, reason)]
    (fragment,) = split.fragments
    assert [header.span_id[-1] for header in headers_of(fragment)] == [1, 3]
    assert spans_of(fragment.payload) == [make_span(number).SerializeToString() for number in (1, 3)]


def test_equal_reasons_are_counted_together(make_span, make_request):
    bad = [make_span(number, name="") for number in range(1, 4)]
    split = wire.split(make_request(*bad, make_span(4, end_time_unix_nano=1)))
    assert split.fragments == []
    assert split.rejections == [
        Rejection(3, "name must be UTF-8 text and not empty"),
        Rejection(1, "end_time_unix_nano must not be before start_time_unix_nano"),
    ]


def test_a_span_that_ends_where_it_starts_is_kept(make_span, make_request):
    split = wire.split(make_request(make_span(start_time_unix_nano=5, end_time_unix_nano=5)))
    assert len(split.fragments) == 1


# -- Raw bytes that no official class would write ----------------------------------------------------


def field(number: int, content: bytes) -> bytes:
    length, prefix = len(content), b""
    while length > 0x7F:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + prefix + bytes([length]) + content


def raw_request(*spans: bytes) -> bytes:
    return field(1, field(2, b"".join(field(2, span) for span in spans)))


def test_a_name_that_is_not_utf8_is_rejected_and_one_beyond_ascii_is_kept(make_span):
    bad = make_span(1, name="").SerializeToString() + field(5, b"\xff\xfe")
    good = make_span(2, name="Größe").SerializeToString()
    split = wire.split(raw_request(bad, good))
    assert split.rejections == [Rejection(1, "name must be UTF-8 text and not empty")]
    assert headers_of(split.fragments[0])[0].span_id[-1] == 2


def test_invalid_utf8_and_cut_attributes_are_kept_for_quarantine(make_span):
    invalid = make_span(1).SerializeToString() + field(9, field(1, b"key\xff"))
    cut = make_span(2).SerializeToString() + field(9, b"\x0a\x7fkey")
    split = wire.split(raw_request(invalid, cut))
    assert split.rejections == []
    assert [header.size for header in headers_of(split.fragments[0])] == [len(invalid), len(cut)]


def test_an_unreadable_span_is_rejected_alone(make_span):
    good = make_span(1).SerializeToString()
    split = wire.split(raw_request(good, good[:-3] + b"\x4a\x7f", make_span(2).SerializeToString()))
    assert split.rejections == [Rejection(1, "span is not a readable protobuf message")]
    assert [header.span_id[-1] for header in headers_of(split.fragments[0])] == [1, 2]


def test_a_parent_of_a_wrong_wire_type_makes_no_root(make_span):
    span = make_span(1, parent_span_id=b"").SerializeToString() + b"\x20\x05"
    split = wire.split(raw_request(span))
    assert split.rejections == [Rejection(1, "parent_span_id must be bytes: it has a wrong wire type")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\x0a\x03abc", "not an OTLP trace request in protobuf"),
        (b"\x0a", "not an OTLP trace request in protobuf"),
        (b"<html>", "not an OTLP trace request in protobuf"),
        (b"{}", "not an OTLP trace request in protobuf"),
        (b"\x08\x01", "resource_spans has wire type 0"),
        (b"\x12\x01x", "holds no resource_spans"),
        (field(1, b"\x10\x01"), "scope_spans has wire type 0"),
        (field(1, b"\x08\x01"), "resource has wire type 0"),
        (field(1, field(2, b"\x10\x01")), "spans has wire type 0"),
    ],
)
def test_a_body_that_is_no_request_is_refused_and_says_why(body, says):
    with pytest.raises(MalformedRequestError, match=says):
        wire.split(body)


def test_every_truncation_of_a_request_is_refused(make_span, make_request):
    body = make_request(make_span(1), make_span(2))
    for end in range(1, len(body)):
        with pytest.raises(MalformedRequestError):
            wire.split(body[:end])


def test_fields_of_a_later_otlp_are_ignored(make_span):
    body = raw_request(make_span(1).SerializeToString()) + field(14, b"new")
    assert wire.split(body).spans == 1


def test_a_resource_written_in_parts_is_kept_in_parts(make_span):
    parts = [field(1, field(1, key)) for key in (b"a", b"b")]
    spans = [make_span(1).SerializeToString(), make_span(2, trace_id=TRACE_B).SerializeToString()]
    body = field(1, b"".join(field(1, part) for part in parts) + field(2, b"".join(field(2, span) for span in spans)))
    for fragment in wire.split(body).fragments:
        resource = TracesData.FromString(fragment.payload).resource_spans[0].resource
        assert [attribute.key for attribute in resource.attributes] == ["a", "b"]


# -- Sizes -------------------------------------------------------------------------------------------


def test_a_long_trace_is_cut_at_spans(make_span, make_request):
    spans = [make_span(number, keys=["k" * 1000]) for number in range(1, 301)]
    split = wire.split(make_request(*spans))
    assert len(split.fragments) > 4
    assert all(len(fragment.payload) < 64 * 1024 for fragment in split.fragments)
    assert {fragment.trace_id for fragment in split.fragments} == {TRACE_A}
    kept = [span for fragment in split.fragments for span in spans_of(fragment.payload)]
    assert kept == [span.SerializeToString() for span in spans]


def test_an_attribute_of_10_mb_stands_alone(make_span, make_request):
    giant = make_span(2, keys=["text"])
    giant.attributes[0].value.CopyFrom(AnyValue(string_value="x" * 10_000_000))
    split = wire.split(make_request(make_span(1), giant, make_span(3)))
    assert [[header.span_id[-1] for header in headers_of(fragment)] for fragment in split.fragments] == [[1], [2], [3]]
    assert spans_of(split.fragments[1].payload) == [giant.SerializeToString()]


def test_a_trace_of_100_000_spans_is_split_whole(make_span, make_request):
    body = make_request(*(make_span(number) for number in range(1, 100_001)))
    split = wire.split(body)
    numbers = [int.from_bytes(header.span_id, "big") for part in split.fragments for header in headers_of(part)]
    assert numbers == list(range(1, 100_001))
    assert all(len(fragment.payload) < 64 * 1024 for fragment in split.fragments)


def test_a_large_resource_over_many_traces_is_refused_before_it_fills_the_memory(make_span):
    traces = TracesData()
    resource = traces.resource_spans.add()
    resource.resource.attributes.add(key="environ").value.string_value = "x" * 1_000_000
    resource.scope_spans.add(spans=[make_span(1, trace_id=n.to_bytes(16, "big")) for n in range(1, 101)])
    with pytest.raises(RequestTooLargeError, match="send fewer traces a request or a smaller resource"):
        wire.split(traces.SerializeToString())
