"""What comes late or from another process finds its task, and tenants are told apart."""

from __future__ import annotations

import uuid

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.lifecycle import RESOURCE, evaluation, execution, route, span_id, task, tool_call
from support.processor import Processor, anomalies, gates, own, select, wait_until, whole_task

from otel_benchmark import attributes as a

TENANT_KEY = "a key that is good enough for tests"


def orphans(processor: Processor, task_id: str) -> list[str]:
    return [row["kind"] for row in processor.rows("SELECT kind FROM orphans WHERE task_id = %(t)s", t=task_id)]


def test_an_evaluation_from_elsewhere_waits_for_its_task_and_joins_it(processor):
    mine = own(task(), route(), execution())
    elsewhere = own(evaluation(9, parent=0), task_id=mine.task_id)
    processor.send(*elsewhere.spans)
    wait_until(lambda: orphans(processor, mine.task_id) == ["evaluation"])
    processor.assert_balanced()
    processor.send(*mine.spans)
    processor.flush()
    assert orphans(processor, mine.task_id) == []
    record = processor.record(mine.task_id)
    assert record["evaluation"]["overallScore"] == 0.9
    assert record["facts"]["evaluations"][0]["joined"]
    assert record["facts"]["evaluations"][0]["traceId"] == elsewhere.trace_id.hex()
    processor.assert_balanced()


def test_an_evaluation_from_another_namespace_is_not_its_tasks(processor):
    mine = own(task(), route(), execution())
    strange = own(evaluation(9, parent=0), task_id=mine.task_id)
    processor.send(*mine.spans)
    processor.flush()
    processor.send(*strange.spans, resource={**RESOURCE, a.SERVICE_NAMESPACE: "somebody else"})
    wait_until(lambda: orphans(processor, mine.task_id) == ["evaluation"])
    assert processor.record(mine.task_id)["evaluation"] is None
    processor.assert_balanced()


@pytest.mark.parametrize("by", ["link", "task id"])
def test_a_late_evaluation_joins_the_record_that_it_names(processor, by):
    mine = own(task(), route(), execution(attributes={a.EXECUTION_SUCCESS: True}))
    processor.send(*mine.spans)
    processor.flush()
    before = processor.record(mine.task_id)
    assert (before["revision"], before["evaluation"]) == (1, None)
    late = evaluation(9, parent=0)
    if by == "link":
        late.links.append(Span.Link(trace_id=mine.trace_id, span_id=span_id(1)))
        del late.attributes[0]  # its task's id
    sent = own(late, task_id=mine.task_id)
    processor.send(*sent.spans)
    wait_until(lambda: processor.record(mine.task_id)["revision"] == 2)
    record = processor.record(mine.task_id)
    assert record["id"] == before["id"]
    assert record["completeness"]["seen"] == ["task", "routing", "execution", "evaluation"]
    assert record["evaluation"]["overallScore"] == 0.9
    (row,) = processor.rows("SELECT is_current FROM evaluations WHERE id = %(id)s", id=record["id"])
    assert row["is_current"]
    processor.assert_balanced()


def test_a_late_tool_call_revises_the_record(processor):
    mine = whole_task()
    processor.send(*mine.spans)
    processor.flush()
    late = own(tool_call(6, start=200, end=250), trace_id=mine.trace_id, task_id=mine.task_id)
    processor.send(*late.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert (record["revision"], record["execution"]["toolCallCount"]) == (2, 2)
    assert len(record["rlLabels"]["turns"]) == 2
    processor.assert_balanced()


def secret_places(database_url: str, text: str) -> list[str]:
    """Tables of which a row holds the text."""
    tables = select(database_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'benchmark_data'")
    return [
        row["tablename"]
        for row in tables
        if select(
            database_url,
            f"SELECT 1 FROM benchmark_data.{row['tablename']} AS row WHERE row::text LIKE %(text)s",
            text=f"%{text}%",
        )
    ]


def test_a_tenant_is_hashed_before_it_is_stored(processor):
    tenant = f"tenant-{uuid.uuid4().hex}"
    mine = own(task(attributes={a.TENANT_ID: tenant}), execution(attributes={a.TENANT_ID: tenant}))
    stray = own(evaluation(9, parent=0, attributes={a.TENANT_ID: tenant}), task_id=mine.task_id)
    lost = own(evaluation(9, parent=0, attributes={a.TENANT_ID: tenant}))
    processor.send(*stray.spans, *lost.spans)
    wait_until(lambda: orphans(processor, lost.task_id))
    processor.send(*mine.spans)
    processor.flush()
    record = processor.record(mine.task_id)
    assert record["tenantId"] == a.tenant_hash(TENANT_KEY.encode(), tenant)
    assert record["evaluation"] is not None
    assert secret_places(processor.database_url, mine.task_id)
    assert secret_places(processor.database_url, tenant) == []


def test_without_a_key_a_tenant_in_clear_is_left_out_and_flagged(new_processor):
    with new_processor() as processor:
        mine = own(task(attributes={a.TENANT_ID: "acme"}), route(), execution())
        processor.send(*mine.spans)
        processor.flush()
        record = processor.record(mine.task_id)
        assert record["tenantId"] is None
        assert (a.TENANT_ID, "tenant_without_key") in anomalies(record)
        assert "TENANT_KEY is not set" in gates(record)["tenant-hash"]
        assert record["verdict"]["valid"]
        assert "tenants" in {off.what for off in processor.status().off}
