"""Bytes that are wrong: what can't be read is kept aside, and its neighbours are stored."""

from __future__ import annotations

import base64
import json

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import T0, evaluation, execution, foreign, payload, route, span_id, task, tool_call, value_of
from support.processor import Processor, anomalies, fact_spans, own

from otel_benchmark import attributes as a

pytestmark = pytest.mark.usefixtures("good_neighbour")

MARK = "@@@@@@@@"
"""Stands for bytes that a test spoils on the wire."""


def orphans(processor: Processor, trace_id: bytes) -> dict[str, str]:
    rows = processor.rows("SELECT span_id, kind FROM orphans WHERE trace_id = %(trace)s", trace=trace_id.hex())
    return {row["span_id"]: row["kind"] for row in rows}


def undecodable(processor: Processor, trace_id: bytes) -> dict[str, str]:
    """The only span of a trace that is kept because nobody can read it, as a person finds it."""
    listed = json.loads(processor.run("quarantine", "list", "--undecodable", "--json").stdout)
    (kept,) = [each for each in listed if each["trace_id"] == trace_id.hex()]
    found: dict[str, str] = kept
    return found


def invalid_utf8(body: bytes) -> bytes:
    return body.replace(MARK.encode(), b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc")


def cut_short(body: bytes) -> bytes:
    """The text says that it is longer than what holds it."""
    return body.replace(b"\x0a\x08" + MARK.encode(), b"\x0a\x7f" + MARK.encode())


def list_value(array: bytes) -> bytes:
    """An AnyValue that is a list, on the wire."""
    return b"\x2a" + AnyValue(bytes_value=array).SerializeToString()[1:]


def lists_in_lists(depth: int) -> bytes:
    """What a list holds that protobuf libraries neither read nor write."""
    array = b""
    for _ in range(depth):
        array = BytesValue(value=list_value(array)).SerializeToString()
    return array


TOO_DEEP = lists_in_lists(60)


def nested_too_deep(body: bytes) -> bytes:
    return body.replace(value_of("@" * len(TOO_DEEP)).SerializeToString(), list_value(TOO_DEEP))


@pytest.mark.parametrize(
    ("text", "spoil"),
    [(MARK, invalid_utf8), (MARK, cut_short), ("@" * len(TOO_DEEP), nested_too_deep)],
    ids=["invalid UTF-8", "cut short", "nested too deep"],
)
def test_a_span_with_undecodable_attributes_is_quarantined_raw(processor, text, spoil):
    mine = own(task(), route(), execution(), tool_call(4), tool_call(5, start=200, end=250))
    mine.spans[3].attributes.append(KeyValue(key="note", value=value_of(text)))
    before = processor.terms()["undecodable"]
    assert processor.take(spoil(payload(mine.spans))).rejected_spans == 0
    processor.flush()
    record = processor.record(mine.task_id)
    assert fact_spans(record) == {span_id(number).hex() for number in (1, 2, 3, 5)}
    assert processor.terms()["undecodable"] == before + 1
    kept = undecodable(processor, mine.trace_id)
    assert kept["span_id"] == span_id(4).hex()
    assert a.GEN_AI_TOOL_NAME.encode() in base64.b64decode(kept["raw"])
    assert "attributes can't be decoded" in kept["reason"]
    listed = processor.run("quarantine", "list", "--undecodable", "--csv").stdout.splitlines()
    assert listed[0] == "trace_id,span_id,bytes,reason"
    assert [line for line in listed if line.startswith(f"{mine.trace_id.hex()},{span_id(4).hex()},")]


def test_without_its_own_span_a_task_is_no_record_and_its_children_are_orphans(processor):
    mine = own(task(attributes={a.TASK_DESCRIPTION: MARK}), route(), execution(), evaluation())
    processor.take(invalid_utf8(payload(mine.spans)))
    processor.flush()
    assert processor.rows("SELECT * FROM data_points WHERE task_id = %(t)s", t=mine.task_id) == []
    assert orphans(processor, mine.trace_id) == {
        span_id(2).hex(): "route",
        span_id(3).hex(): "execution",
        span_id(9).hex(): "evaluation",
    }
    assert undecodable(processor, mine.trace_id)["span_id"] == span_id(1).hex()


def test_an_unreadable_resource_costs_the_source_alone(processor):
    mine = own(task(), route(), execution())
    processor.take(invalid_utf8(payload(mine.spans, {a.SERVICE_NAME: MARK})))
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["provenance"]["source"]["serviceName"] is None
    assert anomalies(record) == {("resource", "unreadable")}
    assert len(fact_spans(record)) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (payload([task(), route()])[:-7], "not an OTLP trace request in protobuf"),
        (b"\xff" * 200, "not an OTLP trace request in protobuf"),
        (b"\x0d\x01\x02\x03\x04", "wire type 5"),
        (b"\x0a\x04\x12\x02\x10\x01", "wire type 0"),
    ],
    ids=["truncated", "noise", "wrong wire type", "wrong wire type within"],
)
def test_a_body_that_is_no_request_is_refused_and_says_why(processor, body, said):
    before = processor.terms()["received"]
    answer = processor.post(body)
    assert answer.status == 400
    assert said in answer.body.decode(errors="replace")
    assert processor.terms()["received"] == before


def bent(**fields: object) -> Span:
    """A foreign span of which some header fields are wrong."""
    header = foreign(7, parent=1)
    for name, value in fields.items():
        setattr(header, name, value)
    return header


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"trace_id": b"\1" * 15}, "trace_id must be 16 bytes and not all zero"),
        ({"trace_id": bytes(16)}, "trace_id must be 16 bytes and not all zero"),
        ({"span_id": b"\1" * 9}, "span_id must be 8 bytes and not all zero"),
        ({"span_id": bytes(8)}, "span_id must be 8 bytes and not all zero"),
        ({"parent_span_id": b"\1" * 7}, "parent_span_id must be empty or 8 bytes"),
        ({"name": ""}, "name must be UTF-8 text and not empty"),
        ({"start_time_unix_nano": 0}, "start_time_unix_nano and end_time_unix_nano must not be zero"),
        ({"end_time_unix_nano": 0}, "start_time_unix_nano and end_time_unix_nano must not be zero"),
        ({"end_time_unix_nano": T0 - 1}, "end_time_unix_nano must not be before start_time_unix_nano"),
    ],
)
def test_a_span_with_a_bad_header_is_rejected_alone(processor, wrong, reason):
    mine = own(task(), route(), execution())
    odd = bent(**{"trace_id": mine.trace_id, **wrong})
    before = processor.terms()["rejected"]
    partial = processor.send(mine.spans[0], odd, *mine.spans[1:])
    assert (partial.rejected_spans, partial.error_message) == (1, f"1 x {reason}")
    assert processor.terms()["rejected"] == before + 1
    processor.flush()
    assert len(fact_spans(processor.record(mine.task_id))) == 3


def test_a_span_that_was_sent_again_counts_once(processor):
    mine = own(task(), route(), execution(), tool_call(), evaluation())
    before = processor.terms()
    processor.send(*mine.spans, mine.spans[3])
    processor.send(*mine.spans)
    processor.flush()
    processor.send(*mine.spans[::-1])
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["revision"] == 1
    assert record["execution"]["toolCallCount"] == 1
    assert len(fact_spans(record)) == 5
    after = processor.terms()
    assert after["received"] - before["received"] == 16
    assert after["duplicate"] - before["duplicate"] == 11
