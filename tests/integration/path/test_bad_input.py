"""Bad input through the whole path: what happens to it, and that nothing else is lost.

Beside each test a good task is sent; afterwards it must be whole, and every span must be in exactly one place.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import uuid
from collections.abc import Iterator

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.clocked import clocked_path
from support.lifecycle import (
    T0,
    evaluation,
    execution,
    foreign,
    payload,
    route,
    span,
    span_id,
    task,
    tool_call,
    value_of,
)
from support.processor import Processor, anomalies, fact_spans, gates, own, select, wait_until

from otel_benchmark import attributes as a

MARK = "@@@@@@@@"
"""Stands for bytes that a test spoils on the wire."""


@pytest.fixture(autouse=True)
def neighbour(request: pytest.FixtureRequest) -> Iterator[None]:
    """A good task that is there meanwhile."""
    if "processor" not in request.fixturenames:
        yield
        return
    processor: Processor = request.getfixturevalue("processor")
    good = own(task(), route(), execution(), tool_call(), evaluation())
    processor.send(*good.spans[1:3])
    yield
    processor.send(*good.spans[3:], good.spans[0])
    processor.flush()
    record = processor.record(good.task_id)
    assert fact_spans(record) == {each.span_id.hex() for each in good.spans}
    assert record["verdict"]["valid"]
    processor.assert_balanced()


def orphans(processor: Processor, trace_id: bytes) -> dict[str, str]:
    rows = processor.rows("SELECT span_id, kind FROM orphans WHERE trace_id = %(trace)s", trace=trace_id.hex())
    return {row["span_id"]: row["kind"] for row in rows}


def undecodable(processor: Processor, trace_id: bytes) -> dict[str, str]:
    """The only span of a trace that is kept because nobody can read it, as a person finds it."""
    listed = json.loads(processor.run("quarantine", "list", "--undecodable", "--json").stdout)
    (kept,) = [each for each in listed if each["trace_id"] == trace_id.hex()]
    found: dict[str, str] = kept
    return found


# -- Values ----------------------------------------------------------------------------------------


def test_scores_that_are_no_numbers_are_null_and_flagged(processor):
    mine = own(
        task(attributes={a.TASK_REWARD: math.nan}),
        route(attributes={a.ROUTING_CONFIDENCE: math.inf, a.ROUTING_PROPENSITY: -math.inf}),
        execution(attributes={a.EXECUTION_SUCCESS: True, a.EXECUTION_COST_USD: math.nan}),
        tool_call(attributes={a.TURN_NUMBER: 1, a.TURN_REWARD: math.inf, a.TURN_TASK_PROGRESS: 0.5}),
        evaluation(attributes={a.EVALUATION_OVERALL_SCORE: math.nan, a.RUBRIC_TASK: -math.inf, a.RUBRIC_COST: 0.25}),
    )
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert anomalies(record) == {
        (name, "not_finite")
        for name in (
            a.TASK_REWARD,
            a.ROUTING_CONFIDENCE,
            a.ROUTING_PROPENSITY,
            a.EXECUTION_COST_USD,
            a.TURN_REWARD,
            a.EVALUATION_OVERALL_SCORE,
            a.RUBRIC_TASK,
        )
    }
    (turn,) = record["rlLabels"]["turns"]
    assert (turn["turnReward"], turn["taskProgress"]) == (None, 0.5)
    assert record["evaluation"]["overallScore"] is None
    assert record["evaluation"]["rubricScores"]["cost"] == 0.25
    assert record["rlLabels"]["totalReward"] is None
    assert (record["verdict"]["valid"], record["verdict"]["rlReady"]) == (True, False)
    assert "evaluation.overallScore is not reported" in gates(record)["reported"]


@pytest.mark.parametrize("first", ["task", "evaluation"])
def test_a_score_that_is_no_number_is_flagged_wherever_its_evaluation_comes_from(processor, first):
    mine = own(task(), route(), execution())
    elsewhere = own(
        evaluation(9, parent=0, attributes={a.EVALUATION_OVERALL_SCORE: math.nan, a.RUBRIC_TASK: 0.5}),
        task_id=mine.task_id,
    )
    if first == "task":
        processor.send(*mine.spans)
        processor.flush()
    processor.send(*elsewhere.spans)
    processor.flush()
    if first == "evaluation":
        assert orphans(processor, elsewhere.trace_id)
        processor.send(*mine.spans)
        processor.flush()
    record = processor.record(mine.task_id)
    assert record["evaluation"]["overallScore"] is None
    assert record["evaluation"]["rubricScores"]["task"] == 0.5
    assert anomalies(record) == {(a.EVALUATION_OVERALL_SCORE, "not_finite")}


def test_a_score_outside_its_range_is_kept_and_fails_a_gate(processor):
    mine = own(task(), route(), execution(), evaluation(attributes={a.EVALUATION_OVERALL_SCORE: 17.0}))
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["evaluation"]["overallScore"] == 17.0
    assert gates(record)["numeric-bounds"] == "evaluation.overallScore = 17.0 is not 0..1"
    (quarantined,) = processor.rows("SELECT gates_failed FROM quarantine WHERE task_id = %(t)s", t=mine.task_id)
    assert "numeric-bounds" in quarantined["gates_failed"]


def test_nul_characters_are_taken_out_and_flagged(processor):
    task_id = f"task-{uuid.uuid4().hex}"
    mine = own(
        task(attributes={a.TASK_DESCRIPTION: "before\0after", a.TASK_REQUIREMENTS: ["one\0", "two"]}),
        route(attributes={a.ROUTING_RATIONALE: "\0"}),
        execution(error="it\0broke"),
        task_id=f"{task_id[:9]}\0{task_id[9:]}",
    )
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(task_id)
    assert record["task"]["description"] == "beforeafter"
    assert record["task"]["requirements"] == ["one", "two"]
    assert record["routing"]["rationale"] is None
    assert record["execution"]["failureReason"] == "itbroke"
    named = (a.TASK_ID, a.TASK_DESCRIPTION, a.TASK_REQUIREMENTS, a.ROUTING_RATIONALE, "status.message")
    assert anomalies(record) == {(name, "nul_removed") for name in named}


def test_an_attribute_of_ten_megabytes_is_shortened_and_flagged(processor):
    whole = task(attributes={a.TASK_DESCRIPTION: "é" * 5_000_000})
    huge = foreign(5)
    huge.attributes.append(KeyValue(key="http.request.body", value=whole.attributes[-1].value))
    mine = own(whole, route(), execution(), huge)
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    kept = record["task"]["description"]
    assert kept == "é" * (len(kept) - 1) + "…"  # what may be half a value at the cut is left out too
    assert 700 < len(kept) < 1024
    assert anomalies(record) == {(a.TASK_DESCRIPTION, "shortened")}
    assert len(fact_spans(record)) == 3
    assert not record["completeness"]["truncated"]


def test_values_outside_the_enums_are_kept_and_warned_of(processor):
    strange = evaluation(attributes={a.EVALUATOR_KIND: "oracle"})
    strange.status.CopyFrom(Status(code=99))
    mine = own(
        task(attributes={a.TASK_TYPE: "juggling", a.TASK_COMPLEXITY: "gigantic"}, kind=77),
        route(attributes={a.ROUTING_STRATEGY: "tarot"}),
        execution(attributes={a.EXECUTION_SUCCESS: True}),
        strange,
    )
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert (record["task"]["type"], record["task"]["complexity"]) == ("juggling", "gigantic")
    assert record["routing"]["strategy"] == "tarot"
    assert [reason.partition(" is not among ")[0] for reason in gates(record)["enums"].split("; ")] == [
        "task.type = 'juggling'",
        "task.complexity = 'gigantic'",
        "routing.strategy = 'tarot'",
        "evaluation.evaluator.kind = 'oracle'",
    ]
    assert record["verdict"]["valid"]


def test_a_task_without_a_type_is_stored_and_quarantined(processor):
    whole = task()
    del whole.attributes[1]
    whole.name = "task"
    mine = own(whole, route(), execution())
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["task"]["type"] is None
    assert gates(record)["required-fields"] == "task.type is missing"
    assert (record["verdict"]["valid"], record["state"]) == (False, "quarantined")
    assert len(fact_spans(record)) == 3


# -- Bytes -----------------------------------------------------------------------------------------


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


# -- Times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "year"),
    [(1, "1970-"), (2**64 - 10**9, "2554-")],
    ids=["1970", "2554"],
)
def test_an_impossible_time_is_replaced_by_the_arrival_and_flagged(processor, start, year):
    mine = own(task(), route(), execution())
    for each in mine.spans:
        each.start_time_unix_nano, each.end_time_unix_nano = start, start + 10**6
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["timestamp"] == record["facts"]["task"]["receivedAt"] > "2026"
    assert record["facts"]["task"]["start"].startswith(year)
    assert record["facts"]["executions"][0]["start"].startswith(year)
    assert f"facts.task.start = {year}" in gates(record)["time-window"]
    (row,) = processor.rows(
        "SELECT timestamp > '2026-01-01' AS sane FROM data_points WHERE task_id = %(t)s", t=mine.task_id
    )
    assert row["sane"]


def test_a_descendant_outside_its_task_is_stored_and_flagged(processor):
    mine = own(task(), route(), execution(start=5_000, end=9_000))
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert "outside its task" in gates(record)["timing"]
    assert len(fact_spans(record)) == 3


# -- Trees -----------------------------------------------------------------------------------------


def test_two_roots_are_two_tasks(processor):
    first = own(task(1), execution(3, parent=1))
    second = own(task(11), execution(13, parent=11, attributes={a.AGENT_ID: "beta"}), trace_id=first.trace_id)
    processor.send(*first.spans, *second.spans)
    processor.flush()
    assert fact_spans(processor.record(first.task_id)) == {span_id(1).hex(), span_id(3).hex()}
    assert fact_spans(processor.record(second.task_id)) == {span_id(11).hex(), span_id(13).hex()}


@pytest.mark.parametrize("parent", [99, 1], ids=["a remote parent that never comes", "itself as parent"])
def test_a_task_below_nobody_is_a_record_as_any_other(processor, parent):
    """A task span may have any parent: an HTTP server's span in another process, a queue's, none."""
    mine = own(task(1, parent=parent), route(), execution())
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert len(fact_spans(record)) == 3
    assert record["facts"]["task"]["parentSpanId"] == span_id(parent).hex()


def test_a_circle_of_parents_is_told_from_its_task(processor):
    """What leads to itself has no task above it: its facts find their task by its id."""
    mine = own(task(), route(), execution(), tool_call(21, parent=22), tool_call(22, parent=21))
    alone = own(tool_call(31, parent=32), tool_call(32, parent=31), trace_id=mine.trace_id)
    processor.send(*mine.spans, *alone.spans)
    wait_until(lambda: len(orphans(processor, mine.trace_id)) == 2)
    assert orphans(processor, mine.trace_id) == dict.fromkeys((span_id(31).hex(), span_id(32).hex()), "tool_call")
    record = processor.record(mine.task_id)
    assert [call["spanId"] for call in record["facts"]["toolCalls"]] == [span_id(21).hex(), span_id(22).hex()]
    assert [call["joined"] for call in record["facts"]["toolCalls"]] == [True, True]
    circle = [each for each in record["facts"]["anomalies"] if each["problem"] == "cycle"]
    assert [each["spanId"] for each in circle] == [span_id(21).hex(), span_id(22).hex()]


@pytest.mark.parametrize("shed_while_waiting", [False, True])
def test_of_a_huge_trace_the_lifecycle_spans_are_kept(processor, shed_while_waiting):
    """100,000 spans of one task: foreign ones are shed beyond MAX_TASK_SPANS, counted, and the record says so."""
    trace_id, task_id = uuid.uuid4().bytes, f"task-{uuid.uuid4().hex}"
    few = own(task(), route(), execution(), evaluation(), trace_id=trace_id, task_id=task_id)
    calls = [tool_call(number, start=100 + number, end=101 + number) for number in range(10, 60)]
    before = processor.terms()
    for first in range(1_000, 101_000, 20_000):
        many = [span(number, "GET /", parent=3, trace_id=trace_id) for number in range(first, first + 20_000)]
        assert processor.send(*many).rejected_spans == 0
    if shed_while_waiting:
        wait_until(lambda: processor.terms()["truncated"] - before["truncated"] == 90_000)
    processor.send(*own(*calls, trace_id=trace_id, task_id=task_id).spans, *few.spans)
    processor.flush()
    record = processor.record(task_id)
    assert record["completeness"]["truncated"]
    assert len(fact_spans(record)) == 54
    assert record["execution"]["toolCallCount"] == 50
    after = processor.terms()
    assert after["truncated"] - before["truncated"] == 100_054 - 10_000
    assert after["handed_over"] - before["handed_over"] == 10_000


def test_ten_thousand_tasks_under_one_root_are_all_stored(processor):
    trace_id = uuid.uuid4().bytes
    service = f"loop-{trace_id.hex()}"
    prefix = f"task-{trace_id.hex()[:8]}"
    ids = range(10, 20_010, 2)
    spans = [span(1, "worker loop", trace_id=trace_id, end=60_000)]
    for number in ids:
        attributes = {a.TASK_ID: f"{prefix}-{number}", a.TASK_TYPE: "research"}
        spans.append(span(number, "task research", attributes, parent=1, trace_id=trace_id))
        attributes = {a.TASK_ID: f"{prefix}-{number}", a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT}
        spans.append(span(number + 1, "invoke_agent alpha", attributes, parent=number, trace_id=trace_id))
    for first in range(0, len(spans), 5_000):
        processor.send(*spans[first : first + 5_000], resource={a.SERVICE_NAME: service})
    processor.flush()
    (stored,) = processor.rows(
        "SELECT count(*), count(DISTINCT task_id) AS tasks, bool_and('execution' = ANY (completeness)) AS whole"
        " FROM data_points WHERE service_name = %(s)s",
        s=service,
    )
    assert stored == {"count": 10_000, "tasks": 10_000, "whole": True}


# -- Hours -----------------------------------------------------------------------------------------


def test_a_task_whose_span_comes_an_hour_after_its_children_is_whole(tmp_path, postgres_url):
    mine = own(task(), route(), execution(), tool_call(), foreign(5), evaluation())

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans[1:])
            for _ in range(4):
                await path.wait(15 * 60)
                await path.assert_balanced()
            assert path.front.counters.open == 5
            await path.send(mine.spans[0])
            await path.wait(11)
            await path.assert_balanced()
            assert path.front.counters.open == 0

    asyncio.run(run())
    (row,) = select(postgres_url, "SELECT record, ended_by FROM data_points")
    assert fact_spans(row["record"]) == {span_id(number).hex() for number in (1, 2, 3, 4, 9)}
    assert (row["ended_by"], anomalies(row["record"])) == ("task_ended", set())


def test_what_waits_longer_than_max_task_age_is_an_orphan_and_joins_a_task_that_comes_after_all(tmp_path, postgres_url):
    mine = own(task(), route(), execution(), foreign(5))

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*mine.spans[1:])
            await path.wait(23 * 3600)
            assert select(postgres_url, "SELECT * FROM orphans") == []
            await path.wait(2 * 3600)
            waiting = select(postgres_url, "SELECT span_id, kind, task_id FROM orphans ORDER BY kind")
            assert [(row["kind"], row["task_id"]) for row in waiting] == [
                ("execution", mine.task_id),
                ("route", mine.task_id),
            ]
            assert path.front.counters.foreign == 1
            (decision,) = select(postgres_url, "SELECT id, task_id, agent_id FROM routing_decisions")
            assert decision == {"id": None, "task_id": mine.task_id, "agent_id": "alpha"}
            await path.assert_balanced()
            await path.send(mine.spans[0])
            await path.wait(11)
            await path.assert_balanced()

    asyncio.run(run())
    (row,) = select(postgres_url, "SELECT record FROM data_points")
    assert fact_spans(row["record"]) == {span_id(number).hex() for number in (1, 2, 3)}
    assert ("parent_span_id", "children_given_away") in anomalies(row["record"])
    assert select(postgres_url, "SELECT * FROM orphans") == []


def test_spans_without_any_root_or_task_leave_by_their_timers(tmp_path, postgres_url):
    """No root: a lifecycle span waits MAX_TASK_AGE for its task; a trace of foreign spans FOREIGN_TIMEOUT."""
    lifecycle = own(execution(3, parent=98), tool_call(4))
    strangers = own(foreign(5, parent=97), foreign(6, parent=5))

    async def run() -> None:
        async with clocked_path(tmp_path / "data", postgres_url) as path:
            await path.send(*lifecycle.spans, *strangers.spans)
            await path.wait(11 * 60)
            assert (path.front.counters.open, path.front.counters.foreign) == (2, 2)
            await path.wait(24 * 3600)
            assert (path.front.counters.open, path.front.counters.orphaned) == (0, 2)
            await path.assert_balanced()

    asyncio.run(run())
    assert len(select(postgres_url, "SELECT * FROM orphans")) == 2
