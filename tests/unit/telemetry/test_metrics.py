"""What `/metrics` serves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector_processor.telemetry import metrics, snapshot
from collector_processor.telemetry.metrics import exposition
from collector_processor.telemetry.snapshot import Snapshot, register_snapshot


def samples() -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of the exposition by name and label values in the order of the labels' names."""
    text = exposition().decode()
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def known() -> Iterator[dict[snapshot.Family, float | snapshot.Labelled]]:
    values: dict[snapshot.Family, float | snapshot.Labelled] = {}
    unregister = register_snapshot(lambda: values)
    yield values
    unregister()


def test_what_a_process_counts_is_served_under_one_prefix() -> None:
    metrics.REQUESTS.labels("http", "traces", "partial").inc()
    found = samples()
    assert found["otel_benchmark_requests_total", ("partial", "http", "traces")] >= 1
    assert "process_cpu_seconds_total" in {name for name, _ in found}
    assert not [name for name, _ in found if name.endswith("_created")]


def test_a_snapshot_is_read_at_every_scrape(known: dict[snapshot.Family, float | snapshot.Labelled]) -> None:
    known[snapshot.OPEN_TASKS] = 3
    assert samples()["otel_benchmark_open_tasks", ()] == 3
    known[snapshot.OPEN_TASKS] = 4
    known[snapshot.PRIVACY_VIOLATIONS] = 0
    known[snapshot.EQUATION_TERM] = {("journal spans", "received"): 10, ("journal spans", "pending"): 2}
    found = samples()
    assert found["otel_benchmark_open_tasks", ()] == 4
    assert found["otel_benchmark_privacy_violations_total", ()] == 0
    assert found["otel_benchmark_equation_term", ("journal spans", "pending")] == 2
    assert found["otel_benchmark_snapshot_up", ()] == 1


def test_what_is_not_known_is_absent(known: dict[snapshot.Family, float | snapshot.Labelled]) -> None:
    known[snapshot.OPEN_TASKS] = 0
    assert ("otel_benchmark_total_data_points", ()) not in samples()


@pytest.mark.parametrize("failure", ["raises", "wrong labels"])
def test_a_snapshot_that_fails_does_not_take_the_other_metrics_along(failure: str) -> None:
    def read() -> Snapshot:
        if failure == "raises":
            raise OSError("the journal is closed")
        return {snapshot.HEALTH: 1.0}

    unregister = register_snapshot(read)
    try:
        found = samples()
    finally:
        unregister()
    assert found["otel_benchmark_snapshot_up", ()] == 0
    assert ("otel_benchmark_inflight_bytes", ()) in found


@pytest.mark.usefixtures("known")
def test_a_second_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="snapshot_up"):
        register_snapshot(dict)


def test_the_seeds_collection_metrics_all_have_a_name() -> None:
    seed = [
        "dataPointsCollectedToday",
        "dataPointsPerHour",
        "totalDataPoints",
        "validationFailureRate",
        "privacyViolations",
        "duplicateRate",
        "agentsCovered",
        "taskTypesCovered",
        "complexityDistribution",
        "avgCollectionLatency",
        "bufferFlushRate",
        "storageGrowthRate",
    ]
    names = [family.name for family in vars(snapshot).values() if isinstance(family, snapshot.Family)]
    for camel in seed:
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in camel)
        assert [name for name in names if name.startswith(snake)], snake
    assert len(names) == len(set(names))
