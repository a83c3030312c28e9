"""What the processor refuses, seen through a Collector: for lack of room it comes again; a bad span is lost alone."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.delivery import Traffic, answers, assert_delivered
from support.lifecycle import T0, execution, foreign, payload, route, task
from support.processor import fact_spans, own, wait_until

INVALID = b"\xff" * 8
MARK = "@@@@@@@@"
"""Stands for INVALID until a request is on the wire."""


def test_what_a_full_journal_refuses_comes_again_until_it_has_room(new_processor, new_collector):
    processor = new_processor(JOURNAL_MAX_BYTES="4MiB")
    agent = new_collector("agent.yaml", PROCESSOR=processor)
    with processor:
        agent.start()
        with psycopg.connect(processor.database_url) as nobody_writes, Traffic(agent, padding=30_000) as traffic:
            nobody_writes.execute("LOCK TABLE benchmark_data.points IN SHARE MODE")
            wait_until(lambda: answers(processor).get("overloaded", 0) >= 3)
            traffic.stop()
            assert agent.queued_bytes > 0
            nobody_writes.rollback()
        assert_delivered(agent, [processor], traffic.acknowledged)
        agent.stop()


def spoil_ids(span: Span) -> None:
    span.trace_id = bytes(16)


def spoil_name(span: Span) -> None:
    span.name = MARK


def spoil_times(span: Span) -> None:
    span.start_time_unix_nano, span.end_time_unix_nano = T0 + 1, T0


@pytest.mark.parametrize("spoil", [spoil_ids, spoil_name, spoil_times])
def test_a_span_that_is_rejected_takes_no_other_with_it(new_processor, new_collector, spoil: Callable[[Span], None]):
    good, bad = own(task(), route(), execution()), foreign(5)
    bad.trace_id = good.trace_id
    spoil(bad)
    processor = new_processor()
    agent = new_collector("agent.yaml", PROCESSOR=processor)
    with processor:
        agent.start()
        agent.take(payload([*good.spans[:2], bad, *good.spans[2:]]).replace(MARK.encode(), INVALID))
        wait_until(lambda: agent.queued_bytes == 0)
        processor.settle()
        assert fact_spans(processor.record(good.task_id)) == {span.span_id.hex() for span in good.spans}
        assert processor.terms()["rejected"] == 1
        processor.assert_balanced()
        agent.stop()
    assert "Partial success response" in agent.log
