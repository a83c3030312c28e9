"""agent_statistics: hour by agent by task type, with percentiles from counts that can be added up."""

from __future__ import annotations

import math
from datetime import timedelta

import msgspec
import pytest
from support.facts import NOON, batch, closed, execution, whole

from collector_processor.model.facts import Agent


def done(number, minute, latency, *, agent="alpha", success=True):
    """A task whose only execution took that many milliseconds."""
    each = {"task_id": f"t-{number}", "start": NOON + timedelta(minutes=minute)}
    fact = execution(number, latency_ms=latency, agent=Agent(agent), success=success, **each)
    return closed(msgspec.structs.replace(whole(number, **each), executions=(fact,)))


@pytest.fixture
def found(run, store, rows):
    """The statistics of twenty tasks of alpha and two of beta in one hour, and one of alpha in the next."""
    tasks = [done(n, n, 100.0 * n) for n in range(1, 21)]
    tasks += [done(30, 61, 700.0), done(31, 5, 700.0, agent="beta", success=None)]
    tasks += [done(32, 6, 700.0, agent="beta", success=False)]
    run(store.apply(batch(*tasks)))
    return rows("SELECT * FROM benchmark.agent_statistics ORDER BY bucket, agent_id")


def test_a_row_for_each_hour_and_agent(found):
    """A task whose success nobody reported counts as one, but not in the rate."""
    names = ("bucket", "agent_id", "total_tasks", "successful_tasks", "success_rate")
    assert [tuple(row[name] for name in names) for row in found] == [
        (NOON, "alpha", 20, 20, 1.0),
        (NOON, "beta", 2, 0, 0.0),
        (NOON + timedelta(hours=1), "alpha", 1, 1, 1.0),
    ]
    assert {row["task_type"] for row in found} == {"code-editing"}


def test_means_and_sums(found, rows):
    first = found[0]
    assert (first["avg_quality"], first["stddev_quality"]) == (0.75, 0.0)
    assert (first["avg_tokens"], first["total_cost_usd"]) == (1000.0, 2.5)
    [exact] = rows(
        "SELECT avg(latency_ms) AS mean, count(*) FILTER (WHERE NOT valid) AS invalid FROM benchmark.data_points"
        " WHERE agent_id = 'alpha' AND timestamp < %s",
        [NOON + timedelta(hours=1)],
    )
    assert first["avg_latency_ms"] == pytest.approx(exact["mean"])
    assert first["invalid_tasks"] == exact["invalid"]


def test_the_percentile_is_within_a_hundredth(found, rows):
    [exact] = rows(
        "SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95 FROM benchmark.data_points"
        " WHERE agent_id = 'alpha' AND timestamp < %s",
        [NOON + timedelta(hours=1)],
    )
    assert found[0]["p95_latency_ms"] == pytest.approx(exact["p95"], rel=0.01)


def test_a_latency_bucket_stands_for_its_values(rows):
    latencies = [1e-9, 0.001, 0.5, 1.0, 1.02, 37.5, 8_000.0, 3.6e6, 1e12, 1e300, math.inf, math.nan]
    found = rows(
        "SELECT benchmark_data.latency_of_bucket(benchmark_data.latency_bucket(latency)) AS value"
        " FROM unnest(%s::float8[]) WITH ORDINALITY AS given (latency, place) ORDER BY place",
        [latencies],
    )
    bounded = [1e12 if math.isnan(latency) else min(max(latency, 1e-3), 1e12) for latency in latencies]
    assert [row["value"] for row in found] == pytest.approx(bounded, rel=0.01)
