"""A status says the same as JSON, in Python and as metrics."""

from __future__ import annotations

import msgspec

from collector_processor.app.reporting.admin import Health, State
from collector_processor.app.reporting.status import Collection, Database, Equation, Journal, Place, Status, as_metrics
from collector_processor.telemetry import snapshot

STATUS = Status(
    version="0.1.0",
    pid=7,
    started_at="2026-11-22T12:00:00.000000000Z",
    uptime_seconds=60.0,
    health=Health(State.DEGRADED, ("the database is down",), conditions=("database", "lag")),
    listening={"otlp_http": "127.0.0.1:4318"},
    workers=1,
    journal=Journal(bytes=4096, max_bytes=8192),
    place=Place(
        open_tasks=2,
        open_traces=3,
        max_open_traces=100,
        open_spans=9,
        max_open_spans=1000,
        closed_tasks=1,
        next_flush_seconds=3.5,
        sealed_batches=0,
        sealed_tasks=0,
    ),
    database=Database(url="postgresql://owner:***@host/db", tier=None, up=False, lag_seconds=0.0, error="refused"),
    collection=Collection(
        total_data_points=5,
        agents_covered=("a", "b"),
        complexity_distribution={"trivial": 3, "complex": 2},
        avg_collection_latency_ms=1.5,
    ),
    equations=(
        Equation(name="journal spans", total_name="received", total=10, terms={"pending": 9, "rejected": 1}),
        Equation(name="database spans", total_name="applied", total=3, terms={"in points": 2}),
    ),
)


def test_it_survives_the_control_socket() -> None:
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(STATUS)), Status) == STATUS


def test_an_equation_says_what_is_missing() -> None:
    assert [equation.missing for equation in STATUS.equations] == [0, 1]


def test_metrics_hold_what_is_known_and_nothing_else() -> None:
    values = as_metrics(STATUS)
    assert values[snapshot.OPEN_SPANS] == 9
    assert values[snapshot.DATABASE_UP] == 0
    assert values[snapshot.AGENTS_COVERED] == 2
    assert values[snapshot.AVG_COLLECTION_LATENCY] == 0.0015
    assert values[snapshot.HEALTH] == {("degraded",): 1}
    assert values[snapshot.HEALTH_CONDITION] == {("database",): 1, ("lag",): 1}
    assert values[snapshot.COMPLEXITY_DISTRIBUTION] == {("trivial",): 3, ("complex",): 2}
    assert values[snapshot.EQUATION_TERM] == {
        ("journal spans", "received"): 10,
        ("journal spans", "pending"): 9,
        ("journal spans", "rejected"): 1,
        ("database spans", "applied"): 3,
        ("database spans", "in points"): 2,
    }
    assert values[snapshot.EQUATION_BALANCED] == {("journal spans",): 1, ("database spans",): 0}
    assert snapshot.DATA_POINTS_PER_HOUR not in values
    assert snapshot.JOURNAL_SECONDS_TO_FULL not in values
