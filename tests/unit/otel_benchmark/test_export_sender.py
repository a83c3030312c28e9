"""A batch that is read in pieces, so that the application's threads run in between."""

import time

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from otel_benchmark.export.sender import Unhurried

SPANS = [
    ReadableSpan(f"task {n}", SpanContext(1, 1 + n, is_remote=False, trace_flags=TraceFlags(1))) for n in range(40)
]


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (16, 1), (17, 2), (40, 3)])
def test_it_pauses_before_each_sixteen(pauses, count, expected):
    assert list(Unhurried(SPANS[:count], lambda: True)) == SPANS[:count]
    assert len(pauses) == expected
    assert all(pause > 0 for pause in pauses)


def test_it_hurries_as_soon_as_there_is_no_time(pauses):
    assert list(Unhurried(SPANS, lambda: not pauses)) == SPANS
    assert len(pauses) == 1


def test_the_official_encoder_makes_the_same_of_it_and_pauses(pauses):
    assert encode_spans(Unhurried(SPANS, lambda: True)) == encode_spans(SPANS)
    assert len(pauses) == 3
