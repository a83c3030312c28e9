"""The queue in front of the export: bounded in bytes, lifecycle spans before foreign ones."""

import tracemalloc
from collections.abc import Callable, MappingView
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, TraceFlags
from opentelemetry.util.types import AttributeValue

from otel_benchmark.export.drops import Drops, Reason, Sort
from otel_benchmark.export.queue import BATCH_BYTES, BATCH_SPANS, SpanQueue, estimate, sort_of

OURS, THEIRS = InstrumentationScope("otel_benchmark"), InstrumentationScope("requests")


def span(name: str, *, scope: InstrumentationScope = THEIRS, **attributes: object) -> ReadableSpan:
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return ReadableSpan(name, context, attributes=attributes, instrumentation_scope=scope)


SIZE = estimate(span("task"))


def emptied(queue: SpanQueue) -> list[str]:
    names: list[str] = []
    while batch := queue.take():
        names += [ended.name for ended, _, _ in batch]
        queue.done(batch)
    return names


@pytest.mark.parametrize(
    ("ended", "sort"),
    [
        (span("anything", scope=OURS), Sort.LIFECYCLE),
        (span("task research"), Sort.LIFECYCLE),
        (span("evaluate"), Sort.LIFECYCLE),
        (span("taskmaster run"), Sort.FOREIGN),
        (span("GET /task"), Sort.FOREIGN),
    ],
    ids=lambda value: value.name if isinstance(value, ReadableSpan) else value,
)
def test_what_is_a_lifecycle_span(ended, sort):
    assert sort_of(ended) is sort


@given(st.lists(st.booleans(), max_size=150), st.sets(st.integers(0, 149)), st.integers(min_value=1, max_value=80))
def test_foreign_spans_never_displace_lifecycle_spans_whenever_they_are_settled(kinds, settled, capacity):
    drops = Drops("x")
    queue = SpanQueue(capacity * SIZE, drops)
    for number, lifecycle in enumerate(kinds):
        queue.put(span(f"task {number}" if lifecycle else f"GET {number}"))
        if number in settled:
            queue.settle()
        assert queue.bytes <= queue.capacity
    queue.settle()
    waiting = len(queue)
    names = emptied(queue)
    lifecycle_names = [f"task {number}" for number, lifecycle in enumerate(kinds) if lifecycle]
    assert [name for name in names if name.startswith("task")] == lifecycle_names[:capacity]
    assert waiting == len(names) == min(capacity, len(kinds))
    assert drops.dropped.total() == len(kinds) - len(names)
    assert drops.dropped[Reason.QUEUE_FULL, Sort.LIFECYCLE] == max(0, len(lifecycle_names) - capacity)
    assert queue.bytes == 0


def test_a_large_lifecycle_span_displaces_as_many_foreign_ones_as_it_needs():
    drops = Drops("x")
    queue = SpanQueue(10 * SIZE, drops)
    for number in range(10):
        queue.put(span(f"GET {number}"))
    queue.put(span("task large", text="x" * (3 * SIZE)))
    assert emptied(queue) == ["task large", "GET 5", "GET 6", "GET 7", "GET 8", "GET 9"]
    assert drops.dropped[Reason.QUEUE_FULL, Sort.FOREIGN] == 5


def test_a_span_that_has_no_room_even_then_displaces_none():
    drops = Drops("x")
    queue = SpanQueue(10 * SIZE, drops)
    queue.put(span("GET"))
    queue.put(span("task larger than the queue", text="x" * (20 * SIZE)))
    assert emptied(queue) == ["GET"]
    assert drops.dropped[Reason.QUEUE_FULL, Sort.LIFECYCLE] == 1


def test_at_most_63_spans_of_whatever_size_stand_beside_the_capacity():
    drops = Drops("x")
    queue = SpanQueue(10 * SIZE, drops)
    for _ in range(63):
        queue.put(span("task", text="x" * (20 * SIZE)))
    assert (len(queue), queue.bytes, drops.dropped.total()) == (63, 0, 0)
    queue.put(span("task"))
    assert (len(queue), queue.bytes, drops.dropped.total()) == (1, SIZE, 63)


def test_a_span_that_can_not_be_read_is_dropped_alone():
    drops = Drops("x")
    queue = SpanQueue(10 * SIZE, drops)
    foreign = span("GET")
    foreign._attributes = MappingView({})  # type: ignore[assignment]  # nothing that has values
    for ended in (span("task 0"), foreign, span("task 1")):
        queue.put(ended)
    assert emptied(queue) == ["task 0", "task 1"]
    assert drops.dropped[Reason.REFUSED, Sort.FOREIGN] == 1


def test_a_whole_batch_that_waits_is_told_of():
    queue = SpanQueue(1 << 40, Drops("x"))
    told = [number for number in range(1, 2 * BATCH_SPANS + 1) if queue.put(span("GET"))]
    assert told[0] == BATCH_SPANS
    assert told[-1] == 2 * BATCH_SPANS


def test_a_batch_is_bounded_in_spans_and_bytes_but_never_empty():
    queue = SpanQueue(1 << 40, Drops("x"))
    for _ in range(BATCH_SPANS + 1):
        queue.put(span("task"))
    assert [len(queue.take()), len(queue.take()), len(queue.take())] == [BATCH_SPANS, 1, 0]
    for _ in range(2):
        queue.put(span("task", text="x" * BATCH_BYTES))
    assert [len(queue.take()), len(queue.take()), len(queue.take())] == [1, 1, 0]


def test_what_is_under_way_counts_until_it_is_done_and_can_come_back():
    queue = SpanQueue(3 * SIZE, Drops("x"))
    for name in ("GET 0", "task 0", "GET 1"):
        queue.put(span(name))
    batch = queue.take()
    assert (queue.bytes, len(queue)) == (3 * SIZE, 0)
    queue.put(span("task 1"))
    queue.settle()  # nothing that waits could make room
    queue.put_back(batch)
    queue.put(span("task 2"))
    assert emptied(queue) == ["task 0", "task 2", "GET 1"]
    assert queue.bytes == 0


def texts(count: int, length: int) -> Callable[[int], dict[str, AttributeValue]]:
    return lambda number: {f"key.{key}": f"{number}-{key}".ljust(length, "x") for key in range(count)}


def lists(number: int) -> dict[str, AttributeValue]:
    return {f"key.{key}": [f"{number}-{item}" for item in range(5)] for key in range(5)}


def nested(number: int) -> dict[str, Any]:
    return {f"key.{key}": {f"{number}-{item}": [f"{number}{key}{item}" * 20] for item in range(5)} for key in range(5)}


def numbers(number: int) -> dict[str, AttributeValue]:
    return {f"key.{key}": 1000 * number + key for key in range(10)}


@pytest.mark.parametrize(
    ("attributes", "others"),
    [
        (texts(0, 0), 0),
        (texts(5, 20), 0),
        (texts(17, 20), 0),
        (texts(40, 20), 0),
        (texts(1, 20_000), 0),
        (lists, 0),
        (nested, 0),
        (numbers, 0),
        (texts(1, 20), 20),
    ],
)
def test_the_estimate_is_near_what_a_span_takes(attributes, others):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("x")
    made = 200

    def make(count: int) -> list[ReadableSpan]:
        spans = []
        for number in range(count):
            contexts = [SpanContext(number + 1, other + 1, is_remote=True) for other in range(others)]
            links = [Link(context, attributes(number)) for context in contexts]
            started = tracer.start_span("task", attributes=attributes(number), links=links)
            for _ in range(others):
                started.add_event("event", attributes(number))
            started.end()
            spans.append(started._readable_span())  # type: ignore[attr-defined]  # the API's type of the SDK's span
        return spans

    make(made)
    tracemalloc.start()
    spans = make(made)
    measured = tracemalloc.get_traced_memory()[0] / made
    tracemalloc.stop()
    assert 0.75 * measured < estimate(spans[-1]) < 1.5 * measured
