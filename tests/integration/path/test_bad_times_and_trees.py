"""Times that can't be, and spans that stand oddly to one another."""

from __future__ import annotations

import uuid

import pytest
from support.lifecycle import evaluation, execution, route, span, span_id, task, tool_call
from support.processor import Processor, fact_spans, gates, own, wait_until

from otel_benchmark import attributes as a

pytestmark = pytest.mark.usefixtures("good_neighbour")


def orphans(processor: Processor, trace_id: bytes) -> dict[str, str]:
    rows = processor.rows("SELECT span_id, kind FROM orphans WHERE trace_id = %(trace)s", trace=trace_id.hex())
    return {row["span_id"]: row["kind"] for row in rows}


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
