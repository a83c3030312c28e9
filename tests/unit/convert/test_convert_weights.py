"""The adjusted count of the head sampler."""

from __future__ import annotations

import uuid

import msgspec
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
from support.facts import task as task_fact
from support.lifecycle import execution, task
from support.records import record_of

from collector_processor.convert import FoldSettings, fold, weights
from collector_processor.model.facts import Facts, Source
from otel_benchmark import attributes as a

TRACE = "4bf92f3577b34da6a3ff929d0e0e4736"
"""Its randomness, the last 14 digits, is above every threshold here."""


def adjusted_count(
    trace_state: str | None,
    sampler: str | None,
    *,
    is_root: bool = True,
    source: Source | None = None,
    unsampled: tuple[str, ...] = (),
) -> float | None:
    fact = task_fact(
        trace_state=trace_state, sampler=sampler, source=source or Source(service_name="arbiter"), trace=int(TRACE, 16)
    )
    if not is_root:
        fact = msgspec.structs.replace(fact, parent_span_id="7" * 16)
    return weights.adjusted_count(fact, unsampled)


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
        ("ot=rv:92345678901234;th:8", 2.0),
        ("vendor=x, ot=th:8;rv:92345678901234,other=y", 2.0),
        ("ot=rv:80000000000000;th:8", 2.0),
        ("ot=rv:7fffffffffffff;th:8", None),
        ("ot=th:ff92", 2**16 / (2**16 - 0xFF92)),
        ("ot=th:ff93", None),
        ("ot=rv:123;th:8", 2.0),
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


def test_an_operator_may_know_that_a_source_sends_everything() -> None:
    spaced = Source(service_name="arbiter", service_namespace="shop")
    assert adjusted_count(None, None, unsampled=("arbiter",)) == 1.0
    assert adjusted_count(None, "JaegerRemoteSampler{}", unsampled=("*",)) == 1.0
    assert adjusted_count(None, None, unsampled=("other",)) is None
    assert adjusted_count(None, None, source=spaced, unsampled=("shop/arbiter",)) == 1.0
    assert adjusted_count(None, None, source=spaced, unsampled=("arbiter",)) is None
    assert adjusted_count(None, DEFAULT_ON.get_description(), is_root=False, unsampled=("arbiter",)) == 1.0


def test_what_the_span_says_goes_before_the_operator() -> None:
    assert adjusted_count("ot=th:8", None, unsampled=("*",)) == 2.0
    assert adjusted_count("ot=rv:7fffffffffffff;th:8", None, unsampled=("*",)) is None
    assert adjusted_count(None, "TraceIdRatioBased{0.25}", unsampled=("*",)) == 4.0


def test_folding_takes_the_operators_word() -> None:
    facts = Facts(task=task_fact())
    assert fold(uuid.UUID(int=1), facts, 1, FoldSettings()).sampling.adjusted_count is None
    told = FoldSettings(unsampled=frozenset({"arbiter"}))
    assert fold(uuid.UUID(int=1), facts, 1, told).sampling.adjusted_count == 1.0
