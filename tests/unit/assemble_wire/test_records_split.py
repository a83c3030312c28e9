"""Log requests: which records concern tasks, where they go in their trace, and what becomes of the others."""

from __future__ import annotations

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from support.lifecycle import TRACE, payload, span_id, task
from support.logs import CONTENT, evaluated, log, logs_payload

from collector_processor.assemble import records, wire
from collector_processor.errors import MalformedRequestError
from collector_processor.model.stages import HEADER, FragmentFlag, Header, Rejection, Role, Split
from otel_benchmark import attributes as a

OTHER = bytes.fromhex("0b" * 16)


def headers_of(fragment):
    return [Header(*each) for each in HEADER.iter_unpack(fragment.headers)]


def records_in(fragment):
    data = LogsData.FromString(fragment.payload)
    return [each for resource in data.resource_logs for scope in resource.scope_logs for each in scope.log_records]


def test_an_empty_request_is_nothing():
    assert records.split(b"") == Split([], 0, [])


def test_an_evaluation_stands_below_the_span_that_it_names():
    record = evaluated(span=7)
    split = records.split(logs_payload([record]))
    (fragment,) = split.fragments
    assert split == Split([fragment], 1, [])
    assert fragment.trace_id == TRACE
    assert fragment.flags == FragmentFlag.LOGS | FragmentFlag.LIFECYCLE
    (header,) = headers_of(fragment)
    assert header[1:] == (span_id(7), Role.EVALUATION, record.ByteSize())
    assert records_in(fragment) == [record]
    data = LogsData.FromString(fragment.payload)
    assert data == LogsData.FromString(logs_payload([record]))


def test_a_record_is_known_by_what_it_says():
    def identity(record):
        (fragment,) = records.split(logs_payload([record])).fragments
        return headers_of(fragment)[0].span_id

    assert identity(evaluated()) == identity(evaluated())
    others = [evaluated(0.8), evaluated(span=2), evaluated(at=651)]
    assert len({identity(each) for each in (evaluated(), *others)}) == 4


@pytest.mark.parametrize(
    ("name", "role"),
    [
        (a.GEN_AI_EVALUATION_EVENT, Role.EVALUATION),
        (CONTENT, Role.FOREIGN),
        ("gen_ai.user.message", Role.FOREIGN),
        ("gen_ai.choice", Role.FOREIGN),
        ("device.app.lifecycle", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("where", ["field", "attribute"])
def test_events_of_the_genai_conventions_concern_tasks_whichever_way_they_say_their_name(name, role, where):
    said = {a.GEN_AI_PROVIDER_NAME: "acme"}
    record = log(name, said) if where == "field" else log("", said | {a.EVENT_NAME: name})
    split = records.split(logs_payload([record]))
    if role is None:
        assert split == Split([], 1, [], foreign=1)
    else:
        (fragment,) = split.fragments
        assert headers_of(fragment)[0].role == role
        assert bool(fragment.flags & FragmentFlag.LIFECYCLE) == (role is Role.EVALUATION)


def test_the_field_goes_before_the_attribute():
    record = log("app.crash", {a.EVENT_NAME: a.GEN_AI_EVALUATION_EVENT})
    assert records.split(logs_payload([record])).foreign == 1


@pytest.mark.parametrize("trace_id", [b"", bytes(16), b"\x01" * 15])
def test_what_concerns_a_task_but_names_no_trace_is_counted_as_such(trace_id):
    split = records.split(logs_payload([evaluated(trace_id=trace_id), log("app.start", trace_id=trace_id)]))
    assert split == Split([], 2, [], foreign=1, traceless=1)


@pytest.mark.parametrize("named", [b"", bytes(8), b"\x01" * 7])
def test_without_a_span_a_record_is_a_root_of_its_trace(named):
    (fragment,) = records.split(logs_payload([evaluated(span_id=named)])).fragments
    expected = bytes(8)
    assert headers_of(fragment)[0].parent_id == expected


def test_traces_are_parted_and_the_order_stays():
    request = [evaluated(0.1), evaluated(0.2, trace_id=OTHER), log("app.start"), log(CONTENT), evaluated(0.3)]
    split = records.split(logs_payload(request))
    first, second = split.fragments
    assert (split.spans, split.foreign) == (5, 1)
    assert [each.trace_id for each in (first, second)] == [TRACE, OTHER]
    assert records_in(first) == [request[0], request[3], request[4]]
    assert records_in(second) == [request[1]]


def test_a_record_that_cannot_be_read_is_rejected_alone():
    good, bad = evaluated().SerializeToString(), b"\x0b" + a.GEN_AI_EVALUATION_EVENT.encode()
    data = LogsData.FromString(logs_payload([]))
    del data.resource_logs[:]
    body = b"".join(_field(2, each) for each in (good, bad))
    split = records.split(_field(1, _field(2, body)))
    assert split.rejections == [Rejection(1, "log record is not a readable protobuf message")]
    assert [len(headers_of(each)) for each in split.fragments] == [1]


def test_a_large_request_is_cut():
    request = [log(CONTENT, body="x" * 20_000, at=number) for number in range(10)]
    split = records.split(logs_payload(request))
    assert [len(records_in(each)) for each in split.fragments] == [3, 3, 3, 1]
    assert all(len(each.payload) < 64 * 1024 for each in split.fragments)


@pytest.mark.parametrize("body", [b"\xff", b"\x10\x01", b"\x08\x01"])
def test_another_body_is_refused(body):
    with pytest.raises(MalformedRequestError, match=r"logs request|resource_logs"):
        records.split(body)


def test_each_signal_s_request_is_told_from_the_other_s():
    """Both read alike on the wire, so what tells them is what their parts say."""
    assert records.split(payload([task()])).foreign == 1
    split = wire.split(logs_payload([evaluated()]))
    assert (len(split.fragments), sum(each.spans for each in split.rejections)) == (0, 1)


def _field(number: int, content: bytes) -> bytes:
    size, length = b"", len(content)
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content
