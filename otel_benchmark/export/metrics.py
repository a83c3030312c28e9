"""The queue's own metrics, where the application has a MeterProvider.

Those of the SDK and of the exporters (`otel.sdk.*`) are turned on by `OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true`,
which the SDK reads before we are here.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation, get_meter

from otel_benchmark.attributes import SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.metrics import CallbackOptions

    from otel_benchmark.export.processor import PrioritySpanProcessor


def observe(processor: PrioritySpanProcessor) -> None:
    """Show what the processor sent, what it dropped and why, and what waits, as long as it lives."""
    alive = weakref.ref(processor)

    def sent(_: CallbackOptions) -> Iterable[Observation]:
        if (found := alive()) is not None:
            for sort, count in found.drops.sent.items():
                if count:
                    yield Observation(count, {"sort": sort.value})

    def dropped(_: CallbackOptions) -> Iterable[Observation]:
        if (found := alive()) is not None:
            for (reason, sort), count in found.drops.dropped.items():
                if count:
                    yield Observation(count, {"sort": sort.value, "reason": reason.value})

    def waiting(_: CallbackOptions) -> Iterable[Observation]:
        if (found := alive()) is not None:
            yield Observation(found.queue.bytes)

    def capacity(_: CallbackOptions) -> Iterable[Observation]:
        if (found := alive()) is not None:
            yield Observation(found.queue.capacity)

    meter = get_meter(SCOPE_NAME)
    meter.create_observable_counter("otel_benchmark.export.sent", [sent], "{span}", "Spans that the receiver took")
    meter.create_observable_counter("otel_benchmark.export.dropped", [dropped], "{span}", "Spans that were not sent")
    meter.create_observable_up_down_counter(
        "otel_benchmark.export.queue", [waiting], "By", "Estimated memory of the spans that wait"
    )
    meter.create_observable_up_down_counter(
        "otel_benchmark.export.queue.capacity", [capacity], "By", "What the queue holds at most"
    )
