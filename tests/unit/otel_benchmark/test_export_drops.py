"""What is said of spans that were not sent: once a minute, with reasons; and their metrics."""

import logging
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_benchmark.export import drops as drops_module
from otel_benchmark.export import metrics as export_metrics
from otel_benchmark.export.drops import Drops, Reason, Sort
from otel_benchmark.export.processor import PrioritySpanProcessor


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(drops_module, "time", clock)
    return clock


def test_one_line_a_minute_tells_what_is_new(clock, caplog):
    drops = Drops("http://h:4318")
    drops.tell(0)
    assert caplog.messages == []
    drops.add(Reason.QUEUE_FULL, Sort.FOREIGN, 7)
    drops.add(Reason.REFUSED, Sort.LIFECYCLE, 2, "HTTP 400")
    drops.tell(0)
    drops.add(Reason.QUEUE_FULL, Sort.FOREIGN)
    clock.now += 59
    drops.tell(0)
    (line,) = caplog.messages
    assert line == (
        "otel_benchmark: to http://h:4318: 9 spans were dropped, 2 of them lifecycle spans: "
        "7 queue_full, 2 refused (HTTP 400)"
    )
    clock.now += 1
    drops.tell(0)
    drops.tell(0)
    assert caplog.messages[1:] == [
        "otel_benchmark: to http://h:4318: 1 spans were dropped, 0 of them lifecycle spans: 1 queue_full"
    ]


def test_a_receiver_that_is_away_is_said_before_anything_is_lost(clock, caplog):
    drops = Drops("http://h:4318")
    drops.trouble = "UNAVAILABLE"
    drops.tell(12)
    drops.trouble = ""
    clock.now += 100
    drops.tell(0)
    assert caplog.messages == ["otel_benchmark: to http://h:4318: it takes no spans at present (UNAVAILABLE), 12 wait"]


def test_what_is_dropped_while_a_line_is_written_is_in_the_next(clock, caplog):
    drops = Drops("x")

    class Handler(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            drops.add(Reason.QUEUE_FULL, Sort.FOREIGN, 5)

    handler = Handler()
    drops_module.logger.addHandler(handler)
    drops.add(Reason.QUEUE_FULL, Sort.FOREIGN, 3)
    drops.tell(0)
    drops_module.logger.removeHandler(handler)
    drops.tell(0, at_last=True)
    assert ["3 spans" in caplog.messages[0], "5 spans" in caplog.messages[1]] == [True, True]


def test_the_last_word_does_not_wait_for_its_minute(clock, caplog):
    drops = Drops("x")
    for _ in range(2):
        drops.add(Reason.SHUTDOWN, Sort.LIFECYCLE)
        drops.tell(0, at_last=True)
    assert len(caplog.messages) == 2


def test_the_counts_are_metrics_where_somebody_reads_them(monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(export_metrics, "get_meter", provider.get_meter)
    processor = PrioritySpanProcessor(lambda: pytest.fail("made"), 1 << 20)
    export_metrics.observe(processor)
    processor.drops.add(Reason.QUEUE_FULL, Sort.FOREIGN, 3)
    processor.drops.sent[Sort.LIFECYCLE] += 2

    def read() -> dict[str, list[Any]]:
        data: Any = reader.get_metrics_data()
        found = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        return {
            each.name: [(dict(p.attributes), getattr(p, "value", None)) for p in each.data.data_points]
            for each in found
        }

    assert read() == {
        "otel_benchmark.export.sent": [({"sort": "lifecycle"}, 2)],
        "otel_benchmark.export.dropped": [({"sort": "foreign", "reason": "queue_full"}, 3)],
        "otel_benchmark.export.queue": [({}, 0)],
        "otel_benchmark.export.queue.capacity": [({}, 1 << 20)],
    }
    processor.shutdown()
    del processor
    assert not any(read().values())
    provider.shutdown()
