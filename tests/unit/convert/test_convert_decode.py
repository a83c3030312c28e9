"""From bytes to spans: what is decoded, what is not, and what a bad span does to the others."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import (
    ARRIVED,
    MS,
    TRACE,
    evaluation,
    execution,
    foreign,
    payload,
    raw_task,
    route,
    sealed,
    span_id,
    task,
    tool_call,
)

from collector_processor.convert import convert
from collector_processor.convert.decode import Ancestry, decode
from collector_processor.errors import DamagedEntryError
from collector_processor.model.stages import Member, RawTask, SpanKey
from otel_benchmark import attributes as a

LIFECYCLE = (task(), route(), execution(), tool_call(), evaluation())


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field on the wire, shorter than 2 MiB."""
    size = len(body)
    return bytes([number << 3 | 2, size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + body


def with_bytes(*raws: bytes) -> bytes:
    """A TracesData of spans that are given as bytes."""
    return field(1, field(2, b"".join(field(2, raw) for raw in raws)))


def spans_of(*raws: bytes) -> RawTask:
    """A sealed task of spans given as bytes; the official parser could not count them."""
    body = with_bytes(*raws)
    positions = tuple(range(len(raws)))
    whole = sealed(*LIFECYCLE).sealed
    return RawTask(
        type(whole)(whole.kind, whole.trace_id, whole.span_id, (Member(0, ARRIVED, positions),)),
        [(ARRIVED, body, positions)],
    )


def test_positions_select_spans_across_resources_and_scopes() -> None:
    merged = payload(LIFECYCLE[:2]) + payload(LIFECYCLE[2:])
    whole = raw_task(merged)
    part = whole._replace(payloads=[(ARRIVED, merged, (0, 3, 4))])
    assert list(decode(part).spans) == [span_id(1), span_id(4), span_id(9)]
    assert list(decode(whole).spans) == [span_id(each) for each in (1, 2, 3, 4, 9)]


def test_foreign_spans_are_counted_and_not_decoded() -> None:
    decoded = decode(sealed(*LIFECYCLE, *(foreign(50 + number) for number in range(7))))
    assert decoded.total == 12
    assert len(decoded.spans) == 5
    assert len(decoded.foreign) == 7


def test_a_name_that_ends_as_a_results_does_makes_no_span_ours() -> None:
    query = foreign(50)
    query.attributes.append(KeyValue(key="db.operation.name", value=AnyValue(string_value="SELECT")))
    judged = foreign(51)
    judged.attributes.append(KeyValue(key="evaluations.0.evaluation.name", value=AnyValue(string_value="correct")))
    assert list(decode(sealed(*LIFECYCLE, query, judged)).spans)[len(LIFECYCLE) :] == [span_id(51)]


def test_a_parent_is_found_through_foreign_spans() -> None:
    decoded = decode(sealed(*LIFECYCLE[:3], foreign(50, parent=3), foreign(51, parent=50), tool_call(parent=51)))
    assert list(Ancestry(decoded).above(span_id(4))) == [span_id(each) for each in (51, 50, 3, 1)]


def test_a_chain_ends_at_a_span_that_is_not_there() -> None:
    decoded = decode(sealed(tool_call(parent=77), foreign(50)))
    assert list(Ancestry(decoded).above(span_id(4))) == [span_id(77)]


def test_a_circle_of_parents_ends() -> None:
    decoded = decode(sealed(tool_call(4, parent=51), foreign(50, parent=4), foreign(51, parent=50)))
    assert list(Ancestry(decoded).above(span_id(4))) == [span_id(51), span_id(50)]
    own = decode(sealed(tool_call(4, parent=4)))
    assert list(Ancestry(own).above(span_id(4))) == []


def test_the_first_of_two_spans_with_one_id_wins() -> None:
    first, second = tool_call(), tool_call(attributes={a.GEN_AI_TOOL_NAME: "other"})
    converted = convert(raw_task(payload([*LIFECYCLE[:3], first]), payload([second])))
    assert converted.facts is not None
    assert [call.tool_name for call in converted.facts.tool_calls] == ["read_file"]
    assert converted.spans == 5


def test_each_span_has_the_arrival_of_its_payload() -> None:
    decoded = decode(raw_task(payload(LIFECYCLE[1:]), payload(LIFECYCLE[:1])))
    assert decoded.spans[span_id(2)].arrived == ARRIVED
    assert decoded.spans[span_id(1)].arrived == ARRIVED + MS


NESTED = AnyValue(string_value="deep").SerializeToString()
for _ in range(200):
    NESTED = field(5, field(1, NESTED))


@pytest.mark.parametrize(
    "extra",
    [
        field(9, field(1, b"arbiter.x") + field(2, field(1, b"\xff\xfe"))),
        field(9, field(1, b"\xffkey") + field(2, field(1, b"text"))),
        field(9, b"\x0a\x7fcut"),
        field(9, field(1, b"arbiter.x") + field(2, NESTED)),
        field(11, field(2, b"\xff\xfe")),
        field(5, b"\xff\xfe"),
    ],
    ids=["text", "key", "cut short", "too deep", "event", "name"],
)
def test_a_span_that_cannot_be_decoded_is_kept_raw_and_the_others_are_unharmed(extra: bytes) -> None:
    bad = tool_call(5).SerializeToString() + extra
    good = [each.SerializeToString() for each in LIFECYCLE]
    converted = convert(spans_of(*good[:2], bad, *good[2:]))
    (undecodable,) = converted.undecodable
    assert undecodable.key == SpanKey(TRACE, span_id(5))
    assert undecodable.raw == bad
    assert "decoded" in undecodable.reason
    assert converted.spans == 5
    assert converted.facts is not None
    assert len(converted.facts.tool_calls) == 1
    assert len(converted.facts.evaluations) == 1


def test_a_chain_leads_through_an_undecodable_span() -> None:
    bad = execution(6, parent=3).SerializeToString() + field(5, b"\xff")
    raws = [each.SerializeToString() for each in (task(), execution(), tool_call(parent=6))]
    facts = convert(spans_of(*raws, bad)).facts
    assert facts is not None
    assert facts.tool_calls[0].execution_span_id == span_id(3).hex()


def test_an_unreadable_foreign_span_harms_nobody() -> None:
    bad = foreign(50).SerializeToString() + field(9, field(1, b"\xff"))
    converted = convert(spans_of(*[each.SerializeToString() for each in LIFECYCLE], bad))
    assert converted.undecodable == []
    assert converted.spans == 6


def test_attributes_with_fields_of_newer_senders_are_not_lost() -> None:
    """A KeyValue with an unknown field does not fit a map entry, and would vanish from it."""
    span = task(attributes={a.TASK_COMPLEXITY: "complex"})
    newer = KeyValue(key=a.TASK_GROUP_ID, value=AnyValue(string_value="g-1")).SerializeToString() + b"\x18\x05"
    raw = span.SerializeToString() + field(9, newer)
    facts = convert(spans_of(raw)).facts
    assert facts is not None
    assert facts.task is not None
    assert facts.task.group_id == "g-1"
    assert facts.task.complexity == "complex"


def test_of_one_attribute_written_twice_the_last_counts() -> None:
    span = task()
    span.attributes.append(KeyValue(key=a.TASK_TYPE, value=AnyValue(string_value="research")))
    facts = convert(sealed(span)).facts
    assert facts is not None
    assert facts.task is not None
    assert facts.task.type == "research"


def test_a_resource_in_parts_is_read_whole() -> None:
    span = task().SerializeToString()
    service = KeyValue(key=a.SERVICE_NAME, value=AnyValue(string_value="s")).SerializeToString()
    namespace = KeyValue(key=a.SERVICE_NAMESPACE, value=AnyValue(string_value="n")).SerializeToString()
    body = field(1, field(1, field(1, service)) + field(2, field(2, span)) + field(1, field(1, namespace)))
    facts = convert(raw_task(body)).facts
    assert facts is not None
    assert facts.task is not None
    assert (facts.task.source.service_name, facts.task.source.service_namespace) == ("s", "n")


@pytest.mark.parametrize("body", [b"\x0a\xff", payload(LIFECYCLE)[:-3]])
def test_a_damaged_payload_is_an_error_that_names_it(body: bytes) -> None:
    damaged = raw_task(payload(LIFECYCLE))._replace(payloads=[(ARRIVED, body, (0,))])
    with pytest.raises(DamagedEntryError, match=f"{len(body)} bytes"):
        convert(damaged)


def test_a_position_that_is_not_there_is_an_error() -> None:
    damaged = raw_task(payload(LIFECYCLE))._replace(payloads=[(ARRIVED, payload(LIFECYCLE), (0, 5))])
    with pytest.raises(DamagedEntryError, match="1 of 2 spans"):
        convert(damaged)


def test_an_unreadable_resource_is_flagged_and_the_spans_are_read() -> None:
    raw = task().SerializeToString()
    body = field(1, field(1, field(1, field(1, b"\xff"))) + field(2, field(2, raw)))
    whole = sealed(task())
    facts = convert(whole._replace(payloads=[(ARRIVED, body, (0,))])).facts
    assert facts is not None
    assert facts.task is not None
    assert facts.task.source.service_name is None
    assert [(each.field, each.problem) for each in facts.anomalies] == [("resource", "unreadable")]


def test_a_span_without_a_header_field_of_ours_is_still_a_span() -> None:
    empty = Span(trace_id=TRACE, span_id=span_id(60), name="task")
    assert decode(sealed(*LIFECYCLE, empty)).total == 6
