"""The adjusted count of the head sampler."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)
from support.lifecycle import execution, task
from support.records import record_of

from collector_processor.convert.weights import adjusted_count
from otel_benchmark import attributes as a


@pytest.mark.parametrize(
    ("sampler", "root", "child"),
    [
        (ALWAYS_ON, 1.0, 1.0),
        (TraceIdRatioBased(0.25), 4.0, 4.0),
        (DEFAULT_ON, 1.0, None),
        (ParentBasedTraceIdRatio(0.1), 10.0, None),
        (ALWAYS_OFF, None, None),
        (DEFAULT_OFF, None, None),
        (TraceIdRatioBased(0.0), None, None),
    ],
    ids=lambda value: value.get_description() if isinstance(value, Sampler) else None,
)
def test_the_sdks_own_samplers(sampler: Sampler, root: float | None, child: float | None) -> None:
    description = sampler.get_description()
    assert adjusted_count(None, description, is_root=True) == (None if root is None else pytest.approx(root))
    assert adjusted_count(None, description, is_root=False) == (None if child is None else pytest.approx(child))


@pytest.mark.parametrize(
    ("description", "count"),
    [
        ("ParentBased{root=AlwaysOnSampler, remoteParentSampled=AlwaysOnSampler}", 1.0),
        ("ParentBased{root:TraceIDRatioBased{0.5},remoteParentSampled:AlwaysOnSampler}", 2.0),
        ("TraceIdRatioBased{nonsense}", None),
        ("TraceIdRatioBased{1.2.3}", None),
        ("TraceIdRatioBased{-1}", None),
        ("JaegerRemoteSampler{}", None),
        ("", None),
    ],
)
def test_descriptions_of_other_languages(description: str, count: float | None) -> None:
    assert adjusted_count(None, description, is_root=True) == count


@pytest.mark.parametrize(
    ("trace_state", "count"),
    [
        ("ot=th:0", 1.0),
        ("ot=th:8", 2.0),
        ("ot=th:c", 4.0),
        ("ot=th:fd70a4", 100.0),
        ("ot=rv:12345678901234;th:8", 2.0),
        ("vendor=x, ot=th:8;rv:12345678901234,other=y", 2.0),
        ("ot=rv:12345678901234", None),
        ("vendor=th:8", None),
        ("ot=th:xyz", None),
        ("ot=th:123456789012345", None),
        ("not=th:8", None),
    ],
)
def test_the_tracestates_threshold(trace_state: str, count: float | None) -> None:
    found = adjusted_count(trace_state, None, is_root=False)
    assert found == (None if count is None else pytest.approx(count, rel=1e-4))


def test_a_threshold_goes_before_the_sampler() -> None:
    assert adjusted_count("ot=th:8", "AlwaysOnSampler", is_root=True) == 2.0


def test_the_record_knows_what_is_known() -> None:
    said = {a.SAMPLER: DEFAULT_ON.get_description()}
    assert record_of(task(attributes=said), execution()).sampling.adjusted_count == 1.0
    assert record_of(task(attributes=said, parent=77), execution()).sampling.adjusted_count is None
    assert record_of(task(), execution()).sampling.adjusted_count is None
    assert record_of(task(trace_state="ot=th:8"), execution()).sampling.adjusted_count == 2.0
