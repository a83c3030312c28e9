"""Tasks of now for processors that forward, and what such a processor says of them."""

from __future__ import annotations

import time
from typing import Any

import psutil
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.app.reporting.status import Forward
from otel_benchmark import attributes as a
from support.lifecycle import T0, evaluation, execution, foreign, route, task, tool_call
from support.processor import Own, Processor, wait_until
from support.processor import own as of_long_ago

SINCE = time.time_ns() - T0 - 10**10
"""From the time of tests' spans until now: old records may have been retired when they are looked for."""


def own(*spans: Span, **ids: Any) -> Own:
    """Spans of a trace of its own, of ten seconds ago."""
    sent = of_long_ago(*spans, **ids)
    for span in sent.spans:
        span.start_time_unix_nano += SINCE
        span.end_time_unix_nano += SINCE
    return sent


def forwarder(processor: Processor) -> psutil.Process:
    (found,) = [each for each in processor.workers if any("forwarder" in word for word in each.cmdline())]
    return found


def forward(processor: Processor) -> Forward:
    found = processor.status().forward
    assert found is not None
    return found


def accounted(processor: Processor) -> int:
    now = forward(processor)
    return now.sent + now.sampled_out + sum(now.dropped.values())


def wait_for_account(processor: Processor, spans: int) -> Forward:
    """Come back when it is known of so many spans what became of them."""
    wait_until(lambda: accounted(processor) >= spans)
    now = forward(processor)
    assert accounted(processor) == spans
    return now


def whole_task(**more) -> Own:
    return own(task(), route(), execution(), tool_call(), foreign(5), evaluation(), **more)


def failed_task() -> Own:
    return own(task(), route(), execution(attributes={a.EXECUTION_SUCCESS: False}))


def store(processor: Processor, tasks: int) -> None:
    """Send tasks and see them stored: the main path at work."""
    before = len(processor.rows("SELECT id FROM data_points"))
    for _ in range(tasks):
        processor.send(*failed_task().spans)
    processor.flush()
    assert len(processor.rows("SELECT id FROM data_points")) == before + tasks
    processor.assert_balanced()
